// Package sim says what an attacker who poses as many relays gains over months:
// it runs the network's own admission, weights and path selection in virtual
// time over a population of relays, beside the rules of other networks.
//
// A run is a [world.World] of relays that come and go, one lane for each algorithm and
// start, and clients that are stepped a day at a time. What a client meets
// depends on the seed, its number, the day and nothing else: neither on threads
// nor on what else runs.
//
// Specification: docs/sybil.md, "The simulator".
package sim

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"tunic/cmd/internal/sim/dice"
	"tunic/cmd/internal/sim/ours"
	"tunic/cmd/internal/sim/population"
	"tunic/cmd/internal/sim/scenario"
	"tunic/cmd/internal/sim/world"
)

// The algorithms.
const (
	Tunic       = "tunic"        // this project's, by its own code
	Tor         = "tor"          // C tor's, two guards in use
	TorNoGuards = "tor-noguards" // Tor's weights, a new guard for each circuit
	Uniform     = "uniform"      // any relay that Tor would let stand in a position, all alike
)

// Algorithms returns the names of all.
func Algorithms() []string { return []string{Tunic, Tor, TorNoGuards, Uniform} }

// When clients choose their first guards.
const (
	Steady = "steady" // each on a day of the two years before the attack, evenly
	Fresh  = "fresh"  // on the day on which the attack begins
)

// Errors of options.
var (
	ErrAlgorithm = errors.New("no such algorithm")
	ErrStart     = errors.New("no such start")
	ErrDays      = errors.New("number of days")
	ErrClients   = errors.New("number of clients")
)

const ( // our choice
	// MaxClients and MaxDays bound a run's memory.
	MaxClients = 10_000_000
	MaxDays    = 3650
	// leadStride is how many days pass between two looks before the attack.
	leadStride = 10
)

// Options are what a run is made of.
type Options struct {
	Population *population.Population
	Scenario   *scenario.Scenario
	Days       int // from the day of the attack
	Clients    int
	Seed       uint64
	Starts     []string
	Algorithms []string
	Rules      Rules
	MeanStay   int // days that an honest relay stays; 0: 500
	TorDelay   int // days before Tor's authorities make a relay a guard, see [world.Options]
	Threads    int // 0: as many as there are
	// Progress is told how much of the run is done, now and then; nil: nobody.
	Progress func(done, all int)
}

// check says what cannot be meant.
func (o *Options) check() error {
	if len(o.Algorithms) == 0 {
		return fmt.Errorf("%w: none is named (there are %s)", ErrAlgorithm, strings.Join(Algorithms(), ", "))
	}
	for _, a := range o.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			return fmt.Errorf("%w: %s (there are %s)", ErrAlgorithm, a, strings.Join(Algorithms(), ", "))
		}
	}
	for _, s := range o.Starts {
		if s != Steady && s != Fresh {
			return fmt.Errorf("%w: %s (there are %s, %s)", ErrStart, s, Steady, Fresh)
		}
	}
	if o.Days < 1 || o.Days > MaxDays {
		return fmt.Errorf("%w: %d: use 1 to %d", ErrDays, o.Days, MaxDays)
	}
	if o.Clients < 1 || o.Clients > MaxClients {
		return fmt.Errorf("%w: %d: use 1 to %d", ErrClients, o.Clients, MaxClients)
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	return o.Rules.check()
}

// A run under way.
type run struct {
	Options
	seed    dice.Seed
	world   *world.World
	lanes   []*lane
	sources []source
	gauge   *gauge
}

// Run runs the simulation and returns a result for each algorithm and start, in
// the order of Algorithms and then Starts.
func Run(ctx context.Context, o Options) ([]*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	r := &run{Options: o, seed: dice.Seed(o.Seed)}
	r.world = world.New(o.Population, o.Scenario, world.Options{Seed: r.seed, Days: o.Days, MeanStay: o.MeanStay, TorGuardDays: o.TorDelay})
	r.gauge = newGauge(r.world, r.seed)
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.loop(ctx); err != nil {
		return nil, err
	}
	var results []*Result
	for _, l := range r.lanes {
		results = append(results, r.result(l))
	}
	return results, nil
}

// prepare makes the sources of days and the lanes.
func (r *run) prepare() error {
	var tor *torSource
	params, err := r.Rules.params()
	if err != nil {
		return err
	}
	for _, a := range r.Algorithms {
		var s source
		switch a {
		case Tunic:
			s = &tunicSource{network: ours.NewNetwork(r.world, params, r.Rules.off()), world: r.world}
		default:
			if tor == nil {
				tor = &torSource{world: r.world, uniform: slices.Contains(r.Algorithms, Uniform)}
				r.sources = append(r.sources, tor)
			}
			s = tor
		}
		if s != source(tor) {
			r.sources = append(r.sources, s)
		}
		for _, start := range r.Starts {
			r.lanes = append(r.lanes, newLane(r, a, start, s))
		}
	}
	return nil
}

// days are those on which the run looks: a few before the attack, all after it.
func (r *run) days() (days []int) {
	for d := -world.Lead; d < 0; d += leadStride {
		days = append(days, d)
	}
	for d := range r.Days {
		days = append(days, d)
	}
	return days
}

// loop steps all lanes through all days. Sources work ahead.
func (r *run) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	days := r.days()
	var ahead []*worker
	for _, s := range r.sources {
		ahead = append(ahead, work(ctx, s, days))
	}
	defer func() {
		cancel()
		for _, w := range ahead {
			w.wait()
		}
	}()
	for i, d := range days {
		mornings := map[source]morning{}
		for k, s := range r.sources {
			m, ok := ahead[k].next(ctx)
			if !ok {
				return context.Cause(ctx)
			}
			mornings[s] = m
		}
		for _, l := range r.lanes {
			if err := ctx.Err(); err != nil {
				return err
			}
			begun := time.Now()
			l.step(d, mornings[l.source])
			l.took += time.Since(begun)
			if d >= 0 {
				r.gauge.measure(l, d, d == r.Days-1, mornings[l.source])
			}
		}
		if r.Progress != nil {
			r.Progress(i+1, len(days))
		}
	}
	for k, s := range r.sources {
		for _, l := range r.lanes {
			if l.source == s {
				l.took += ahead[k].took / time.Duration(r.sharing(s))
			}
		}
	}
	return nil
}

// sharing is how many lanes a source has.
func (r *run) sharing(s source) (n int) {
	for _, l := range r.lanes {
		if l.source == s {
			n++
		}
	}
	return n
}
