package sim

import (
	"context"
	"slices"
	"time"

	"tunic/cmd/internal/sim/ours"
	"tunic/cmd/internal/sim/tor"
	"tunic/cmd/internal/sim/world"
	"tunic/directory"
)

// A source makes what lanes need of a day, a day after the other.
type source interface {
	open(day int) morning
}

// A morning is a day as a source makes it; it does not change any more.
type morning any

// A worker makes mornings ahead of those who need them.
type worker struct {
	out  chan morning // closed by the worker
	done chan struct{}
	took time.Duration // good when done is closed
}

// workAhead is how many mornings are made before they are asked for.
const workAhead = 2

// work starts a worker; it ends with the days or with ctx.
func work(ctx context.Context, s source, days []int) *worker {
	w := &worker{out: make(chan morning, workAhead), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer close(w.out)
		for _, d := range days {
			begun := time.Now()
			m := s.open(d)
			w.took += time.Since(begun)
			select {
			case w.out <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return w
}

// next returns the next morning; ok is false when ctx ended first.
func (w *worker) next(ctx context.Context) (m morning, ok bool) {
	select {
	case m, ok = <-w.out:
		return m, ok
	case <-ctx.Done():
		return nil, false
	}
}

// wait returns when the worker has ended.
func (w *worker) wait() { <-w.done }

// A tunicSource is tunic's authorities.
type tunicSource struct {
	network *ours.Network
	world   *world.World
}

// A tunicDay is a day under tunic's rules.
type tunicDay struct {
	*ours.Day
	chances *ours.Chances
	down    func(int32) bool
}

func (s *tunicSource) open(day int) morning {
	d := s.network.Open(day)
	return &tunicDay{d, ours.NewChances(s.world, d), knockedOut(s.world, d.Shares)}
}

// A torSource is Tor's authorities.
type torSource struct {
	world   *world.World
	uniform bool
}

// A torDay is a day under Tor's weights.
type torDay struct {
	*tor.Day
	shares, even *world.Shares
	bad          exposure // by Tor's weights
	evenly       exposure // by none
	down         func(int32) bool
}

func (s *torSource) open(day int) morning {
	t := &torDay{shares: s.world.Tor(day)}
	t.down = knockedOut(s.world, t.shares)
	t.Day = tor.NewDay(day, len(s.world.Nodes), t.shares.Listed, t.shares.Guard, t.down)
	t.bad = exposureOf(s.world, t.shares)
	if s.uniform {
		t.even = s.world.Uniform(day)
		t.evenly = exposureOf(s.world, t.even)
	}
	return t
}

// knockedOut returns which guards the attacker makes unreachable that day, nil
// if none.
func knockedOut(w *world.World, s *world.Shares) func(int32) bool {
	if s.Day < 0 || w.Scenario.Adversary.ChurnGuardsPerDay == 0 {
		return nil
	}
	guards := 0
	for _, i := range s.Listed {
		if !w.Nodes[i].Bad && w.Nodes[i].Flags.Has(directory.Guard) {
			guards++
		}
	}
	down := make([]bool, len(w.Nodes))
	for _, i := range s.Listed {
		down[i] = w.KnockedOut(i, s.Day, guards)
	}
	if !slices.Contains(down, true) {
		return nil
	}
	return func(i int32) bool { return down[i] }
}

// An exposure is what the attacker's relays count in the outer positions, by
// their /16: relays of one are never in one path, and with honest ones they
// share none. If they are one family all are as one range.
type exposure struct {
	guard, exit   []float64
	guards, exits float64
	family        bool
	unguarded     float64 // see perCircuit
}

func exposureOf(w *world.World, s *world.Shares) exposure {
	e := exposure{guard: make([]float64, w.Ranges), exit: make([]float64, w.Ranges), family: w.Scenario.Adversary.DeclareFamily}
	for k, i := range s.Listed {
		if n := &w.Nodes[i]; n.Bad {
			e.guard[n.Range] += s.Guard[k]
			e.exit[n.Range] += s.Exit[k]
			e.guards += s.Guard[k]
			e.exits += s.Exit[k]
		}
	}
	e.unguarded = e.perCircuit()
	return e
}

// perCircuit is the chance that both ends of a circuit are the attacker's when
// the guard is drawn for each circuit, among those that go with the exit.
func (e *exposure) perCircuit() (p float64) {
	if e.family {
		return 0
	}
	for k, exit := range e.exit {
		if left := 1 - e.guard[k]; left > 0 {
			p += exit * (e.guards - e.guard[k]) / left
		}
	}
	return p
}
