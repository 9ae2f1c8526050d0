package sim

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// WriteResults prints results for people.
func WriteResults(to io.Writer, results []*Result) error {
	r := results[0]
	fmt.Fprintf(to, "%s, %s start, %d days, %d clients, seed %d; the attacker has %d relays and %.1f %% of the bandwidth\n\n",
		r.Scenario, r.Start, r.Days, r.Clients, r.Seed, r.Attacker.Relays, 100*r.Attacker.Contributed)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name string, value func(*Result) string) {
		fmt.Fprintf(w, "%s\t", name)
		for _, r := range results {
			fmt.Fprintf(w, "%s\t", value(r))
		}
		fmt.Fprintln(w)
	}
	share := func(s Share) string { return fmt.Sprintf("%.3f %% (%.3f-%.3f)", 100*s.Share, 100*s.Low, 100*s.High) }
	number := func(format string, x func(*Result) float64) func(*Result) string {
		return func(r *Result) string { return fmt.Sprintf(format, x(r)) }
	}
	line("", func(r *Result) string { return r.Algorithm })
	for _, h := range horizonsOf(r) {
		line(fmt.Sprintf("compromised in %s days", h), func(r *Result) string { return share(r.Compromised[h]) })
	}
	for _, h := range horizonsOf(r) {
		line(fmt.Sprintf("bad guard in %s days", h), func(r *Result) string { return share(r.BadGuard[h]) })
	}
	line("circuits with both ends bad", func(r *Result) string { return share(r.Circuits) })
	for _, q := range []string{"5", "25", "50"} {
		line("days until "+q+" % of clients", func(r *Result) string {
			if d := r.Quantiles[q]; d != nil {
				return strconv.Itoa(*d)
			}
			return "-"
		})
	}
	line("bound for new clients, a year", func(r *Result) string {
		if r.Bound == nil {
			return "-"
		}
		return fmt.Sprintf("%.3f %%", 100**r.Bound)
	})
	line("advantage", number("%.2f", func(r *Result) float64 { return r.Advantage }))
	line("attacker's share: guard", number("%.2f %%", func(r *Result) float64 { return 100 * r.Attacker.Guard }))
	line("middle", number("%.2f %%", func(r *Result) float64 { return 100 * r.Attacker.Middle }))
	line("exit", number("%.2f %%", func(r *Result) float64 { return 100 * r.Attacker.Exit }))
	line("guard entropy (least), bits", func(r *Result) string { return fmt.Sprintf("%.2f (%.2f)", r.GuardEntropy, r.GuardMinEntropy) })
	line("exit entropy (least), bits", func(r *Result) string { return fmt.Sprintf("%.2f (%.2f)", r.ExitEntropy, r.ExitMinEntropy) })
	line("throughput beside Tor's", number("%.3f", func(r *Result) float64 { return r.ThroughputVsTor }))
	line("load: p95, greatest", func(r *Result) string { return fmt.Sprintf("%.2f, %.2f", r.LoadP95, r.LoadMax) })
	line("honest capacity idle", number("%.2f %%", func(r *Result) float64 { return 100 * r.Idle }))
	line("newcomer carries half after", func(r *Result) string {
		switch {
		case r.NewcomerDays == nil:
			return "-"
		case *r.NewcomerDays < 0:
			return fmt.Sprintf("over %d days", newcomerDays)
		}
		return fmt.Sprintf("%d days", *r.NewcomerDays)
	})
	line("attacker's refused, quarantined", func(r *Result) string { return fmt.Sprintf("%d, %d", r.Refused, r.Quarantined) })
	line("honest refused, quarantined", func(r *Result) string { return fmt.Sprintf("%d, %d", r.HonestRefused, r.HonestQuarantined) })
	line("guards per client", number("%.2f", func(r *Result) float64 { return r.GuardsPerYear }))
	line("days without a guard", number("%.3f %%", func(r *Result) float64 { return 100 * r.WithoutGuard }))
	line("seconds", number("%.1f", func(r *Result) float64 { return r.Runtime }))
	return w.Flush()
}

// horizonsOf returns the horizons of a result, ascending.
func horizonsOf(r *Result) []string {
	var days []int
	for h := range r.Compromised {
		d, _ := strconv.Atoi(h)
		days = append(days, d)
	}
	slices.Sort(days)
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = strconv.Itoa(d)
	}
	return names
}
