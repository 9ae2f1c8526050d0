package link_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
)

// A link without a circuit closes after a drawn time; which depends on the peer.
func TestIdleLinkCloses(t *testing.T) {
	for name, c := range map[string]struct {
		as       *linktest.Relay
		min, max time.Duration
	}{
		"client": {nil, 3 * time.Minute, 270 * time.Second},
		"relay":  {linktest.NewRelay(), 45 * time.Minute, 75 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			drawn := map[time.Duration]bool{}
			for range 4 {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(c *link.Config) { c.Padding.Low = -1 })
					as := c.as
					if as != nil {
						as = linktest.NewRelay() // its certificate is of this bubble's time
					}
					h := r.hostile(t, "10.1.1.1", linktest.Options{As: as})
					l := r.link(t, h)
					began := time.Now()
					h.ExpectClosed(2 * time.Hour)
					took := time.Since(began)
					if took < c.min || took > c.max {
						t.Errorf("closed after %v, want %v to %v", took, c.min, c.max)
					}
					synctest.Wait()
					if !errors.Is(l.Err(), link.ErrIdle) {
						t.Errorf("closed because of %v", l.Err())
					}
					drawn[took] = true
				})
			}
			if len(drawn) < 3 {
				t.Errorf("four links closed after %v: not drawn", drawn)
			}
		})
	}
}

// A link with a circuit does not close; once it is gone the time begins anew.
func TestCircuitKeepsLinkOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		h := r.hostile(t, "10.1.1.1", linktest.Options{})
		l := r.link(t, h)
		c, err := l.Open(&linktest.Receiver{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if l.Err() != nil {
			t.Fatalf("a link with a circuit closed: %v", l.Err())
		}
		c.Forget()
		time.Sleep(2 * time.Minute)
		if l.Err() != nil {
			t.Fatalf("a link closed two minutes after its last circuit: %v", l.Err())
		}
		time.Sleep(3 * time.Minute)
		if !errors.Is(l.Err(), link.ErrIdle) {
			t.Errorf("a link without a circuit lives: %v", l.Err())
		}
	})
}

// gaps returns the times between n cells that come without being asked for.
func gaps(t *testing.T, h *linktest.Hostile, n int) (all []time.Duration) {
	t.Helper()
	last := time.Now()
	for range n {
		rec, err := h.NextRecord(time.Hour)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if len(rec) != 1 || rec[0].Command != cell.Padding || rec[0].ID != 0 {
			t.Fatalf("got %v, want one PADDING", rec)
		}
		for _, b := range rec[0].Body {
			if b != 0 {
				t.Fatal("a PADDING is not zeros")
			}
		}
		all = append(all, time.Since(last))
		last = time.Now()
	}
	return all
}

func TestKeepaliveBetweenRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		// It offers padding as everybody does; between relays there is none.
		h := r.hostile(t, "10.1.1.1", linktest.Options{As: linktest.NewRelay(), Padding: bounds(1500, 9500)})
		for _, d := range gaps(t, h, 5) {
			if d != 5*time.Minute {
				t.Errorf("a gap of %v, want 5m", d)
			}
		}
	})
}

// bounds is padding as it stands in message 1 and NEGOTIATE_PADDING.
func bounds(low, high uint16) (b [4]byte) {
	binary.BigEndian.PutUint16(b[:], low)
	binary.BigEndian.PutUint16(b[2:], high)
	return b
}

// A relay pads a client's link as the client asked, but no more often than the relay
// likes.
func TestRelayPadsAsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		asked    [4]byte
		min, max time.Duration
	}{
		"default":   {bounds(1500, 9500), 1500 * time.Millisecond, 9500 * time.Millisecond},
		"faster":    {bounds(1, 5), 1500 * time.Millisecond, 9500 * time.Millisecond},
		"reduced":   {bounds(9000, 14000), 9 * time.Second, 14 * time.Second},
		"none":      {bounds(0, 0), 5 * time.Minute, 5 * time.Minute},
		"exactly":   {bounds(60000, 60000), time.Minute, time.Minute},
		"no spread": {bounds(9500, 9500), 9500 * time.Millisecond, 9500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(c *link.Config) { c.Limits.IdleClient = 24 * time.Hour })
				h := r.hostile(t, "10.1.1.1", linktest.Options{Padding: c.asked})
				different := map[time.Duration]bool{}
				for _, d := range gaps(t, h, 30) {
					if d < c.min || d > c.max {
						t.Errorf("a gap of %v, want %v to %v", d, c.min, c.max)
					}
					different[d] = true
				}
				if c.min < c.max && len(different) < 20 {
					t.Errorf("30 gaps have %d lengths: not drawn", len(different))
				}
			})
		})
	}
}

