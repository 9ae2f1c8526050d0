package relay

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func always() bool { return true }

// The rate of dials falls while their turns are late and comes back afterwards,
// within bounds.
func TestDialsAreSlowedWhileTurnsAreLate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := newTurns(always)
	defer d.close()
	step := func(late time.Duration) float64 {
		now = now.Add(dialEvery)
		d.onTime(now, late)
		d.onTime(now, 2*dialLate) // too soon to count
		return float64(d.rate.Limit() / d.most)
	}
	for i, row := range []struct {
		late time.Duration
		want float64
	}{{0, 1}, {dialLate, 0.5}, {dialLate, 0.25}, {time.Second, 0.25}, {0, 0.3125}, {dialLate - 1, 0.390625}, {dialLate, 0.25}} {
		if got := step(row.late); got != row.want {
			t.Errorf("step %d: %v of the rate, want %v", i, got, row.want)
		}
	}
	for range 20 {
		step(0)
	}
	if d.rate.Limit() != d.most {
		t.Errorf("in the end %v a second, want %v", d.rate.Limit(), d.most)
	}
}

// While cells flow dials after a burst have their turns, and one that would wait too
// long is told so; while none do they have no turns.
func TestDialsTakeTurnsWhileCellsFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flows atomic.Bool
		d := newTurns(flows.Load)
		defer d.close()
		start := time.Now()
		for range 10 * dialBurst {
			if !d.mayDial(t.Context(), 1) {
				t.Fatal("a dial was refused though no cells flow")
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("without cells 1,000 dials took %v", took)
		}
		flows.Store(true)
		var let, refused atomic.Int64
		var all sync.WaitGroup
		n := dialBurst + int(d.most)*10
		start = time.Now()
		for range n {
			all.Go(func() {
				if d.mayDial(t.Context(), 1) {
					let.Add(1)
				} else {
					refused.Add(1)
				}
			})
		}
		all.Wait()
		want := int64(dialBurst) + int64(float64(d.most)*dialWait.Seconds())
		if got := let.Load(); got < want-2 || got > want+2 || got+refused.Load() != int64(n) {
			t.Errorf("%d dials of %d were let through, want %d", got, n, want)
		}
		if took := time.Since(start); took > dialWait+10*time.Millisecond {
			t.Errorf("the last had its turn after %v", took)
		}
	})
}

// Circuits that dial as fast as they may keep no other circuit waiting.
func TestCircuitsTakeTurnsAtDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const greedy = 6
		d := newTurns(always)
		defer d.close()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for c := range uint64(greedy) {
			for range streamBurst {
				all.Go(func() { d.mayDial(ctx, c) })
			}
		}
		synctest.Wait()
		start := time.Now()
		if !d.mayDial(ctx, greedy) {
			t.Error("a circuit with one dial was refused")
		}
		round := time.Duration(float64(time.Second) * (greedy + 2) / float64(d.most))
		if took := time.Since(start); took > round {
			t.Errorf("its turn came after %v, want %v at most", took, round)
		}
		cancel()
		all.Wait()
	})
}

// A dial that is given up takes no turn of those behind it.
func TestDialsThatAreGivenUpTakeNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTurns(always)
		defer d.close()
		for range dialBurst {
			d.mayDial(t.Context(), 1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { d.mayDial(ctx, 1) })
		}
		synctest.Wait()
		cancel()
		all.Wait()
		start := time.Now()
		if !d.mayDial(t.Context(), 1) {
			t.Error("refused behind dials that were given up")
		}
		if took, turn := time.Since(start), time.Duration(float64(time.Second)/float64(d.most)); took > turn+time.Microsecond {
			t.Errorf("its turn came after %v, want %v at most", took, turn)
		}
	})
}
