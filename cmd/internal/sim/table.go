package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"tunic/cmd/internal/sim/scenario"
)

// A goal is what a scenario has to come out as: compromised under tunic ÷ under
// Tor's algorithm, in the start that is worse.
type goal struct {
	scenario  string
	days      int
	must, aim float64
}

// goals are the rows of the table.
var goals = []goal{
	{"cmu", 30, 1. / 20, 1. / 50},
	{"burst", 30, 1. / 10, 1. / 20},
	{"cloud-young", 365, 1. / 8, 1. / 10},
	{"cloud-aged", 365, 1. / 8, 1. / 10},
	{"one-provider", 365, 1. / 8, 1. / 12},
	{"trickle", 365, 1. / 2, 2. / 5},
	{"kax17", 365, 2. / 5, 1. / 4},
	{"liar", 30, 1. / 5, 1. / 8},
	{"liar-aged", 30, 1. / 5, 1. / 8},
	{"churn", 90, 1. / 5, 1. / 10},
}

const (
	peace     = "peace"
	peaceDays = 120
)

// What the rules may cost: at least so much of the throughput under Tor's
// weights, at most so many days.
const (
	throughputInPeace  = 0.95
	throughputAttacked = 0.85
	newcomerAtMost     = 30
)

// ErrRow is a name that no row of the table has.
var ErrRow = errors.New("no such row")

// A Pair is what one start gives.
type Pair struct {
	Tunic Share   `json:"tunic"`
	Tor   Share   `json:"tor"`
	Ratio float64 `json:"ratio"`
}

// A Row is a scenario and what came of it.
type Row struct {
	Scenario string          `json:"scenario"`
	Days     int             `json:"days"`
	Must     float64         `json:"must"`
	Aim      float64         `json:"aim"`
	Ratio    float64         `json:"ratio"` // in the start that is worse for tunic
	Verdict  string          `json:"verdict"`
	Starts   map[string]Pair `json:"starts"`

	Throughput  float64 `json:"throughput_vs_tor"`
	LoadP95     float64 `json:"load_p95"`
	Idle        float64 `json:"honest_idle"`
	Newcomer    int     `json:"newcomer_half_days"`
	Refused     int     `json:"refused"`
	Quarantined int     `json:"quarantined"`
	GuardShare  float64 `json:"guard_share"` // the attacker's under tunic's rules, on the last day
	ExitShare   float64 `json:"exit_share"`
	Runtime     float64 `json:"runtime_s"`
}

// A Table is all rows.
type Table struct {
	Population string  `json:"population"`
	Clients    int     `json:"clients"`
	Seed       uint64  `json:"seed"`
	Rows       []Row   `json:"rows"`
	Runtime    float64 `json:"runtime_s"`
}

// Tabulate runs the rows of that names, all if there are none.
func Tabulate(ctx context.Context, o Options, only []string, run func(context.Context, Options) ([]*Result, error)) (*Table, error) {
	rows := append([]goal{{scenario: peace, days: peaceDays}}, goals...)
	for _, name := range only {
		if !slices.ContainsFunc(rows, func(g goal) bool { return g.scenario == name }) {
			return nil, fmt.Errorf("%w: %s", ErrRow, name)
		}
	}
	t := &Table{Population: o.Population.Name, Clients: o.Clients, Seed: o.Seed}
	begun := time.Now()
	for _, g := range rows {
		if len(only) > 0 && !slices.Contains(only, g.scenario) {
			continue
		}
		row, err := g.row(ctx, o, run)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.scenario, err)
		}
		t.Rows = append(t.Rows, *row)
	}
	t.Runtime = time.Since(begun).Seconds()
	return t, nil
}

func (g goal) row(ctx context.Context, o Options, run func(context.Context, Options) ([]*Result, error)) (*Row, error) {
	begun := time.Now()
	o.Days, o.Algorithms, o.Starts = g.days, []string{Tunic, Tor}, []string{Steady, Fresh}
	o.Scenario = scenario.Peace()
	if g.scenario == peace {
		o.Clients = 1 // no client is in danger, and loads do not depend on them
	} else {
		var err error
		if o.Scenario, err = scenario.Read(g.scenario); err != nil {
			return nil, err
		}
	}
	results, err := run(ctx, o)
	if err != nil {
		return nil, err
	}
	row := &Row{Scenario: g.scenario, Days: g.days, Must: g.must, Aim: g.aim, Starts: map[string]Pair{}}
	by := func(algorithm, start string) *Result {
		i := slices.IndexFunc(results, func(r *Result) bool { return r.Algorithm == algorithm && r.Start == start })
		return results[i]
	}
	for _, start := range o.Starts {
		at := strconv.Itoa(g.days)
		p := Pair{Tunic: by(Tunic, start).Compromised[at], Tor: by(Tor, start).Compromised[at]}
		if p.Tor.Share > 0 {
			p.Ratio = p.Tunic.Share / p.Tor.Share
		}
		row.Starts[start] = p
		row.Ratio = max(row.Ratio, p.Ratio)
	}
	x := by(Tunic, Steady)
	row.Throughput, row.LoadP95, row.Idle, row.Newcomer = x.ThroughputVsTor, x.LoadP95, x.Idle, *x.NewcomerDays
	row.Refused, row.Quarantined = x.Refused, x.Quarantined
	row.GuardShare, row.ExitShare = x.Attacker.Guard, x.Attacker.Exit
	row.Runtime = time.Since(begun).Seconds()
	row.Verdict = g.verdict(row)
	return row, nil
}

// verdict says which goals a row reaches.
func (g goal) verdict(r *Row) string {
	least := throughputAttacked
	if g.scenario == peace {
		least = throughputInPeace
	}
	switch {
	case g.must > 0 && r.Ratio > g.must:
		return "missed"
	case r.Throughput < least || r.Newcomer < 0 || r.Newcomer > newcomerAtMost:
		return "too dear"
	case g.aim == 0 || r.Ratio <= g.aim:
		return "aim"
	}
	return "must"
}

// Write prints the table for people.
func (t *Table) Write(to io.Writer) error {
	fmt.Fprintf(to, "%s, %d clients, seed %d: clients with a circuit whose guard and exit were both the attacker's\n\n", t.Population, t.Clients, t.Seed)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "scenario\tdays\tsteady: tunic\ttor\tfresh: tunic\ttor\tratio\tmust\taim\t\tguard\texit\tthroughput\tload p95\tidle\tnewcomer\t")
	for _, r := range t.Rows {
		percent := func(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }
		s, f := r.Starts[Steady], r.Starts[Fresh]
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%d d\t\n", r.Scenario, r.Days,
			percent(s.Tunic.Share), percent(s.Tor.Share), percent(f.Tunic.Share), percent(f.Tor.Share), r.Ratio, r.Must, r.Aim, r.Verdict,
			percent(r.GuardShare), percent(r.ExitShare), r.Throughput, r.LoadP95, percent(r.Idle), r.Newcomer)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "\n%.0f s. guard, exit: the attacker's share under tunic's rules on the last day. throughput: median, beside that of\nTor's weights on the same day. idle: what honest relays carry less than under Tor's weights without the attack.\nnewcomer: days until honest ones carry half.\n", t.Runtime)
	return err
}
