package work

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Each worker of a busy node takes a quarter of its time, however many there are; all of
// it where the node is not busy. A few entries wait for nothing.
func TestWorkersOfABusyNodeRest(t *testing.T) {
	const cost = 250 * time.Microsecond
	for _, row := range []struct {
		name     string
		workers  int
		busy     bool
		gap      time.Duration // between entries, 0: there are always some
		from, to float64       // share of the workers' time that entries take
	}{
		{"not busy", 4, false, 0, 0.999, 1},
		{"one worker", 1, true, 0, 0.24, 0.28},
		{"four workers", 4, true, 0, 0.24, 0.28},
		{"now and then", 1, true, 10 * time.Millisecond, 0.024, 0.026},
	} {
		synctest.Test(t, func(t *testing.T) {
			const span = 10 * time.Second
			p := New(Config{Workers: row.workers, MaxAge: time.Hour, Busy: func() bool { return row.busy }})
			var worked atomic.Int64
			entry := func() { time.Sleep(cost); worked.Add(int64(cost)) }
			gap, start := row.gap, time.Now()
			if gap == 0 {
				gap = cost
			}
			for time.Since(start) < span {
				for p.Waiting(Relay) < 2*row.workers && p.Submit(Relay, 1, entry, nil) && row.gap == 0 {
				}
				time.Sleep(gap)
			}
			got := time.Duration(worked.Load()).Seconds() / float64(row.workers) / span.Seconds()
			if got < row.from || got > row.to {
				t.Errorf("%s: entries take %.4f of the workers' time, want %.3f to %.3f", row.name, got, row.from, row.to)
			}
			p.Close()
		})
	}
}
