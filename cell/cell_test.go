package cell_test

import (
	"testing"

	"tunic/cell"
)

func TestHeaderRoundTrip(t *testing.T) {
	var c [cell.Size]byte
	for i := range c {
		c[i] = 0xee
	}
	want := cell.Header{Circuit: 0x81020304, Command: cell.Relay}
	cell.PutHeader(c[:], want)
	if got := [6]byte(c[:6]); got != [6]byte{0x81, 2, 3, 4, 3, 0xee} {
		t.Errorf("PutHeader wrote %x, want 8102030403 and no more", got)
	}
	if got := cell.ParseHeader(&c); got != want {
		t.Errorf("ParseHeader = %+v, want %+v", got, want)
	}
}

func TestCircuitIDSides(t *testing.T) {
	for _, id := range []cell.CircuitID{0, 1, 0x7fffffff, 0x80000000, 0xffffffff} {
		for _, initiator := range []bool{true, false} {
			got := id.WithInitiator(initiator)
			if got.FromInitiator() != initiator {
				t.Errorf("%#x.WithInitiator(%v) = %#x, which is from the other side", id, initiator, got)
			}
			if got&0x7fffffff != id&0x7fffffff {
				t.Errorf("%#x.WithInitiator(%v) = %#x, which is another number", id, initiator, got)
			}
		}
	}
}

func TestCommands(t *testing.T) {
	seen := map[string]bool{}
	for c := range 256 {
		c := cell.Command(c)
		if c.Known() != (c <= cell.NegotiatePadding) {
			t.Errorf("%v: Known is %v", c, c.Known())
		}
		if c.OfLink() && !c.Known() {
			t.Errorf("%v is unknown and of the link", c)
		}
		if seen[c.String()] {
			t.Errorf("two commands are called %v", c)
		}
		seen[c.String()] = true
	}
}

func TestSlotHasRoomForSealing(t *testing.T) {
	s := cell.NewSlot()
	defer s.Release()
	if len(s.Body()) != cell.BodySize || cap(s.Body()) < cell.BodySize+32 {
		t.Errorf("body: length %d, capacity %d, want %d and 32 more at least", len(s.Body()), cap(s.Body()), cell.BodySize)
	}
	if len(s.Message()) != cell.MessageSize {
		t.Errorf("message: length %d, want %d", len(s.Message()), cell.MessageSize)
	}
	s.SetHeader(7, cell.Destroy)
	s.Body()[0] = byte(cell.ReasonTimeout)
	if h := cell.ParseHeader(s.Cell()); h.Circuit != 7 || h.Command != cell.Destroy || s.Command() != cell.Destroy {
		t.Errorf("header in the slot is %+v", h)
	}
	s.Message()[0] = 0x5a
	if c := s.Cell(); c[cell.HeaderSize] != byte(cell.ReasonTimeout) || c[cell.HeaderSize+cell.TagSize] != 0x5a {
		t.Error("body or message do not lie where the cell has them")
	}
}
