package link_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
)

// A slowed link, both ways.
const (
	slowRate   = 20e6 / 8 // bytes per second
	slowBuffer = 1 << 20  // what the kernel holds unless it is told otherwise
)

// asker is a client and a relay on one slowed link: the relay answers each cell of a
// quiet circuit with 1 KiB while it has always something to send on others.
type asker struct {
	quiet *link.Circuit // the client's
	got   chan struct{} // an answer is complete
	bulk  []*link.Circuit
	came  atomic.Int64
}

const answerCells = 3 // 1 KiB

func newAsker(t *testing.T, trip time.Duration, bulk int) *asker {
	t.Helper()
	a := &asker{got: make(chan struct{}, 1)}
	line := linktest.Line{Delay: trip / 2, Rate: slowRate, Buffer: slowBuffer}
	memory := linktest.NewSlowMemory(func(netip.Addr, netip.Addr) linktest.Line { return line })
	relay := linktest.NewRelay()
	cfg := relay.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		c, err := l.Accept(id, &linktest.Receiver{Cell: func(c *link.Circuit, _ cell.Command, _ []byte, b *link.Batch) {
			for range answerCells {
				if err := c.Push(cell.NewSlot(), cell.Relay, b); err != nil {
					t.Errorf("push: %v", err)
				}
			}
		}})
		if err != nil {
			t.Errorf("accept: %v", err)
		}
		a.bulk = append(a.bulk, c)
	}})
	cfg.Transport = memory.At(netip.MustParseAddr("10.1.0.1"))
	pool := linktest.NewPool(t, cfg)
	client := linktest.Client()
	client.Transport = memory.At(netip.MustParseAddr("10.2.0.1"))
	l := linktest.Dial(t, linktest.NewPool(t, client), relay.Target(linktest.Serve(t, pool, cfg.Transport, "10.1.0.1")))
	for i := range bulk + 1 {
		n := 0
		r := &linktest.Receiver{Cell: func(*link.Circuit, cell.Command, []byte, *link.Batch) {
			if a.came.Add(1); i > 0 {
				return
			}
			if n++; n%answerCells == 0 {
				a.got <- struct{}{}
			}
		}}
		c, err := l.Open(r)
		if err != nil {
			t.Fatal(err)
		}
		push(t, c, cell.CreateDir, "")
		if i == 0 {
			a.quiet = c
		}
	}
	time.Sleep(2 * trip)
	synctest.Wait()     // the circuits are there
	a.bulk = a.bulk[1:] // the first is the quiet one's other end
	return a
}

// ask has one answer come, and returns how long it took.
func (a *asker) ask(t *testing.T) time.Duration {
	start := time.Now()
	push(t, a.quiet, cell.Relay, "")
	<-a.got
	return time.Since(start)
}

// fill keeps the bulk circuits' queues full until stop.
func (a *asker) fill(t *testing.T, stop <-chan struct{}) {
	var b link.Batch
	for {
		for _, c := range a.bulk {
			for n := c.Queued(); n < 1000; n++ {
				if err := c.Push(cell.NewSlot(), cell.Relay, &b); err != nil {
					t.Errorf("push: %v", err)
					return
				}
			}
		}
		b.Flush()
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A link of 20 Mbit/s that four circuits keep busy delays a request on a fifth by no
// more than one idle request and one bandwidth-delay product of the link, and is busy
// nevertheless.
func TestQuietCircuitOnASlowLink(t *testing.T) {
	for _, trip := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond} {
		t.Run(fmt.Sprint(trip), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAsker(t, trip, 4)
				idle := a.ask(t)
				stop, done := make(chan struct{}), make(chan struct{})
				go func() { defer close(done); a.fill(t, stop) }()
				time.Sleep(time.Second)
				before, began := a.came.Load(), time.Now()
				var took []time.Duration
				for range 41 {
					took = append(took, a.ask(t))
					time.Sleep(7 * time.Millisecond)
				}
				rate := float64(a.came.Load()-before) * cell.Size / time.Since(began).Seconds()
				close(stop)
				<-done
				slices.Sort(took)
				median, most := took[len(took)/2], took[len(took)-1]
				t.Logf("idle %v; busy: median %v, most %v, at %.1f %% of the link's rate", idle, median, most, 100*rate/slowRate)
				if limit := 2*idle + trip; median > limit {
					t.Errorf("median %v, want at most %v", median, limit)
				}
				if rate < 0.97*slowRate {
					t.Errorf("the link carries %.0f bytes a second, want at least 97 %% of %.0f", rate, slowRate)
				}
			})
		})
	}
}