// A client pads towards its guard.
func TestClientPads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := linktest.NewMemory()
		ln := linktest.Listen(t, m.At(netip.MustParseAddr("10.0.0.2")), "10.0.0.2")
		cfg := linktest.Client()
		cfg.Transport = m.At(netip.MustParseAddr("10.0.0.3"))
		cfg.Padding = link.Padding{Low: 2 * time.Second, High: 3 * time.Second}
		near, h := ln.Meet(linktest.NewPool(t, cfg), linktest.Options{})
		for _, d := range gaps(t, h, 20) {
			if d < 2*time.Second || d > 3*time.Second {
				t.Errorf("a gap of %v, want 2 to 3 s", d)
			}
		}
		if err := near.NegotiatePadding(link.Padding{Low: 20 * time.Second, High: 20 * time.Second}); err != nil {
			t.Fatal(err)
		}
		want := bounds(20_000, 20_000)
		if body := h.Expect(0, cell.NegotiatePadding); [4]byte(body) != want {
			t.Errorf("asked for %x, want %x", body[:4], want)
		}
		for _, d := range gaps(t, h, 3) {
			if d != 20*time.Second {
				t.Errorf("a gap of %v, want 20s", d)
			}
		}
		near.NegotiatePadding(link.Padding{Low: -1})
		if body := h.Expect(0, cell.NegotiatePadding); [4]byte(body) != bounds(0, 0) {
			t.Errorf("asked for %x, want none", body[:4])
		}
		if _, err := h.NextRecord(2 * time.Minute); err == nil {
			t.Error("padding goes on")
		}
	})
}

// The negotiation changes what the relay does, at once.
func TestRelayObeysNegotiation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) { c.Limits.IdleClient = 24 * time.Hour })
		h := r.hostile(t, "10.1.1.1", linktest.Options{})
		time.Sleep(time.Minute)
		ask := bounds(10_000, 10_000)
		h.Send(0, cell.NegotiatePadding, ask[:])
		if d := gaps(t, h, 2)[1]; d != 10*time.Second {
			t.Errorf("a gap of %v, want 10s", d)
		}
	})
}

// Cells count as padding does: who sends needs none.
func TestNoPaddingWhileCellsFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		h := r.hostile(t, "10.1.1.1", linktest.Options{Padding: bounds(1500, 9500)})
		l := r.link(t, h)
		c, err := l.Open(&linktest.Receiver{})
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			time.Sleep(time.Second)
			push(t, c, cell.Relay, "")
			if got, err := h.NextAny(time.Second / 2); err != nil || got.Command != cell.Relay {
				t.Fatalf("got %v, %v; want the cell", got, err)
			}
		}
	})
}

// Only a client negotiates padding, and only bounds that make sense.
func TestNegotiationIsTheClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		good, wrong := bounds(2000, 3000), bounds(3000, 2000)
		relay := r.hostile(t, "10.1.1.1", linktest.Options{As: linktest.NewRelay()})
		relay.Send(0, cell.NegotiatePadding, good[:])
		relay.ExpectClosed(time.Second)
		client := r.hostile(t, "10.1.1.1", linktest.Options{})
		client.Send(0, cell.NegotiatePadding, wrong[:])
		client.ExpectClosed(time.Second)

		ln := linktest.Listen(t, r.At(netip.MustParseAddr("10.0.0.2")), "10.0.0.2")
		p, _ := r.dialler(t, linktest.Client(), "10.0.0.3")
		_, h := ln.Meet(p, linktest.Options{})
		h.Send(0, cell.NegotiatePadding, good[:]) // a responder must not
		h.ExpectClosed(time.Second)

		q, _ := r.dialler(t, linktest.NewRelay().Config(nil), "10.0.0.4")
		l := linktest.Dial(t, q, r.relay.Target(r.addr))
		if err := l.NegotiatePadding(link.Padding{}); !errors.Is(err, link.ErrNotClient) {
			t.Errorf("a relay negotiates: %v", err)
		}
	})
}

