package sim

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"tunic/cmd/internal/sim/chart"
	"tunic/directory"
)

// WriteCSV writes to a directory summary.csv, a line for each figure of each
// result, and days.csv, a line for each day.
func WriteCSV(dir string, results []*Result) error {
	summary := [][]string{{"scenario", "seed", "algorithm", "start", "day", "metric", "value", "low", "high"}}
	days := [][]string{{"scenario", "seed", "algorithm", "start", "day", "compromised", "guard_share", "middle_share", "exit_share"}}
	for _, r := range results {
		head := []string{r.Scenario, strconv.FormatUint(r.Seed, 10), r.Algorithm, r.Start}
		summary = append(summary, r.figures(head)...)
		for i, p := range r.series {
			row := append(slices.Clone(head), strconv.Itoa(p.Day), text(r.curve[p.Day]))
			for _, s := range r.series[i].Share {
				row = append(row, text(s))
			}
			days = append(days, row)
		}
	}
	if err := writeTable(filepath.Join(dir, "summary.csv"), summary); err != nil {
		return err
	}
	return writeTable(filepath.Join(dir, "days.csv"), days)
}

// figures are the lines of summary.csv.
func (r *Result) figures(head []string) (rows [][]string) {
	add := func(day, metric string, value, low, high float64) {
		rows = append(rows, append(slices.Clone(head), day, metric, text(value), text(low), text(high)))
	}
	for _, h := range horizonsOf(r) {
		s := r.Compromised[h]
		add(h, "compromised", s.Share, s.Low, s.High)
		s = r.BadGuard[h]
		add(h, "bad_guard", s.Share, s.Low, s.High)
	}
	end := strconv.Itoa(r.Days)
	add(end, "circuits_bad", r.Circuits.Share, r.Circuits.Low, r.Circuits.High)
	for _, x := range []struct {
		metric string
		value  float64
	}{
		{"advantage", r.Advantage}, {"throughput_vs_tor", r.ThroughputVsTor}, {"load_p95", r.LoadP95}, {"load_max", r.LoadMax},
		{"honest_idle", r.Idle}, {"guard_entropy_bits", r.GuardEntropy}, {"guard_min_entropy_bits", r.GuardMinEntropy},
		{"middle_entropy_bits", r.MiddleEntropy}, {"exit_entropy_bits", r.ExitEntropy}, {"exit_min_entropy_bits", r.ExitMinEntropy},
		{"refused", float64(r.Refused)}, {"quarantined", float64(r.Quarantined)}, {"guards_per_client", r.GuardsPerYear},
	} {
		add(end, x.metric, x.value, x.value, x.value)
	}
	return rows
}

func text(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

func writeTable(name string, rows [][]string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	if err := w.WriteAll(rows); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// WriteSVG writes plots to a directory: how many clients are compromised by day,
// the attacker's share of guards and exits by day, and how evenly relays are
// loaded.
func WriteSVG(dir string, results []*Result) error {
	name := results[0].Scenario
	for _, c := range []struct {
		file  string
		chart *chart.Chart
	}{
		{name + "-compromised.svg", compromisedChart(results)},
		{name + "-shares.svg", sharesChart(results)},
		{name + "-load.svg", loadChart(results)},
	} {
		if err := os.WriteFile(filepath.Join(dir, c.file), c.chart.SVG(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// label names a result's line.
func label(r *Result, results []*Result) string {
	if slices.ContainsFunc(results, func(o *Result) bool { return o.Start != r.Start }) {
		return r.Algorithm + ", " + r.Start
	}
	return r.Algorithm
}

func compromisedChart(results []*Result) *chart.Chart {
	c := &chart.Chart{Title: results[0].Scenario + ": clients compromised so far, 95 % intervals", X: "days since the attack began", Y: "share of clients", Percent: true}
	for _, r := range results {
		l := chart.Line{Name: label(r, results), Points: []chart.Point{{}}}
		for d, y := range r.curve {
			if d%max(1, r.Days/120) == 0 || d == r.Days-1 {
				l.Points = append(l.Points, chart.Point{X: float64(d + 1), Y: y})
			}
		}
		for h, s := range r.Compromised {
			d, _ := strconv.Atoi(h)
			l.Marks = append(l.Marks, chart.Point{X: float64(d), Y: s.Share, Low: s.Low, High: s.High})
		}
		slices.SortFunc(l.Marks, func(a, b chart.Point) int { return int(a.X - b.X) })
		c.Lines = append(c.Lines, l)
	}
	return c
}

func sharesChart(results []*Result) *chart.Chart {
	c := &chart.Chart{Title: results[0].Scenario + ": the attacker's share", X: "days since the attack began", Y: "share of the position", Percent: true}
	seen := map[string]bool{}
	for _, r := range results {
		if seen[r.Algorithm] || r.Algorithm == TorNoGuards {
			continue // as Tor's
		}
		seen[r.Algorithm] = true
		for _, p := range []directory.Position{directory.AsGuard, directory.AsExit} {
			l := chart.Line{Name: r.Algorithm + map[directory.Position]string{directory.AsGuard: ", guard", directory.AsExit: ", exit"}[p]}
			for _, x := range r.series {
				l.Points = append(l.Points, chart.Point{X: float64(x.Day), Y: x.Share[p]})
			}
			c.Lines = append(c.Lines, l)
		}
	}
	return c
}

func loadChart(results []*Result) *chart.Chart {
	c := &chart.Chart{Title: results[0].Scenario + ": traffic of the least loaded capacity", X: "share of capacity, %", Y: "share of traffic", Percent: true}
	seen := map[string]bool{}
	for _, r := range results {
		if seen[r.Algorithm] || r.Algorithm == TorNoGuards {
			continue
		}
		seen[r.Algorithm] = true
		l := chart.Line{Name: r.Algorithm}
		for i, y := range r.lorenz {
			l.Points = append(l.Points, chart.Point{X: 100 * float64(i) / float64(len(r.lorenz)-1), Y: y})
		}
		c.Lines = append(c.Lines, l)
	}
	return c
}
