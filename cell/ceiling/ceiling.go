// Package ceiling keeps what peers make a node hold below a ceiling, and gives the
// memory of a load that is over back to the system. It knows nothing of what is
// held: who does says how much it is, how long it has waited, and how to be rid
// of it.
//
// A node without traffic costs nothing: the guard sleeps until its gauges have
// counted a mebibyte, looks four times a second while bytes move, and goes back to
// sleep when it has been quiet for a while.
//
// Specification: docs/protocol.md, "Limits of a relay".
package ceiling

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// A Config says what a guard watches.
type Config struct {
	// Limit is the most that may be held, in bytes.
	Limit int64
	// Base returns what is held that nobody can be asked to give up alone, such
	// as the bookkeeping of idle circuits and links; nil: nothing.
	Base func() int64
	// Holdings returns what is held beside that. It is called only when the heap is
	// large enough for the limit to be near.
	Holdings func() []Holding
	// Release gives memory that is not used back to the system; nil: the runtime
	// does so in its own time. It is called at most twice after each load, and at most
	// once a minute where the process grows without one.
	Release func()
}

// A Guard holds a node to its limit. Its gauges may be fed from any goroutine; Run
// is called once.
type Guard struct {
	cfg  Config
	wake chan struct{} // capacity 1: a gauge has passed its mark
	use  func() usage  // of the process
	pace pace          // owned by Run

	// In and Out count what the node reads from its peers and writes to them.
	In, Out Gauge
}

// New returns a guard. It does nothing before [Guard.Run].
func New(cfg Config) *Guard {
	g := &Guard{cfg: cfg, wake: make(chan struct{}, 1), use: read, pace: pace{limit: uint64(max(0, cfg.Limit))}}
	g.In.init(g.wake)
	g.Out.init(g.wake)
	return g
}

// Run watches until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Stop() // nothing to do before a gauge says so
		if next := g.step(time.Now()); next > 0 {
			timer.Reset(next)
		}
		select {
		case <-timer.C:
		case <-g.wake:
		case <-ctx.Done():
			return
		}
	}
}

// step looks once, and returns when to look again; 0 when there is no need to until
// a gauge rings.
func (g *Guard) step(now time.Time) time.Duration {
	d := g.pace.step(now, g.In.total.Load()+g.Out.total.Load(), g.use())
	if d.look {
		g.enforce()
	}
	if d.release && g.cfg.Release != nil {
		g.cfg.Release()
		g.pace.released(g.use())
	}
	// While the guard is awake and looks often, gauges need not ring.
	often := d.next > 0 && d.next <= lookEvery
	g.In.arm(!often)
	g.Out.arm(!often)
	return d.next
}

// enforce ends what has waited longest, if all together is too much.
func (g *Guard) enforce() {
	var base int64
	if g.cfg.Base != nil {
		base = g.cfg.Base()
	}
	for _, h := range Excess(g.cfg.Holdings(), base, g.cfg.Limit) {
		h.End()
	}
}

// A Gauge counts bytes that pass. The zero value counts and tells nobody.
type Gauge struct {
	total atomic.Uint64
	mark  atomic.Uint64 // total at which the guard is woken
	wake  chan<- struct{}
}

func (g *Gauge) init(wake chan<- struct{}) {
	g.wake = wake
	g.mark.Store(notice)
}

// Add counts n bytes. It may be called from any goroutine and never waits.
func (g *Gauge) Add(n int) {
	if g.total.Add(uint64(n)) < g.mark.Load() || g.wake == nil {
		return
	}
	g.mark.Store(math.MaxUint64)
	select {
	case g.wake <- struct{}{}:
	default: // it has been told
	}
}

// Total returns how many bytes have passed.
func (g *Gauge) Total() uint64 { return g.total.Load() }

// arm says whether the next mebibyte wakes the guard.
func (g *Gauge) arm(on bool) {
	if on {
		g.mark.Store(g.total.Load() + notice)
		return
	}
	g.mark.Store(math.MaxUint64)
}
