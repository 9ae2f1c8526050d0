package onion

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// A wire holds the shipped states of a circuit of three hops, and lets a test
// change what travels between them. It is a value: a copy is a fresh start.
type wire struct {
	client, relay [2][3]State // of the ways outward and inward
}

const (
	outward, inward = 0, 1
	relayCommand    = 3
)

var ways = [2]string{"outward", "inward"}

func newWire() (w wire) {
	rng := rand.NewChaCha8([32]byte{7})
	for way := range 2 {
		for hop := range 3 {
			var k Key
			rng.Read(k[:])
			w.client[way][hop], w.relay[way][hop] = NewState(&k), NewState(&k)
		}
	}
	return w
}

// A travelling is a cell on a link; link i is the one on the client's side of hop i.
type travelling struct {
	ad   byte
	body []byte
	tag  Tag // as its origin returned it
}

// seal makes a cell for hop d or, inward, of hop d, as it enters its first link.
func (w *wire) seal(way, d int, message []byte) *travelling {
	return w.sealCommand(way, d, relayCommand, message)
}

func (w *wire) sealCommand(way, d int, ad byte, message []byte) *travelling {
	c := &travelling{ad: ad, body: newBody(message)}
	if way == inward {
		c.tag = w.relay[way][d].RelayOriginate(c.ad, c.body)
		return c
	}
	c.tag = w.client[way][d].ClientOriginate(c.ad, c.body)
	for i := d - 1; i >= 0; i-- {
		w.client[way][i].ClientOutward(c.ad, c.body)
	}
	return c
}

// step takes a cell off link i and returns whether the node there recognised it;
// the client goes through all layers at once.
func (w *wire) step(way, i int, c *travelling) (recognised bool) {
	if way == outward {
		recognised, _ = w.relay[way][i].RelayOutward(c.ad, c.body)
		return recognised
	}
	if i > 0 {
		w.relay[way][i-1].RelayInward(c.ad, c.body)
		return false
	}
	for layer := range w.client[way] {
		if ok, _ := w.client[way][layer].ClientInward(c.ad, c.body); ok {
			return true
		}
	}
	return false
}

// carry takes a cell from the first link that it enters to its end, or until it
// is recognised. change sees it on every link.
func (w *wire) carry(way, d int, c *travelling, change func(link int, c *travelling)) (recognised bool) {
	for i := range 3 {
		link := i
		if way == inward {
			if link = d - i; link < 0 {
				return false
			}
		}
		if change != nil {
			change(link, c)
		}
		if w.step(way, link, c) {
			return true
		}
	}
	return false
}

// changedOnce sends one good cell, one that is changed on the given link, and
// three good ones, and fails if anything but the first is recognised, or if a
// relay's view of a cell shows the message. (The client's may: it decrypts, so
// its layers are malleable and can come into step again. What it does not
// recognise it does not read: the circuit ends there.)
func changedOnce(t *testing.T, w wire, way, d, link int, change func(c *travelling)) {
	t.Helper()
	message := bytes.Repeat([]byte{0x3c}, MessageSize)
	for n := range 5 {
		var f func(l int, c *travelling)
		if n == 1 {
			f = func(l int, c *travelling) {
				if l == link {
					change(c)
				}
			}
		}
		c := w.seal(way, d, message)
		recognised := w.carry(way, d, c, f)
		if recognised != (n == 0) {
			t.Fatalf("%s, hop %d, changed on link %d: cell %d recognised: %v", ways[way], d, link, n, recognised)
		}
		if n > 0 && way == outward && bytes.Equal(c.body[TagSize:], message) {
			t.Fatalf("%s, hop %d, changed on link %d: cell %d shows its message", ways[way], d, link, n)
		}
	}
}

// eachLink calls f for both ways, every hop and every link that its cells cross.
func eachLink(t *testing.T, f func(t *testing.T, way, d, link int)) {
	for way := range 2 {
		for d := range 3 {
			for link := range d + 1 {
				t.Run(fmt.Sprintf("%s/hop %d/link %d", ways[way], d, link), func(t *testing.T) { f(t, way, d, link) })
			}
		}
	}
}

func TestEachFlippedByteKillsTheCircuit(t *testing.T) {
	eachLink(t, func(t *testing.T, way, d, link int) {
		w := newWire()
		for at := range BodySize {
			changedOnce(t, w, way, d, link, func(c *travelling) { c.body[at] ^= 1 << (at % 8) })
		}
	})
}

func TestAnotherCommandKillsTheCircuit(t *testing.T) {
	eachLink(t, func(t *testing.T, way, d, link int) {
		changedOnce(t, newWire(), way, d, link, func(c *travelling) { c.ad++ })
	})
}

// After the next honest relay a cell in which one bit was flipped has nothing in
// common with what it would have been, and neither has the cell after it.
func TestHonestRelayTurnsFlippedCellToNoise(t *testing.T) {
	eachLink(t, func(t *testing.T, way, d, link int) {
		if way == inward && link == 0 {
			return // no relay stands between this link and the client
		}
		left, right := newWire(), newWire() // the same keys
		for n := range 2 {
			a, b := left.seal(way, d, nil), right.seal(way, d, nil)
			atLink := func(w *wire, c *travelling) {
				for i := range 3 {
					at := i
					if way == inward {
						at = d - i
					}
					if at == link {
						return
					}
					w.step(way, at, c)
				}
			}
			atLink(&left, a)
			atLink(&right, b)
			if n == 0 {
				b.body[BodySize-1] ^= 1
			}
			left.step(way, link, a)
			right.step(way, link, b)
			same := 0
			for i := range a.body {
				if a.body[i] == b.body[i] {
					same++
				}
			}
			if same > 20 { // of 512; 2 expected
				t.Errorf("cell %d: %d bytes are as if nothing had happened", n, same)
			}
		}
	})
}

// Cells that are dropped, repeated or swapped are noticed at the first that is
// not in its place; outward no later one is recognised either.
func TestOrderIsKept(t *testing.T) {
	message := make([]byte, MessageSize)
	for way := range 2 {
		for _, tt := range []struct {
			name  string
			order []int // in which sealed cells arrive
			want  []bool
		}{
			{"in order", []int{0, 1, 2}, []bool{true, true, true}},
			{"dropped", []int{1, 2}, []bool{false, false}},
			{"dropped later", []int{0, 2, 3}, []bool{true, false, false}},
			{"twice", []int{0, 0, 1, 2}, []bool{true, false, false, false}},
			{"swapped", []int{0, 2, 1, 3}, []bool{true, false, false, false}},
		} {
			t.Run(ways[way]+"/"+tt.name, func(t *testing.T) {
				w := newWire()
				var cells []*travelling
				for range 4 {
					cells = append(cells, w.seal(way, 2, message))
				}
				for i, n := range tt.order {
					c := &travelling{ad: cells[n].ad, body: newBody(cells[n].body[TagSize:])}
					copy(c.body, cells[n].body)
					if got := w.carry(way, 2, c, nil); got != tt.want[i] {
						t.Errorf("arrival %d, cell %d: recognised %v, want %v", i, n, got, tt.want[i])
					}
					if way == inward && !tt.want[i] {
						return // the client ends the circuit here
					}
				}
			})
		}
	}
}
