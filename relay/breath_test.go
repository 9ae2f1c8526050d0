package relay

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Cells flow from a rate on, by what moved since the last look.
func TestCellsFlowFromARateOn(t *testing.T) {
	for _, row := range []struct {
		rate float64
		want bool
	}{{0, false}, {0.9 * flowRate, false}, {1.1 * flowRate, true}, {20 * flowRate, true}} {
		now := time.Unix(1_800_000_000, 0)
		start := now
		b := newBreath(func() uint64 { return uint64(row.rate * now.Sub(start).Seconds()) })
		if b.flowsAt(now) {
			t.Error("cells flow before any were counted")
		}
		now = now.Add(flowEvery)
		if got := b.flowsAt(now); got != row.want {
			t.Errorf("at %.0f bytes a second: flows = %v, want %v", row.rate, got, row.want)
		}
	}
}

// The rate of dials falls while their turns are late and comes back afterwards,
// within bounds.
func TestDialsAreSlowedWhileTurnsAreLate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	b := newBreath(func() uint64 { return 0 })
	step := func(late time.Duration) float64 {
		now = now.Add(dialEvery)
		b.onTime(now, late)
		b.onTime(now, 2*dialLate) // too soon to count
		return float64(b.dials.Limit() / b.most)
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
	if b.dials.Limit() != b.most {
		t.Errorf("in the end %v a second, want %v", b.dials.Limit(), b.most)
	}
}

// While cells flow dials after a burst have their turns, and one that would wait too
// long is told so; while none do they have no turns.
func TestDialsTakeTurnsWhileCellsFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var moved atomic.Uint64
		b := newBreath(moved.Load)
		flow := func() {
			b.mu.Lock()
			b.at = time.Time{}
			b.mu.Unlock()
			b.mayDial(t.Context())
			moved.Add(10 * flowRate)
			time.Sleep(flowEvery)
		}
		start := time.Now()
		for range 10 * dialBurst {
			if !b.mayDial(t.Context()) {
				t.Fatal("a dial was refused though no cells flow")
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("without cells 1,000 dials took %v", took)
		}
		flow()
		var let, refused atomic.Int64
		var all sync.WaitGroup
		n := dialBurst + int(b.most)*10
		start = time.Now()
		for range n {
			all.Go(func() {
				if b.mayDial(t.Context()) {
					let.Add(1)
				} else {
					refused.Add(1)
				}
			})
		}
		all.Wait()
		want := int64(dialBurst) + int64(float64(b.most)*dialWait.Seconds())
		if got := let.Load(); got < want-1 || got > want+1 || got+refused.Load() != int64(n) {
			t.Errorf("%d dials of %d were let through, want %d", got, n, want)
		}
		if took := time.Since(start); took > dialWait {
			t.Errorf("the last had its turn after %v", took)
		}
	})
}
