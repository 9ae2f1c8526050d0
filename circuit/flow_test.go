package circuit_test

import (
	"testing"

	"tunic/cell"
	"tunic/circuit"
	"tunic/circuit/congestion"
)

// TestSendmeForEvery31stCell counts and checks the tags.
func TestSendmeForEvery31stCell(t *testing.T) {
	nw := newNetwork(t, 1)
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	id := h.connect(t)
	for i := 1; i <= 3*31; i++ {
		tag := h.send(cell.Data, id, []byte("x"))
		if i%31 != 0 {
			continue
		}
		m := h.expect(t, cell.Sendme)
		if string(m.Data) != string(tag[:]) || m.Stream != 0 {
			t.Errorf("SENDME after cell %d has another tag", i)
		}
	}
	s.Close()
	h.expect(t, cell.End)
	for i := 1; i <= 31; i++ { // cells of a closed stream count as well
		tag := h.send(cell.Data, id, []byte("x"))
		if i == 31 {
			if m := h.expect(t, cell.Sendme); string(m.Data) != string(tag[:]) {
				t.Error("SENDME for a closed stream's cells has another tag")
			}
		}
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// TestWindowStopsTheSender has a peer that acknowledges nothing, then one SENDME.
func TestWindowStopsTheSender(t *testing.T) {
	nw := newNetwork(t, 1)
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	const inc = 31
	window := congestion.Default().CwndInit
	go s.Write(make([]byte, 4<<20))
	var marked []rawMessage
	count := func(n int) {
		t.Helper()
		for range n {
			m := h.expect(t, cell.Data)
			switch len(m.Data) {
			case cell.MaxData:
			case cell.MaxAckedData:
				marked = append(marked, m)
			default:
				t.Fatalf("a cell of %d bytes, want %d or %d", len(m.Data), cell.MaxData, cell.MaxAckedData)
			}
		}
	}
	count(window)
	if len(marked) != window/inc {
		t.Fatalf("%d cells leave room for random padding, want every %dth: %d", len(marked), inc, window/inc)
	}
	h.send(cell.Sendme, 0, marked[0].tag[:])
	count(2 * inc) // slow start: what was acknowledged, and as much again
	s.Close()
	if m := await(t, "END", h.got); m.Command != cell.End {
		t.Errorf("got %v, want no DATA beyond the window, then END", m.Command)
	}
}

// TestRandomPadding looks behind the data of cells.
func TestRandomPadding(t *testing.T) {
	nw := newNetwork(t, 1)
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	seen := map[string]bool{}
	for i := 1; i <= 4*31; i++ {
		s.Write([]byte("x"))
		m := h.expect(t, cell.Data)
		padding := m.padding()
		tail := padding[len(padding)-16:]
		for _, b := range padding[:len(padding)-16] {
			if b != 0 {
				t.Fatalf("cell %d has padding that is neither zeros nor in its last 16 bytes", i)
			}
		}
		random := string(tail) != string(make([]byte, 16))
		if random != (i%31 == 0) {
			t.Errorf("cell %d: random padding %v", i, random)
		}
		if random && seen[string(tail)] {
			t.Errorf("cell %d repeats random padding", i)
		}
		seen[string(tail)] = true
	}
}

// TestFirstCellsAreEarly counts the RELAY_EARLY cells that reach the exit: those
// that made the middle a hop are among the 24.
func TestFirstCellsAreEarly(t *testing.T) {
	nw := newNetwork(t, 3)
	hops := nw.relays[2].goRaw()
	c := newClient(nw).build(3)
	h := <-hops
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		want := cell.Relay
		if i < circuit.MaxEarly-cell.Fragments {
			want = cell.RelayEarly
		}
		if m := await(t, "a cell", h.got); m.outer != want {
			t.Errorf("cell %d at the exit is %v, want %v", i, m.outer, want)
		}
		s.Write([]byte("x"))
	}
	one := newNetwork(t, 1) // for the first hop itself none is needed
	hops = one.relays[0].goRaw()
	c = newClient(one).build(1)
	h = <-hops
	if _, err := c.Begin("any", 1, 0); err != nil {
		t.Fatal(err)
	}
	if m := h.expect(t, cell.Begin); m.outer != cell.Relay {
		t.Errorf("a cell for the first hop is %v, want RELAY", m.outer)
	}
}
