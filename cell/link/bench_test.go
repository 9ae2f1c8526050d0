package link_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/cell/work"
)

// chain is a client, a relay that passes every cell on, and a relay that counts.
type chain struct {
	in    *link.Circuit // the client's
	got   atomic.Int64  // cells at the end
	room  chan struct{} // a token for each window that has arrived
	limit int64         // cells per window
}

// newChain connects them over TCP.
func newChain(t testing.TB, window int) *chain {
	t.Helper()
	ch := &chain{room: make(chan struct{}, 1), limit: int64(window)}
	end := &linktest.Receiver{Cell: func(*link.Circuit, cell.Command, []byte, *link.Batch) {
		if ch.got.Add(1)%ch.limit == 0 {
			ch.room <- struct{}{}
		}
	}}
	last, middle := linktest.NewRelay(), linktest.NewRelay()
	lastPool := linktest.NewPool(t, last.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		if _, err := l.Accept(id, end); err != nil {
			t.Errorf("accept: %v", err)
		}
	}}))
	target := last.Target(linktest.Serve(t, lastPool, link.TCP{}, "127.0.0.1"))

	var middlePool *link.Pool
	ready := make(chan struct{})
	middlePool = linktest.NewPool(t, middle.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, cmd cell.Command, _ []byte, _ *link.Batch) {
		forward := &linktest.Receiver{}
		if _, err := l.Accept(id, forward); err != nil {
			t.Errorf("accept: %v", err)
		}
		go func() {
			next, err := middlePool.Dial(context.Background(), target)
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			out, err := next.Open(&linktest.Receiver{})
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			forward.Cell = func(_ *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) {
				s := cell.NewSlot()
				copy(s.Body(), body)
				if err := out.Push(s, cmd, b); err != nil {
					t.Errorf("push: %v", err)
				}
			}
			push(t, out, cell.CreateDir, "")
			close(ready)
		}()
	}}))
	addr := linktest.Serve(t, middlePool, link.TCP{}, "127.0.0.1")
	client := linktest.Dial(t, linktest.NewPool(t, linktest.Client()), middle.Target(addr))
	in, err := client.Open(&linktest.Receiver{})
	if err != nil {
		t.Fatal(err)
	}
	ch.in = in
	push(t, in, cell.CreateDir, "")
	select {
	case <-ready:
	case <-time.After(5 * time.Second):
		t.Fatal("the chain does not stand")
	}
	return ch
}

// send pushes a window of cells and waits until all have arrived.
func (c *chain) send(t testing.TB, b *link.Batch) {
	for i := range c.limit {
		s := cell.NewSlot()
		if err := c.in.Push(s, cell.Relay, b); err != nil {
			t.Fatalf("push: %v", err)
		}
		if i%cell.RecordCells == cell.RecordCells-1 {
			b.Flush()
		}
	}
	b.Flush()
	<-c.room
}

// BenchmarkForward sends full windows from a client through a relay: two links, four
// seals and opens per cell in one process.
func BenchmarkForward(b *testing.B) {
	ch := newChain(b, 1024)
	var batch link.Batch
	ch.send(b, &batch)
	b.SetBytes(1024 * cell.BodySize)
	b.ReportAllocs()
	for b.Loop() {
		ch.send(b, &batch)
	}
}

// BenchmarkForwardOne sends one cell and waits for it: latency.
func BenchmarkForwardOne(b *testing.B) {
	ch := newChain(b, 1)
	var batch link.Batch
	b.ReportAllocs()
	for b.Loop() {
		ch.send(b, &batch)
	}
}

// BenchmarkHandshakeTCP makes links over TCP on loopback: both ends' work.
func BenchmarkHandshakeTCP(b *testing.B) {
	r := linktest.NewRelay()
	cfg := r.Config(nil)
	cfg.SourceClass = func(netip.Addr) work.Class { return work.Relay }
	pool := linktest.NewPool(b, cfg)
	target := r.Target(linktest.Serve(b, pool, link.TCP{}, "127.0.0.1"))
	client := linktest.NewPool(b, linktest.Client())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Test(context.Background(), target); err != nil {
			b.Fatal(err)
		}
	}
}
