package relay

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Workers take a quarter of their time while cells flow, and all of it while none
// do; a few handshakes wait for nothing.
func TestHandshakesRestWhileCellsFlow(t *testing.T) {
	const cost = 250 * time.Microsecond
	for _, row := range []struct {
		name     string
		rate     float64 // bytes a second that flow
		gap      time.Duration
		from, to float64 // share of the time that handshakes take
	}{
		{"no cells", 0, 0, 0.999, 1},
		{"few cells", flowRate / 2, 0, 0.999, 1},
		{"many cells", 20 * flowRate, 0, 0.24, 0.28},
		{"many cells, handshakes now and then", 20 * flowRate, 10 * time.Millisecond, 0.024, 0.0245},
	} {
		now := time.Unix(1_800_000_000, 0)
		start := now
		b := newBreath(func() uint64 { return uint64(row.rate * now.Sub(start).Seconds()) })
		var worked time.Duration
		for now.Sub(start) < 10*time.Second {
			now = now.Add(cost)
			worked += cost
			now = now.Add(b.restAt(now, cost) + row.gap)
		}
		if share := worked.Seconds() / now.Sub(start).Seconds(); share < row.from || share > row.to {
			t.Errorf("%s: handshakes take %.4f of the time, want %.3f to %.3f", row.name, share, row.from, row.to)
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