// A record that begins and does not go on ends the link, however slowly it drips;
// one that is slow but comes does not.
func TestStalledRecord(t *testing.T) {
	for name, c := range map[string]struct {
		send  int // bytes of the record's 535
		pause time.Duration
		lives bool
	}{
		"first byte only": {1, 0, false}, "length only": {2, 0, false}, "half": {300, 0, false},
		"a byte a second": {535, time.Second, false}, "slowly": {535, 50 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				h := r.hostile(t, "10.1.1.1", linktest.Options{})
				l := r.link(t, h)
				began := time.Now()
				rec := h.Record(linktest.Cell{})[:c.send]
				sent := make(chan error, 1)
				go func() { sent <- h.SendSlowly(rec, c.pause) }()
				if c.lives {
					if err := <-sent; err != nil {
						t.Fatal(err)
					}
					h.Alive()
					return
				}
				<-l.Done()
				if d := time.Since(began); d < 30*time.Second || d > 61*time.Second {
					t.Errorf("closed after %v, want 30 to 60 s", d)
				}
				<-sent
			})
		})
	}
}

// A peer that reads nothing is given up after one to two minutes, and no reader
// waits for it meanwhile.
func TestPeerThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *link.Config) { c.Limits.QueueCells = 1000 })
		deaf := r.hostile(t, "10.1.1.1", linktest.Options{As: linktest.NewRelay()})
		l := r.link(t, deaf)
		c, err := l.Open(&linktest.Receiver{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		pushed := 0
		for ; err == nil; pushed++ {
			err = c.Push(cell.NewSlot(), cell.Relay, nil)
			synctest.Wait()
		}
		if !errors.Is(err, link.ErrQueueFull) || pushed < 1000 || pushed > 1300 {
			t.Errorf("%d cells were taken, then %v; want ErrQueueFull after 1,000 and what the connection holds", pushed, err)
		}
		c.Destroy(cell.ReasonResource)
		<-l.Done()
		if d := time.Since(began); d < time.Minute || d > 2*time.Minute {
			t.Errorf("closed after %v, want 1 to 2 minutes", d)
		}
	})
}

// More than 1,024 answers that wait and belong to no circuit close the link.
func TestControlQueueOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		h := r.hostile(t, "10.1.1.1", linktest.Options{})
		l := r.link(t, h)
		sent := 0
		for id := cell.CircuitID(1); l.Err() == nil && id < 10_000; id++ {
			l.Refuse(id, cell.ReasonRefused) // the peer does not read
			sent++
			if sent == 1024 && l.Err() != nil {
				t.Fatal("1,024 answers closed the link")
			}
			synctest.Wait()
		}
		if l.Err() == nil {
			t.Error("the link takes answers without end")
		}
	})
}

// DESTROYs of circuits that the link has had do not count for that bound, so that
// one link's end does not close others.
func TestManyCircuitsEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		h := r.hostile(t, "10.1.1.1", linktest.Options{})
		l := r.link(t, h)
		var all []*link.Circuit
		for range 5000 {
			c, err := l.Open(&linktest.Receiver{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		for _, c := range all {
			c.Destroy(cell.ReasonLinkClosed)
		}
		for _, c := range all {
			h.ExpectDestroy(c.ID())
		}
		h.Alive()
	})
}

// Close writes what is queued first, and the peer gets it.
func TestCloseFlushes(t *testing.T) {
	r := linktest.NewRelay()
	var got atomic.Int32
	ended := make(chan struct{})
	theirs := &linktest.Receiver{
		Cell:   func(*link.Circuit, cell.Command, []byte, *link.Batch) { got.Add(1) },
		Closed: func(*link.Circuit) { close(ended) },
	}
	cfg := r.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		l.Accept(id, theirs)
	}})
	near, far := linktest.PairTCP(t, linktest.Client(), cfg, r)
	closed := make(chan *link.Circuit, 1)
	c, err := near.Open(&linktest.Receiver{Closed: func(c *link.Circuit) { closed <- c }})
	if err != nil {
		t.Fatal(err)
	}
	push(t, c, cell.CreateDir, "")
	var b link.Batch
	const n = 5000
	for range n {
		if err := c.Push(cell.NewSlot(), cell.Relay, &b); err != nil {
			t.Fatal(err)
		}
	}
	b.Flush()
	near.Close()
	near.Close()
	if err := c.Push(cell.NewSlot(), cell.Relay, nil); !errors.Is(err, link.ErrClosed) {
		t.Errorf("push after Close: %v", err)
	}
	if _, err := near.Open(&linktest.Receiver{}); !errors.Is(err, link.ErrClosed) {
		t.Errorf("open after Close: %v", err)
	}
	if within(t, closed) != c {
		t.Error("the circuit was not told")
	}
	within(t, ended)
	if got.Load() != n {
		t.Errorf("%d of %d cells arrived", got.Load(), n)
	}
	if !errors.Is(far.Err(), link.ErrPeerClosed) || !errors.Is(near.Err(), link.ErrClosed) {
		t.Errorf("ended by %v and %v", far.Err(), near.Err())
	}
}

