package link

import (
	"testing"

	"tunic/cell"
	"tunic/cell/work"
)

// A link that gets no large buffer has one record's; it takes a large one
// when there is one again, and each is counted once.
func TestWriteBuffers(t *testing.T) {
	s, _ := ends(t)
	l := newLink(NewPool(Config{}), &handshaken{conn: new(sink), in: new(inbound), out: s}, work.Stranger)
	count := &l.pool.largeWrites
	step := func(when string, room, want int, large int32) {
		t.Helper()
		if got := l.takeBuffer(room); got != want || len(l.out.buf) < want*cell.Size || int(l.out.holds.Load()) != len(l.out.buf) {
			t.Errorf("%s: a buffer of %d bytes for %d cells, want one for %d", when, len(l.out.buf), got, want)
		}
		if got := count.Load(); got != large {
			t.Errorf("%s: %d large buffers are counted, want %d", when, got, large)
		}
	}
	const few = 4
	step("at first", writeCells, writeCells, 1)
	step("once more", writeCells, writeCells, 1)
	step("while crowded", few, few, 0)
	count.Store(maxLargeWrites)
	step("in a shortage", writeCells, cell.RecordCells, maxLargeWrites)
	step("still", writeCells, cell.RecordCells, maxLargeWrites)
	count.Store(maxLargeWrites - 1)
	step("afterwards", writeCells, writeCells, maxLargeWrites)
	count.Store(maxLargeWrites + 1) // somebody else asks just now
	step("with one", writeCells, writeCells, maxLargeWrites+1)
	l.giveBack()
	if count.Load() != maxLargeWrites || l.out.buf != nil || l.out.holds.Load() != 0 {
		t.Errorf("given back: %d are counted, %d bytes held", count.Load(), l.out.holds.Load())
	}
}
