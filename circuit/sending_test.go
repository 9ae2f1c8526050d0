package circuit

import (
	"slices"
	"testing"
	"time"

	"tunic/circuit/congestion"
)

// TestTurnIsKept cuts the window after a stream was given the turn: it stays before
// those that came later.
func TestTurnIsKept(t *testing.T) {
	w := congestion.NewSender(congestion.Default())
	for w.Room() > 0 {
		if w.Sent(time.Time{}) {
			w.Remember([16]byte{})
		}
	}
	e := &end{tx: sending{window: w}}
	first, second, third := newStream(e), newStream(e), newStream(e)
	e.tx.turn = first
	e.tx.mu.Lock()
	defer e.tx.mu.Unlock()
	for _, s := range []*Stream{second, first, third, first} {
		if e.tx.mayGo(s) {
			t.Error("a stream may send into a full window")
		}
	}
	if want := []*Stream{first, second, third}; e.tx.turn != nil || !slices.Equal(e.tx.waiting, want) {
		place := func(s *Stream) int { return slices.Index(e.tx.waiting, s) }
		t.Errorf("places in line: %d, %d, %d, want 0, 1, 2", place(first), place(second), place(third))
	}
}