// Close does not wait for a peer that reads nothing: two seconds at most.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		deaf := r.hostile(t, "10.1.1.1", linktest.Options{As: linktest.NewRelay()})
		l := r.link(t, deaf)
		c, err := l.Open(&linktest.Receiver{})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			push(t, c, cell.Relay, "")
		}
		began := time.Now()
		r.pool.Close()
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("Close took %v", d)
		}
	})
}

// The end of a link is told to each circuit that it had, then to the handler, once.
func TestEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var circuits, links atomic.Int32
		told := &linktest.Receiver{Closed: func(*link.Circuit) { circuits.Add(1) }}
		r := newRig(t, func(c *link.Config) {
			c.Handler = &linktest.Handler{
				New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) { l.Accept(id, told) },
				Closed: func(l *link.Link) {
					if n := circuits.Load(); n != 2 {
						t.Errorf("the handler was told after %d of 2 circuits", n)
					}
					links.Add(1)
				},
			}
		})
		h := r.hostile(t, "10.1.1.1", linktest.Options{})
		for i := range uint32(4) {
			h.Send(h.NewID(i), cell.CreateDir, nil)
		}
		h.Send(h.NewID(0), cell.Destroy, nil)
		h.Send(h.NewID(1), cell.Destroy, nil)
		h.Close()
		synctest.Wait()
		if circuits.Load() != 2 || links.Load() != 1 {
			t.Errorf("%d circuits and %d links were told, want 2 and 1", circuits.Load(), links.Load())
		}
	})
}

// limiter counts what it lets through, and takes time for it.
type limiter struct {
	burst int
	taken atomic.Int64
	calls atomic.Int64
	pause time.Duration
}

func (l *limiter) Burst() int                 { return l.burst }
func (l *limiter) AllowN(time.Time, int) bool { return false }
func (l *limiter) WaitN(ctx context.Context, n int) error {
	if n > l.burst {
		return errors.New("more than a burst")
	}
	l.calls.Add(1)
	l.taken.Add(int64(n))
	select {
	case <-time.After(l.pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The limits are asked once for what is read at a time, and for what is written, in
// portions that fit their burst.
func TestLimiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := &limiter{burst: 1000, pause: time.Second}, &limiter{burst: 1 << 20}
		r := newRig(t, func(c *link.Config) { c.ReadLimit, c.WriteLimit = in, out })
		h := r.hostile(t, "10.1.1.1", linktest.Options{})
		var many []linktest.Cell
		for i := range uint32(31) {
			many = append(many, linktest.Cell{ID: h.NewID(i), Command: cell.CreateDir})
		}
		h.SendCells(many...)
		for _, c := range many {
			h.ExpectDestroy(c.ID)
		}
		synctest.Wait()
		if n := in.taken.Load(); n != 1000 { // the first portion of 16,045 bytes
			t.Errorf("%d bytes were asked for, want 1,000", n)
		}
		if n := out.taken.Load(); n < 31*517 || n > 31*(517+18) {
			t.Errorf("%d bytes were let out", n)
		}
		time.Sleep(17 * time.Second)
		if n, m := in.taken.Load(), in.calls.Load(); n != 16_045 || m != 17 {
			t.Errorf("%d bytes in %d portions, want 16,045 in 17", n, m)
		}
		h.SendCells(many...) // a link that waits for the limit still closes
		synctest.Wait()
		began := time.Now()
		r.pool.Close()
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("Close took %v", d)
		}
	})
}
