package link

import (
	"errors"
	"sync"
	"testing"
	"time"

	"tunic/cell"
)

func TestQueueIsBounded(t *testing.T) {
	l := bareLink(Config{Limits: Limits{QueueCells: 100}})
	c := openCircuit(t, l)
	pushN(t, c, 100, nil)
	if err := c.Push(cell.NewSlot(), cell.Relay, nil); !errors.Is(err, ErrQueueFull) {
		t.Errorf("push number 101: %v, want ErrQueueFull", err)
	}
	if c.Queued() != 100 {
		t.Errorf("%d cells are queued, want 100", c.Queued())
	}
	nextRecord(l, time.Now())
	if c.Queued() != 69 {
		t.Errorf("%d cells are queued after a record, want 69", c.Queued())
	}
	pushN(t, c, 31, nil)
}

func TestDefaultQueueHoldsAWindow(t *testing.T) {
	if n := (Config{}).withDefaults().Limits.QueueCells; n != 16_512 {
		t.Errorf("a circuit's queue takes %d cells, want 16,512", n)
	}
}

func TestCellsLeaveInOrder(t *testing.T) {
	l := bareLink(Config{})
	c := openCircuit(t, l)
	for i := range 100 {
		s := cell.NewSlot()
		s.Body()[0] = byte(i)
		if err := c.Push(s, cell.Relay, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 100; {
		n := l.pick(cell.RecordCells, time.Now())
		for j := range n {
			if got := l.out.cell(j); got[5] != byte(i) || cell.Command(got[4]) != cell.Relay {
				t.Fatalf("cell %d is %d", i, got[5])
			}
			i++
		}
	}
}

func TestDestroyDropsTheQueue(t *testing.T) {
	l := bareLink(Config{})
	c := openCircuit(t, l)
	pushN(t, c, 50, nil)
	c.Destroy(cell.ReasonTimeout)
	if err := c.Push(cell.NewSlot(), cell.Relay, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("push after Destroy: %v, want ErrClosed", err)
	}
	if c.Queued() != 0 || l.Circuits() != 0 {
		t.Errorf("%d cells, %d circuits are left", c.Queued(), l.Circuits())
	}
	c.Destroy(cell.ReasonTimeout) // once is enough
	c.Forget()
	rec := nextRecord(l, time.Now())
	if len(rec) != 1 || cell.Command(l.out.cell(0)[4]) != cell.Destroy {
		t.Errorf("record %v, want one DESTROY", rec)
	}
	if n := l.pick(cell.RecordCells, time.Now()); n != 0 {
		t.Errorf("%d more cells", n)
	}
}

func TestForgetSendsNothing(t *testing.T) {
	l := bareLink(Config{})
	c := openCircuit(t, l)
	pushN(t, c, 50, nil)
	c.Forget()
	if rec := nextRecord(l, time.Now()); len(rec) != 0 {
		t.Errorf("record %v, want none", rec)
	}
}

// A circuit that dies between its Push and the flush of the batch leaves nothing
// behind, nor does one whose link dies.
func TestFlushAfterTheEnd(t *testing.T) {
	l := bareLink(Config{})
	var b Batch
	gone, stopped := openCircuit(t, l), openCircuit(t, l)
	pushN(t, gone, 5, &b)
	gone.Forget()
	b.Flush()
	if rec := nextRecord(l, time.Now()); len(rec) != 0 {
		t.Errorf("record %v, want none", rec)
	}
	pushN(t, stopped, 5, &b)
	l.sched.stop()
	b.Flush()
	if stopped.Queued() != 0 {
		t.Errorf("%d cells wait for a writer that is gone", stopped.Queued())
	}
	if err := stopped.Push(cell.NewSlot(), cell.Relay, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("push without a writer: %v, want ErrClosed", err)
	}
}

// A record full of cells wakes the next link once, and activates its circuit once.
func TestBatchWakesOnce(t *testing.T) {
	l := bareLink(Config{})
	c, d := openCircuit(t, l), openCircuit(t, l)
	l.out.raw = nil // nobody but the writer can write
	var b Batch
	pushN(t, c, 20, &b)
	pushN(t, d, 11, &b)
	if len(b.circuits) != 2 || l.sched.poked {
		t.Fatalf("%d activations are kept, want 2; the writer was woken before the flush: %v", len(b.circuits), l.sched.poked)
	}
	b.Flush()
	if !l.sched.poked || len(l.sched.heap) != 2 || l.sched.turn != writers {
		t.Fatalf("woken %v with %d active circuits, want 2", l.sched.poked, len(l.sched.heap))
	}
	l.sched.poked = false
	pushN(t, c, 5, &b)
	b.Flush()
	if l.sched.poked {
		t.Error("a writer that has its turn was woken")
	}
	if released, _ := l.sched.release(); released {
		t.Error("a writer with cells goes to sleep")
	}
}

// flusher counts its flushes, and may do more.
type flusher struct {
	n    int
	then func()
}

func (f *flusher) FlushBatch() {
	f.n++
	if f.then != nil {
		f.then()
	}
}

func TestBatchFlushers(t *testing.T) {
	l := bareLink(Config{})
	c := openCircuit(t, l)
	var b Batch
	last := &flusher{}
	first := &flusher{then: func() { // an end of a stream may answer
		pushN(t, c, 1, &b)
		b.Add(last)
	}}
	b.Add(first)
	b.Flush()
	b.Flush()
	if first.n != 1 || last.n != 1 || len(l.sched.heap) != 1 {
		t.Errorf("flushed %d and %d times, %d active circuits; want 1, 1, 1", first.n, last.n, len(l.sched.heap))
	}
	var none *Batch
	none.Add(last)
	none.Flush()
	if last.n != 2 {
		t.Error("without a batch a flusher is not called at once")
	}
}

func TestOldestWaits(t *testing.T) {
	l := bareLink(Config{})
	c := openCircuit(t, l)
	if d := c.Oldest(); d != 0 {
		t.Errorf("an empty queue has waited %v", d)
	}
	l.pool.start = time.Now().Add(-time.Minute)
	pushN(t, c, 1, nil)
	l.pool.start = l.pool.start.Add(-time.Second)
	if d := c.Oldest(); d < time.Second || d > 10*time.Second {
		t.Errorf("the oldest cell has waited %v, want about a second", d)
	}
}

// Many push, one sends, some destroy: for the race detector.
func TestConcurrentPush(t *testing.T) {
	l := bareLink(Config{})
	var all []*Circuit
	for range 8 {
		all = append(all, openCircuit(t, l))
	}
	var pushers sync.WaitGroup
	for _, c := range all {
		pushers.Go(func() {
			var b Batch
			for i := range 500 {
				c.Push(cell.NewSlot(), cell.Relay, &b)
				if i%31 == 0 {
					b.Flush()
				}
			}
			b.Flush()
		})
		pushers.Go(func() {
			for range 100 {
				c.Push(cell.NewSlot(), cell.Relay, nil)
			}
		})
	}
	pushers.Go(func() { all[0].Destroy(0); all[1].Forget() })
	sent := map[cell.CircuitID]int{}
	idle := make(chan struct{})
	go func() { pushers.Wait(); close(idle) }()
	for done := false; ; {
		rec := nextRecord(l, time.Now())
		for _, id := range rec {
			sent[id]++
		}
		if len(rec) > 0 {
			continue
		}
		if done {
			break
		}
		select {
		case <-idle:
			done = true
		default:
		}
	}
	for _, c := range all[2:] {
		if sent[c.id] != 600 {
			t.Errorf("%d cells of circuit %v were sent, want 600", sent[c.id], c.id)
		}
	}
}
