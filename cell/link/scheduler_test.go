package link

import (
	"math"
	"testing"
	"time"

	"tunic/cell"

	"pgregory.net/rapid"
)

// bareLink returns a link without a connection or loops: a table, queues and a
// scheduler.
func bareLink(cfg Config) *Link {
	p := &Pool{cfg: cfg.withDefaults(), start: time.Now()}
	l := &Link{pool: p, done: make(chan struct{}), nextID: 1, idsLeft: ids}
	l.sched.epoch = time.Now()
	l.out.pace.cells = cell.RecordCells
	return l
}

type nobody struct{}

func (nobody) Receive(*Circuit, cell.Command, []byte, *Batch) {}
func (nobody) LinkClosed(*Circuit)                            {}

func openCircuit(t testing.TB, l *Link) *Circuit {
	t.Helper()
	c, err := l.Open(nobody{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pushN queues n cells.
func pushN(t testing.TB, c *Circuit, n int, b *Batch) {
	t.Helper()
	for range n {
		if err := c.Push(cell.NewSlot(), cell.Relay, b); err != nil {
			t.Fatal(err)
		}
	}
}

// nextRecord returns the circuits of the cells in the next record.
func nextRecord(l *Link, now time.Time) []cell.CircuitID {
	var all []cell.CircuitID
	for i := range l.pick(cell.RecordCells, now) {
		all = append(all, cell.ParseHeader((*[cell.Size]byte)(l.out.cell(i))).Circuit)
	}
	return all
}

func count(all []cell.CircuitID, c *Circuit) (n int) {
	for _, id := range all {
		if id == c.id {
			n++
		}
	}
	return n
}

func TestQuietCircuitGoesFirst(t *testing.T) {
	l := bareLink(Config{})
	bulk, quiet := openCircuit(t, l), openCircuit(t, l)
	now := time.Now()
	pushN(t, bulk, 1000, nil)
	for range 5 {
		nextRecord(l, now)
	}
	pushN(t, quiet, 1, nil)
	rec := nextRecord(l, now)
	if len(rec) != cell.RecordCells || rec[0] != quiet.id || count(rec, bulk) != cell.RecordCells-1 {
		t.Errorf("the record begins with %v of %d cells, want the quiet circuit first", rec[0], len(rec))
	}
}

// However many quieter circuits have cells all the time, one that has sent much gets
// its turn: within as many cells as one round for each circuit.
func TestQuietCircuitsStarveNobody(t *testing.T) {
	l := bareLink(Config{})
	bulk := openCircuit(t, l)
	pushN(t, bulk, 3000, nil)
	now := time.Now()
	for range 96 {
		nextRecord(l, now)
	}
	var quiet []*Circuit
	for range 20 {
		c := openCircuit(t, l)
		pushN(t, c, 100, nil)
		quiet = append(quiet, c)
	}
	for sent := 0; ; {
		rec := nextRecord(l, now)
		sent += len(rec)
		if count(rec, bulk) > 0 {
			break
		}
		if sent > fairRound*(len(quiet)+1) {
			t.Fatalf("%d cells of quieter circuits, none of the one that has waited longest", sent)
		}
	}
}

func TestBulkCircuitsShareEqually(t *testing.T) {
	l := bareLink(Config{})
	var all []*Circuit
	for range 3 {
		c := openCircuit(t, l)
		pushN(t, c, 2000, nil)
		all = append(all, c)
	}
	sent := map[*Circuit]int{}
	now := time.Now()
	for i := range 100 {
		rec := nextRecord(l, now.Add(time.Duration(i)*time.Second))
		for _, c := range all {
			sent[c] += count(rec, c)
		}
		for _, c := range all {
			if d := sent[c] - sent[all[0]]; d > 2*slack+2 || d < -2*slack-2 {
				t.Fatalf("after %d records the circuits have sent %v", i, sent)
			}
		}
	}
}

// An old burst counts half after 30 s.
func TestHalfLife(t *testing.T) {
	l := bareLink(Config{})
	c := openCircuit(t, l)
	start := l.sched.epoch
	pushN(t, c, 20, nil)
	nextRecord(l, start)
	pushN(t, c, 10, nil)
	nextRecord(l, start.Add(halfLife))
	if want := 20.0 + 10*2; math.Abs(c.count-want) > 1e-6 {
		t.Errorf("count %v, want %v", c.count, want)
	}
}

// The heap agrees with a slow model that decays every count at every step, over
// years, with circuits that come and go.
func TestSchedulerMatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := bareLink(Config{})
		now := l.sched.epoch
		model := map[*Circuit]float64{} // decayed counts
		var all []*Circuit
		for range rapid.IntRange(1, 6).Draw(t, "circuits") {
			c, err := l.Open(nobody{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			pause := time.Duration(rapid.SampledFrom([]int64{0, 1, 1000, 30_000, 600_000, 10_000_000, 100_000_000}).Draw(t, "ms")) * time.Millisecond
			now = now.Add(pause)
			for c := range model {
				model[c] *= math.Exp2(-pause.Seconds() / halfLife.Seconds())
			}
			c := rapid.SampledFrom(all).Draw(t, "circuit")
			for range rapid.IntRange(0, 20).Draw(t, "cells") {
				if err := c.Push(cell.NewSlot(), cell.Relay, nil); err != nil {
					t.Fatal(err)
				}
			}
			if rapid.Bool().Draw(t, "send") {
				sendOne(t, l, now, model)
			}
		}
	})
}

// sendOne takes one cell and checks that no other circuit with cells has sent less.
func sendOne(t *rapid.T, l *Link, now time.Time, model map[*Circuit]float64) {
	s := &l.sched
	s.mu.Lock()
	weight := s.weight(now)
	active := append([]*Circuit(nil), s.heap...)
	longest := s.line.first
	fair := len(s.heap) > 1 && s.served >= fairRound-fairCells
	c, _ := s.pop(weight, 1)
	s.mu.Unlock()
	if c == nil {
		if len(active) > 0 {
			t.Fatalf("nothing popped of %d circuits", len(active))
		}
		return
	}
	if fair && c != longest {
		t.Fatal("popped another circuit than the one that has waited longest")
	}
	for _, o := range active {
		if !fair && model[o] < model[c]*(1-1e-6)-1e-9 {
			t.Fatalf("popped a circuit that has sent %v, another has sent %v", model[c], model[o])
		}
	}
	list, n := c.dequeue(1, weight)
	if n != 1 {
		t.Fatalf("dequeued %d cells", n)
	}
	releaseAll(list)
	model[c]++
}

func TestControlGoesFirst(t *testing.T) {
	l := bareLink(Config{})
	c := openCircuit(t, l)
	pushN(t, c, 40, nil)
	l.Refuse(7, cell.ReasonResource)
	rec := nextRecord(l, time.Now())
	if len(rec) != cell.RecordCells || rec[0] != 7 {
		t.Errorf("record %v, want the DESTROY first", rec)
	}
	got := l.out.cell(0)
	if cell.Command(got[4]) != cell.Destroy || cell.Reason(got[5]) != cell.ReasonResource {
		t.Errorf("control cell %x", got[:8])
	}
	for _, b := range got[6:] {
		if b != 0 {
			t.Fatal("a DESTROY is not filled up with zeros")
		}
	}
}

func TestRecordHoldsAtMost31Cells(t *testing.T) {
	l := bareLink(Config{})
	for range 50 {
		pushN(t, openCircuit(t, l), 2, nil)
	}
	for range 20 {
		l.Refuse(9, 0)
	}
	total := 0
	for _, want := range []int{31, 31, 31, 27, 0} {
		n := l.pick(cell.RecordCells, time.Now())
		if n != want {
			t.Fatalf("a record of %d cells, want %d", n, want)
		}
		total += n
	}
	if total != 120 {
		t.Errorf("%d cells, want 120", total)
	}
}

func BenchmarkScheduler(b *testing.B) {
	for name, n := range map[string]int{"1": 1, "100": 100, "10000": 10_000} {
		b.Run(name, func(b *testing.B) {
			l := bareLink(Config{})
			var batch Batch
			var all []*Circuit
			for range n {
				all = append(all, openCircuit(b, l))
			}
			next := 0
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() { // 31 cells in, one record out
				for range cell.RecordCells {
					if err := all[next%n].Push(cell.NewSlot(), cell.Relay, &batch); err != nil {
						b.Fatal(err)
					}
					next++
				}
				batch.Flush()
				l.pick(cell.RecordCells, now)
			}
		})
	}
}
