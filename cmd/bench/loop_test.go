package bench

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestEachPreparesEveryBatch(t *testing.T) {
	r := &run{Options: Options{Time: MinTime}}
	ready, batches := 0, 0
	c, err := r.each(t.Context(), loop{most: 8,
		prepare: func(n int) error { ready = n; return nil },
		run: func(n int) error {
			if n != ready || n > 8 || n < 1 {
				t.Errorf("a batch of %d after one of %d was prepared", n, ready)
			}
			ready = 0
			batches++
			return nil
		}})
	if err != nil || c < 0 || batches < minBatches {
		t.Errorf("%v for each, %d batches, %v", c, batches, err)
	}
}

func TestLoopEndsWithAnError(t *testing.T) {
	bad := errors.New("bad")
	r := &run{Options: Options{Time: MaxTime}}
	left := 3
	for name, l := range map[string]loop{
		"at once":        {run: func(int) error { return bad }},
		"in preparation": {prepare: func(int) error { return bad }, run: func(int) error { return nil }},
		"later": {most: 1, run: func(int) error {
			if left--; left < 0 {
				return bad
			}
			return nil
		}},
	} {
		if _, err := r.each(t.Context(), l); !errors.Is(err, bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.each(ctx, loop{most: 1, run: func(int) error { return nil }}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context's end: %v", err)
	}
	if _, err := r.rate(t.Context(), 2, func() error { return bad }); !errors.Is(err, bad) {
		t.Errorf("rate: %v", err)
	}
}

func TestCost(t *testing.T) {
	c := cost(500) // ns
	if c.ns() != 500 || c.us() != 0.5 || c.perSecond() != 2e6 || c.mibPerSecond(mib) != 2e6 {
		t.Errorf("%v ns, %v µs, %v a second, %v MiB/s", c.ns(), c.us(), c.perSecond(), c.mibPerSecond(mib))
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{5, 1, 4, 2, 3}
	if m, q := median(v), quantile(v, 0.9); m != 3 || q != 5 {
		t.Errorf("median %v, nine tenths below %v", m, q)
	}
	if m := median([]float64{7}); m != 7 {
		t.Errorf("median of one: %v", m)
	}
}

// Nothing has come through when the time is over: it is looked at longer.
func TestWatchWaitsForSomething(t *testing.T) {
	r, asked := &run{Options: Options{Time: MinTime}}, 0
	w, err := r.watch(t.Context(), nil, nil, func() int64 {
		asked++
		return int64(asked / 5)
	})
	if err != nil || w.amount <= 0 || w.wall < 2*MinTime {
		t.Errorf("%d bytes in %v, %v", w.amount, w.wall, err)
	}
	broken := make(chan struct{})
	close(broken)
	if _, err := r.watch(t.Context(), broken, nil, func() int64 { return 0 }); !errors.Is(err, errLoad) {
		t.Errorf("a load that broke off: %v", err)
	}
}

func TestWindow(t *testing.T) {
	w := window{wall: 2 * time.Second, cpu: 3 * time.Second, amount: gib / 2}
	if w.mibPerSecond() != 256 || w.cores() != 1.5 || w.cpuPerGiB() != 6 {
		t.Errorf("%v MiB/s, %v cores, %v s/GiB", w.mibPerSecond(), w.cores(), w.cpuPerGiB())
	}
}
