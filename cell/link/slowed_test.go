package link_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
)

// A node that slows a link reads on when the time is up, and loses nothing; a second
// is the longest that a link waits at a time, and one that closes waits no longer.
func TestSlowedLinkIsReadLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pause = 300 * time.Millisecond
		var came []time.Duration
		var slowed *link.Link
		var closed time.Time
		start := time.Now()
		r := newRig(t, func(c *link.Config) {
			c.ReadLimit = passes{} // as a relay has one, which lets everything through
			c.Handler = &linktest.Handler{Closed: func(*link.Link) { closed = time.Now() }, New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
				slowed = l
				came = append(came, time.Since(start))
				l.Refuse(id, cell.ReasonResource)
				l.Slow(pause)
				if id == 1<<31|5 {
					l.Slow(time.Hour)
				}
			}}
		})
		h := r.hostile(t, "10.1.2.3", linktest.Options{})
		start = time.Now()
		for id := range cell.CircuitID(6) {
			h.Send(1<<31|id+1, cell.CreateDir, nil)
			h.ExpectDestroy(1<<31 | id + 1) // told before the pause
		}
		want := []time.Duration{0, pause, 2 * pause, 3 * pause, 4 * pause, 4*pause + time.Second}
		for i := range want {
			if i >= len(came) || came[i] != want[i] {
				t.Fatalf("cells were read after %v, want %v", came, want)
			}
		}
		h.Send(1<<31|5, cell.CreateDir, nil)
		h.ExpectDestroy(1<<31 | 5)
		synctest.Wait()
		now := time.Now()
		slowed.Close()
		synctest.Wait()
		if !closed.Equal(now) {
			t.Errorf("a link that waits is told of its end %v after it", closed.Sub(now))
		}
	})
}

// passes is a limiter that lets everything through.
type passes struct{}

func (passes) Burst() int                       { return 1 << 20 }
func (passes) AllowN(time.Time, int) bool       { return true }
func (passes) WaitN(context.Context, int) error { return nil }
