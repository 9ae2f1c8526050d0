package circuit

import (
	"errors"
	"testing"

	"tunic/cell"
)

// begin takes an id for a stream as a client does.
func begin(t *testing.T, tab *table) cell.StreamID {
	t.Helper()
	var id cell.StreamID
	if err := tab.choose(entry{stream: new(Stream)}, func(i cell.StreamID) { id = i }); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestChooseCountsUpAndSkipsWhatIsInUse(t *testing.T) {
	tab := &table{next: 0xfffe}
	used := []cell.StreamID{1, 2, 4}
	for i, id := range used {
		en := entry{stream: new(Stream)}
		if i == 1 {
			en = entry{remnant: new(remnant)} // half-closed
		}
		if err := tab.add(id, en); err != nil {
			t.Fatal(err)
		}
	}
	want := []cell.StreamID{0xfffe, 0xffff, 3, 5, 6} // never 0
	for _, w := range want {
		if id := begin(t, tab); id != w {
			t.Errorf("chose %d, want %d", id, w)
		}
	}
}

func TestChooseStartsAnywhere(t *testing.T) {
	seen := map[cell.StreamID]bool{}
	for range 16 {
		seen[begin(t, new(table))] = true
	}
	if len(seen) < 8 {
		t.Errorf("16 circuits start at %d different ids", len(seen))
	}
}

func TestTableHoldsMaxStreams(t *testing.T) {
	tab := new(table)
	var last cell.StreamID
	for range MaxStreams {
		last = begin(t, tab)
	}
	free := last + 1
	if free == 0 {
		free = 1
	}
	if err := tab.choose(entry{stream: new(Stream)}, func(cell.StreamID) {}); !errors.Is(err, ErrTooManyStreams) {
		t.Errorf("stream %d: %v, want ErrTooManyStreams", MaxStreams+1, err)
	}
	if err := tab.add(free, entry{stream: new(Stream)}); faultReason(err) != cell.ReasonResource {
		t.Errorf("stream %d at a relay: %v, want ReasonResource", MaxStreams+1, err)
	}
	tab.leave(last, &remnant{}) // closed on one side only: still in use
	if err := tab.add(free, entry{stream: new(Stream)}); err == nil {
		t.Error("a stream closed on one side gives its place away")
	}
	tab.leave(last, &remnant{late: true})
	if err := tab.add(free, entry{stream: new(Stream)}); err != nil {
		t.Errorf("after one is over: %v", err)
	}
}

func TestTableForgetsTheOldestLate(t *testing.T) {
	tab := new(table)
	var ids []cell.StreamID
	for range maxLate + 1 {
		id := begin(t, tab)
		tab.leave(id, &remnant{late: true})
		ids = append(ids, id)
	}
	if _, ok := tab.find(ids[0]); ok {
		t.Error("the oldest stream that is over is still remembered")
	}
	if en, ok := tab.find(ids[1]); !ok || en.remnant == nil {
		t.Error("the second oldest is forgotten too")
	}
	if n := len(tab.entries); n != maxLate {
		t.Errorf("%d entries, want %d", n, maxLate)
	}
	if tab.open() != 0 {
		t.Errorf("%d streams open, want 0", tab.open())
	}
}

func TestTableRefusesWhatExtendingForbids(t *testing.T) {
	tab := new(table)
	if err := tab.beginExtending(); err != nil {
		t.Fatal(err)
	}
	if err := tab.beginExtending(); !errors.Is(err, ErrBusy) {
		t.Errorf("second: %v, want ErrBusy", err)
	}
	if err := tab.choose(entry{stream: new(Stream)}, func(cell.StreamID) {}); !errors.Is(err, ErrBusy) {
		t.Errorf("stream meanwhile: %v, want ErrBusy", err)
	}
	tab.endExtending()
	begin(t, tab)
	if err := tab.beginExtending(); !errors.Is(err, ErrBusy) {
		t.Errorf("after a stream: %v, want ErrBusy", err)
	}
}

func TestClosedTableTakesNothing(t *testing.T) {
	tab := new(table)
	id := begin(t, tab)
	gone := errors.New("gone")
	if all := tab.close(gone); len(all) != 1 || all[0].stream == nil {
		t.Errorf("close returned %d entries, want the stream", len(all))
	}
	if err := tab.choose(entry{stream: new(Stream)}, func(cell.StreamID) {}); err != gone {
		t.Errorf("stream: %v, want what close was told", err)
	}
	tab.leave(id, &remnant{})
	tab.remove(id)
	if len(tab.entries) != 0 || tab.open() != 0 {
		t.Errorf("%d entries, %d open after close", len(tab.entries), tab.open())
	}
}
