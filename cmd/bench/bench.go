// Package bench measures what tunic costs on this machine: the cryptography of a
// cell, handshakes, what one relay can forward, and a whole network, in one
// process and with a process for each node. Beside them it measures the floor:
// what Go's primitives and the kernel alone cost for the same work.
//
// What is measured is what ships: packages onion, hybrid, handshake, link and
// circuit through their own methods, and networks of package localnet through the
// client's SOCKS proxy. What produces the load runs in this process; what is
// measured under load runs in a process of its own (a part, see [ServePart]), so
// that its processor time is known by itself.
//
// It judges nothing: figures depend on the machine and on what else it does.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options say what is measured and for how long.
type Options struct {
	Only       []string      // measurements by name; none: all but the floor
	Floor      bool          // the floor too; with no name in Only, it and what is compared with it
	Short      bool          // everything there is, each for a moment: whether it works, not how fast
	Time       time.Duration // for each figure; 0 for a second, or a moment if Short
	Executable string        // the tunic program, for parts and nodes; empty: this process's own
	Progress   io.Writer     // told what runs, if it is a terminal; nil: nobody
}

const ( // our choice
	defaultTime = time.Second           // for each figure: differences of 2 % show on a quiet machine
	shortTime   = 30 * time.Millisecond // the same if Short: all in a few seconds

	// MinTime and MaxTime bound Options.Time: below, the clock is too coarse;
	// above, something else is wanted.
	MinTime = time.Millisecond
	MaxTime = 10 * time.Minute

	stepPatience = time.Minute // that a step may take beyond ten times what it should
)

var (
	// ErrUnknown is in the chain of the error for a name in Options.Only that
	// names no measurement. Its text lists those that there are.
	ErrUnknown = errors.New("no such measurement")
	// ErrInterrupted says that the context ended before everything was measured.
	ErrInterrupted = errors.New("interrupted")
)

// A measurement is a table of figures.
type measurement struct {
	name, about string
	steps       func(*run) []step
}

// A step is what the progress shows: one or a few figures.
type step struct {
	what  string
	lasts time.Duration // about
	do    func(context.Context) error
}

// measurements returns all there are, in the order in which they run.
func measurements() []measurement {
	return []measurement{
		{"layers", "one layer of one cell, on one core", layerSteps},
		{"records", "a record of cells on a link, on one core", recordSteps},
		{"handshakes", "what a relay spends on a handshake", handshakeSteps},
		{"relay", "one relay between links over loopback; its load is made by another process", relaySteps},
		{"floor", "what Go's primitives and the kernel cost for a GiB through three hops", floorSteps},
		{"network", "three hops, all nodes in one process, through its SOCKS proxy", networkSteps},
		{"processes", "three hops, each node a process of its own, through its SOCKS proxy", processesSteps},
	}
}

const (
	floorName     = "floor"
	networkName   = "network"
	processesName = "processes"
)

// Names returns the names of all measurements, in the order in which they run.
func Names() []string {
	var all []string
	for _, m := range measurements() {
		all = append(all, m.name)
	}
	return all
}

// choose returns the measurements that o asks for.
func choose(o Options) ([]measurement, error) {
	want := map[string]bool{}
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("%w: %q; there are %s", ErrUnknown, name, strings.Join(Names(), ", "))
		}
		want[name] = true
	}
	switch {
	case len(want) > 0:
	case o.Floor:
		want[networkName], want[processesName] = true, true
	default:
		for _, name := range Names() {
			want[name] = name != floorName || o.Short
		}
	}
	if o.Floor {
		want[floorName] = true
	}
	return slices.DeleteFunc(measurements(), func(m measurement) bool { return !want[m.name] }), nil
}

// A run is one call of [Run]. It serves one goroutine.
type run struct {
	Options
	report   Report
	progress *progress
	undo     []func() error // of the measurement under way: the last one first
}

// Run measures what o asks for. After an error the report is nil; the error says
// which step failed, or is [ErrInterrupted].
func Run(ctx context.Context, o Options) (*Report, error) {
	chosen, err := choose(o)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Time == 0 && o.Short:
		o.Time = shortTime
	case o.Time == 0:
		o.Time = defaultTime
	case o.Time < MinTime || o.Time > MaxTime:
		return nil, fmt.Errorf("%v for each figure: use %v to %v", o.Time, MinTime, MaxTime)
	}
	r := &run{Options: o, report: newReport()}
	steps := make([][]step, len(chosen))
	for i, m := range chosen {
		steps[i] = m.steps(r)
	}
	r.progress = newProgress(o.Progress, steps)
	defer r.progress.end()
	for i, m := range chosen {
		if err := r.measure(ctx, m, steps[i]); err != nil {
			return nil, err
		}
	}
	r.compare()
	r.advise()
	return &r.report, nil
}

// measure runs the steps of one measurement, then undoes what they have started.
func (r *run) measure(ctx context.Context, m measurement, steps []step) (err error) {
	defer func() {
		for ; len(r.undo) > 0; r.undo = r.undo[:len(r.undo)-1] {
			if e := r.undo[len(r.undo)-1](); e != nil && err == nil {
				err = fmt.Errorf("%s: %w", m.name, e)
			}
		}
		if err != nil && ctx.Err() != nil {
			err = ErrInterrupted
		}
	}()
	for _, s := range steps {
		r.progress.begin(m.name, s)
		if err := s.within(ctx); err != nil {
			return fmt.Errorf("%s: %s: %w", m.name, s.what, err)
		}
		r.progress.done(s)
	}
	return nil
}

// within does a step, and gives up where it takes far too long.
func (s step) within(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	limit := stepPatience + 10*s.lasts
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %v", limit))
	defer cancel()
	err := s.do(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
