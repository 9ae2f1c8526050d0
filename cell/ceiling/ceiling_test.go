package ceiling

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs a guard in virtual time until the end of the test.
func run(t *testing.T, g *Guard) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// A guard whose limit is passed ends what has waited longest, soon after bytes
// moved, and goes on until the rest fits. The heap of the test itself is larger than
// three quarters of the limit.
func TestOldestIsEndedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var base atomic.Int64
		base.Store(50)
		var mu sync.Mutex // guards what follows
		var ended []int
		held := map[int]Holding{}
		for i := range 10 {
			held[i] = Holding{Bytes: 10, Oldest: time.Duration(i), End: func() {
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, i)
				delete(held, i)
			}}
		}
		g := New(Config{Limit: 100, Base: base.Load, Holdings: func() (all []Holding) {
			mu.Lock()
			defer mu.Unlock()
			for _, h := range held {
				all = append(all, h)
			}
			return all
		}})
		run(t, g)
		time.Sleep(lookEvery)
		synctest.Wait()
		mu.Lock()
		if len(ended) != 6 || ended[0] != 9 || ended[5] != 4 { // 50 + 4 × 10 = 90
			t.Errorf("ended %v, want 9 to 4", ended)
		}
		mu.Unlock()
		base.Store(1000)
		time.Sleep(lookEvery)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(held) != 0 {
			t.Errorf("%d are held though the base alone is too much", len(held))
		}
	})
}

// A guard that sleeps wakes when bytes have moved, in either direction.
func TestGaugesWakeTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		g := New(Config{Limit: 1 << 50, Holdings: func() []Holding { return nil }, Release: func() { released.Add(1) }})
		var retained atomic.Uint64
		retained.Store(10 << 20)
		g.use = func() usage { return usage{objects: 1 << 20, retained: retained.Load()} }
		run(t, g)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := released.Load(); n != 2 {
			t.Errorf("after the start memory was given back %d times, want twice", n)
		}
		for i, gauge := range []*Gauge{&g.In, &g.Out} {
			retained.Add(32 << 20) // worth giving back
			gauge.Add(notice - 1)
			time.Sleep(time.Hour)
			if n := released.Load(); n != int32(2+2*i) {
				t.Fatalf("a sleeping guard woke by less than its notice: %d", n)
			}
			gauge.Add(1)
			synctest.Wait()
			gauge.Add(notice) // within the next look: a load
			time.Sleep(time.Hour)
			synctest.Wait()
			if n := released.Load(); n != int32(4+2*i) {
				t.Errorf("after a load memory was given back %d times", n)
			}
			if gauge.Total() != 2*notice {
				t.Errorf("counted %d bytes", gauge.Total())
			}
		}
	})
}

// Who counts without a guard's gauge waits for nobody.
func TestZeroGauge(t *testing.T) {
	var g Gauge
	g.Add(notice)
	g.Add(notice)
	if g.Total() != 2*notice {
		t.Errorf("counted %d bytes", g.Total())
	}
}

func BenchmarkGauge(b *testing.B) {
	g := New(Config{Limit: 1 << 50})
	b.ReportAllocs()
	for b.Loop() {
		g.In.Add(16 << 10)
	}
}
