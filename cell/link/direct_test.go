package link_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
)

// These tests run over TCP: only there does whoever queues cells write them.

// tcpCircuit has a peer open a circuit, and returns a relay's end of it.
func tcpCircuit(t *testing.T, opt linktest.Options, edit func(*link.Config)) (*link.Circuit, *linktest.Hostile) {
	t.Helper()
	made := make(chan *link.Circuit, 1)
	relay := linktest.NewRelay()
	cfg := relay.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		c, err := l.Accept(id, &linktest.Receiver{})
		if err != nil {
			t.Errorf("accept: %v", err)
		}
		made <- c
	}})
	if edit != nil {
		edit(&cfg)
	}
	pool := linktest.NewPool(t, cfg)
	h := linktest.Connect(t, relay.Target(linktest.Serve(t, pool, link.TCP{}, "127.0.0.1")), opt)
	h.Send(h.NewID(0), cell.CreateDir, nil)
	return <-made, h
}

// pushNumbered queues n cells that say which they are.
func pushNumbered(t *testing.T, c *link.Circuit, n int, b *link.Batch) {
	t.Helper()
	for i := range n {
		s := cell.NewSlot()
		binary.BigEndian.PutUint32(s.Body(), uint32(i))
		if err := c.Push(s, cell.Relay, b); err != nil {
			t.Fatalf("push: %v", err)
		}
	}
}

// expectNumbered wants the same cells, in order.
func expectNumbered(t *testing.T, h *linktest.Hostile, c *link.Circuit, n int) {
	t.Helper()
	for i := range n {
		if got := binary.BigEndian.Uint32(h.Expect(c.ID(), cell.Relay)); got != uint32(i) {
			t.Fatalf("cell %d came in the place of %d", got, i)
		}
	}
}

// A flush writes what the connection takes and waits for nothing; the rest follows
// when the peer reads, in order, also what was queued behind it.
func TestFlushLeavesTheRestToTheWriter(t *testing.T) {
	c, h := tcpCircuit(t, linktest.Options{}, nil)
	var b link.Batch
	const cells = 16_000 // 8 MB: more than the kernels take
	pushNumbered(t, c, cells, &b)
	b.Flush() // returns though nobody reads
	if c.Queued() == 0 {
		t.Skip("this system's buffers take everything")
	}
	expectNumbered(t, h, c, cells)
	for range 3 { // and it goes on
		pushNumbered(t, c, 100, &b)
		b.Flush()
		expectNumbered(t, h, c, 100)
	}
}

// Many who flush at the same time, and the writer, take turns: nothing is lost and
// each circuit's cells stay in order.
func TestTurnsAtOneLink(t *testing.T) {
	c, h := tcpCircuit(t, linktest.Options{}, nil)
	const circuits, rounds, each = 4, 50, 40
	all := []*link.Circuit{c}
	for range circuits - 1 {
		o, err := c.Link().Open(&linktest.Receiver{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	for i, c := range all {
		go func() { // ends when all is queued
			var b link.Batch
			batch := &b
			if i == 0 {
				batch = nil // by the writer
			}
			for r := range rounds {
				for k := range each {
					s := cell.NewSlot()
					binary.BigEndian.PutUint32(s.Body(), uint32(r*each+k))
					if err := c.Push(s, cell.Relay, batch); err != nil {
						t.Errorf("push: %v", err)
						return
					}
				}
				batch.Flush()
			}
		}()
	}
	next := map[cell.CircuitID]uint32{}
	for range circuits * rounds * each {
		got, err := h.Next(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if n := binary.BigEndian.Uint32(got.Body); n != next[got.ID] {
			t.Fatalf("cell %d of circuit %v came in the place of %d", n, got.ID, next[got.ID])
		}
		next[got.ID]++
	}
}

// tokens is a limiter that lets a number of bytes through at once, and all others
// after a wait.
type tokens struct{ left, now, waited atomic.Int64 }

func (l *tokens) Burst() int { return 1 << 20 }

func (l *tokens) AllowN(_ time.Time, n int) bool {
	if l.left.Add(-int64(n)) < 0 {
		return false
	}
	l.now.Add(int64(n))
	return true
}

func (l *tokens) WaitN(_ context.Context, n int) error {
	l.waited.Add(int64(n))
	return nil
}

// Every byte is asked for once, whether there are tokens for it at once or not.
func TestLimitOfADirectWrite(t *testing.T) {
	lim := &tokens{}
	lim.left.Store(30_000)
	c, h := tcpCircuit(t, linktest.Options{}, func(cfg *link.Config) { cfg.WriteLimit = lim })
	var b link.Batch
	written := int64(0)
	for range 2000 { // until some were written at once: now and then the writer is in the way
		pushNumbered(t, c, 10, &b)
		b.Flush()
		expectNumbered(t, h, c, 10)
		written += 10*cell.Size + 18
		if lim.now.Load() > 0 && lim.waited.Load() > 0 {
			break
		}
	}
	if now, waited := lim.now.Load(), lim.waited.Load(); now == 0 || waited == 0 || now+waited != written {
		t.Errorf("%d bytes at once, %d after a wait; want some each, %d together", now, waited, written)
	}
}

// A write by somebody else than the writer puts the time for PADDING off, and draws
// it anew.
func TestPaddingAfterADirectWrite(t *testing.T) {
	pad := link.Padding{Low: 100 * time.Millisecond, High: 200 * time.Millisecond}
	c, h := tcpCircuit(t, linktest.Options{Padding: bounds(100, 200)}, func(cfg *link.Config) { cfg.Padding = pad })
	var b link.Batch
	for range 3 {
		pushNumbered(t, c, 1, &b)
		wrote := time.Now()
		b.Flush()
		for seen := false; ; {
			got, err := h.NextAny(10 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if seen && got.Command == cell.Padding {
				break
			}
			seen = seen || got.Command == cell.Relay
		}
		if d := time.Since(wrote); d < pad.Low {
			t.Errorf("PADDING %v after a cell, want %v at least", d, pad.Low)
		}
	}
}
