package link_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
)

// A victim is a relay on TCP that accepts every circuit and echoes what it gets.
type victim struct {
	pool   *link.Pool
	target link.Target
	links  chan *link.Link
}

func newVictim(t testing.TB) *victim {
	t.Helper()
	v := &victim{links: make(chan *link.Link, 1000)}
	echo := &linktest.Receiver{Cell: func(c *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) {
		if cmd == cell.Destroy {
			return
		}
		s := cell.NewSlot()
		copy(s.Body(), body)
		c.Push(s, cmd, b)
	}}
	relay := linktest.NewRelay()
	v.pool = linktest.NewPool(t, relay.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, b *link.Batch) {
		select {
		case v.links <- l:
		default:
		}
		c, err := l.Accept(id, echo)
		if err != nil {
			return
		}
		s := cell.NewSlot()
		copy(s.Body(), body)
		c.Push(s, cell.CreatedDir, b)
	}}))
	v.target = relay.Target(linktest.Serve(t, v.pool, link.TCP{}, "127.0.0.1"))
	return v
}

// circuit makes a circuit of h's and checks that it works.
func circuit(h *linktest.Hostile, n uint32) cell.CircuitID {
	id := h.NewID(n)
	h.Send(id, cell.CreateDir, nil)
	h.Expect(id, cell.CreatedDir)
	return id
}

// What ends a link: it, and no other.
func TestMalformedEndsTheLink(t *testing.T) {
	v := newVictim(t)
	bystander := linktest.Connect(t, v.target, linktest.Options{})
	theirs := circuit(bystander, 1)
	one := func(id cell.CircuitID, cmd cell.Command) func(*linktest.Hostile) {
		return func(h *linktest.Hostile) { h.Send(id, cmd, nil) }
	}
	cases := map[string]func(h *linktest.Hostile){
		"record longer than its length": func(h *linktest.Hostile) {
			h.SendRaw(linktest.Lie(h.Record(linktest.Cell{}, linktest.Cell{}), 533))
		},
		"record shorter than its length": func(h *linktest.Hostile) {
			h.SendRaw(linktest.Lie(h.Record(linktest.Cell{}), 533+517))
			h.SendRaw(h.Record(linktest.Cell{}))
		},
		"flipped bit in the length": func(h *linktest.Hostile) {
			rec := h.Record(linktest.Cell{})
			rec[1] ^= 4
			h.SendRaw(rec)
		},
		"flipped bit in a cell": func(h *linktest.Hostile) {
			rec := h.Record(linktest.Cell{})
			rec[300] ^= 4
			h.SendRaw(rec)
		},
		"flipped bit in the tag": func(h *linktest.Hostile) {
			rec := h.Record(linktest.Cell{})
			rec[len(rec)-1] ^= 4
			h.SendRaw(rec)
		},
		"record twice": func(h *linktest.Hostile) {
			rec := h.Record(linktest.Cell{})
			h.SendRaw(rec)
			h.SendRaw(rec)
		},
		"record left out": func(h *linktest.Hostile) {
			h.Record(linktest.Cell{})
			h.SendRaw(h.Record(linktest.Cell{}))
		},
		"no cell":              func(h *linktest.Hostile) { h.SendRaw(h.RecordOf(nil)) },
		"half a cell":          func(h *linktest.Hostile) { h.SendRaw(h.RecordOf(make([]byte, 300))) },
		"a cell and a byte":    func(h *linktest.Hostile) { h.SendRaw(h.RecordOf(make([]byte, 518))) },
		"32 cells":             func(h *linktest.Hostile) { h.SendRaw(h.RecordOf(make([]byte, 32*517))) },
		"random bytes":         func(h *linktest.Hostile) { h.SendRaw(bytes.Repeat([]byte{0x5a, 0xc3, 1}, 20_000)) },
		"a second PROOF":       one(0, cell.Proof),
		"a second NETINFO":     one(0, cell.NetInfo),
		"CREATE of wrong half": one(5, cell.Create), "CREATE_DIR of wrong half": one(5, cell.CreateDir),
		"CREATE without an id": one(1<<31, cell.Create),
	}
	for _, cmd := range []cell.Command{cell.Create, cell.Created, cell.Relay, cell.RelayEarly, cell.Destroy, cell.CreateDir, cell.CreatedDir} {
		cases[fmt.Sprintf("%v on circuit 0", cmd)] = one(0, cmd)
	}
	for _, cmd := range []cell.Command{cell.Padding, cell.Proof, cell.NetInfo, cell.NegotiatePadding} {
		cases[fmt.Sprintf("%v on a circuit", cmd)] = one(1<<31|1, cmd)
	}
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			h := linktest.Connect(t, v.target, linktest.Options{})
			circuit(h, 1)
			do(h)
			h.ExpectClosed(5 * time.Second)
			bystander.Send(theirs, cell.Relay, []byte("still there"))
			if got := bystander.Expect(theirs, cell.Relay); !bytes.HasPrefix(got, []byte("still there")) {
				t.Errorf("another link's circuit got %x", got[:16])
			}
		})
	}
}

// What does not: the link and its other circuits live on.
func TestWhatALinkSurvives(t *testing.T) {
	v := newVictim(t)
	for name, do := range map[string]func(t *testing.T, h *linktest.Hostile, own cell.CircuitID){
		"unknown command on circuit 0":  func(_ *testing.T, h *linktest.Hostile, _ cell.CircuitID) { h.Send(0, 200, nil) },
		"unknown command on a circuit":  func(_ *testing.T, h *linktest.Hostile, own cell.CircuitID) { h.Send(own, 11, nil) },
		"unknown command on no circuit": func(_ *testing.T, h *linktest.Hostile, _ cell.CircuitID) { h.Send(77, 255, nil) },
		"cells for circuits that are gone": func(_ *testing.T, h *linktest.Hostile, _ cell.CircuitID) {
			for _, cmd := range []cell.Command{cell.Created, cell.Relay, cell.RelayEarly, cell.Destroy, cell.CreatedDir} {
				h.Send(h.NewID(900), cmd, nil)
				h.Send(900, cmd, nil) // of the other half
			}
		},
		"CREATE for an id in use": func(_ *testing.T, h *linktest.Hostile, own cell.CircuitID) {
			h.Send(own, cell.Create, []byte("again")) // it is for the circuit to judge
			h.Expect(own, cell.Create)
		},
		"DESTROY twice": func(_ *testing.T, h *linktest.Hostile, _ cell.CircuitID) {
			id := circuit(h, 50)
			h.Send(id, cell.Destroy, nil)
			h.Send(id, cell.Destroy, nil)
			h.Send(id, cell.Relay, nil)
		},
		"31 cells of as many circuits": func(t *testing.T, h *linktest.Hostile, _ cell.CircuitID) {
			var all []linktest.Cell
			for i := range uint32(31) {
				all = append(all, linktest.Cell{ID: h.NewID(100 + i), Command: cell.CreateDir})
			}
			h.SendCells(all...)
			got := map[cell.CircuitID]bool{}
			for range all {
				if c, err := h.Next(5 * time.Second); err == nil && c.Command == cell.CreatedDir {
					got[c.ID] = true
				}
			}
			if len(got) != 31 {
				t.Errorf("%d circuits were made, want 31", len(got))
			}
		},
		"many records in one write": func(_ *testing.T, h *linktest.Hostile, own cell.CircuitID) {
			var all []byte
			for i := range 200 {
				all = append(all, h.Record(make31(own, i%31+1)...)...)
			}
			go h.SendRaw(all)
			for i := range 200 {
				for range i%31 + 1 {
					h.Expect(own, cell.Relay)
				}
			}
		},
		"a byte at a time": func(t *testing.T, h *linktest.Hostile, own cell.CircuitID) {
			rec := h.Record(linktest.Cell{ID: own, Command: cell.Relay}, linktest.Cell{ID: own, Command: cell.Relay})
			if err := h.SendSlowly(rec, 0); err != nil {
				t.Fatal(err)
			}
			h.Expect(own, cell.Relay)
			h.Expect(own, cell.Relay)
		},
		"records cut anywhere": func(_ *testing.T, h *linktest.Hostile, own cell.CircuitID) {
			var all []byte
			for i := range 30 {
				all = append(all, h.Record(make31(own, i+1)...)...)
			}
			go func() {
				for rest := all; len(rest) > 0; {
					n := min(len(rest), 1+rand.IntN(5000))
					h.SendRaw(rest[:n])
					rest = rest[n:]
				}
			}()
			for i := range 30 {
				for range i + 1 {
					h.Expect(own, cell.Relay)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := linktest.Connect(t, v.target, linktest.Options{})
			own := circuit(h, 1)
			do(t, h, own)
			h.Send(own, cell.Relay, []byte("still there"))
			if got := h.Expect(own, cell.Relay); !bytes.HasPrefix(got, []byte("still there")) {
				t.Errorf("the circuit got %x", got[:16])
			}
		})
	}
	if s := v.pool.Stats(); s.UnknownCells != 3 || s.StrayCells != 10 {
		t.Errorf("%d unknown and %d stray cells were counted, want 3 and 10", s.UnknownCells, s.StrayCells)
	}
}

// make31 returns n relay cells of a circuit.
func make31(id cell.CircuitID, n int) (all []linktest.Cell) {
	for range n {
		all = append(all, linktest.Cell{ID: id, Command: cell.Relay})
	}
	return all
}

// A circuit whose peer floods it or is flooded does not hold up the reader: another
// circuit of the same link is served all the time.
func TestNoReaderWaitsForAnother(t *testing.T) {
	last, middle := linktest.NewRelay(), linktest.NewRelay()
	deaf := linktest.Listen(t, link.TCP{}, "127.0.0.1")
	var middlePool *link.Pool
	full := make(chan error, 1)
	middlePool = linktest.NewPool(t, func() link.Config {
		var out *link.Circuit
		cfg := middle.Config(&linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, body []byte, b *link.Batch) {
			r := &linktest.Receiver{Cell: func(c *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) { // an echo
				s := cell.NewSlot()
				copy(s.Body(), body)
				c.Push(s, cmd, b)
			}}
			if body[0] == 1 { // to the deaf relay
				r.Cell = func(c *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) {
					if err := out.Push(cell.NewSlot(), cmd, b); err != nil {
						select {
						case full <- err:
						default:
						}
						c.Destroy(cell.ReasonResource)
					}
				}
				next := middlePool.Find(deaf.Relay.ID)
				var err error
				if out, err = next.Open(&linktest.Receiver{}); err != nil {
					t.Errorf("open: %v", err)
				}
			}
			l.Accept(id, r)
		}})
		cfg.Limits.QueueCells = 2000
		return cfg
	}())
	_, silent := deaf.Meet(middlePool, linktest.Options{}) // and never reads again
	target := middle.Target(linktest.Serve(t, middlePool, link.TCP{}, "127.0.0.1"))
	h := linktest.Connect(t, target, linktest.Options{As: last})
	bulk, quiet := h.NewID(1), h.NewID(2)
	h.Send(bulk, cell.CreateDir, []byte{1})
	h.Send(quiet, cell.CreateDir, []byte{2})
	for i := 0; ; i++ {
		h.SendCells(make31(bulk, 31)...)
		if i%20 == 0 {
			h.Send(quiet, cell.Relay, nil)
			c, err := h.Next(5 * time.Second)
			if err != nil {
				t.Fatalf("the quiet circuit waits for the bulk one: %v", err)
			}
			if c.ID == bulk && c.Command == cell.Destroy {
				break
			}
			if c.ID != quiet {
				t.Fatalf("got %v", c)
			}
		}
		if i > 20_000 {
			t.Fatal("the queue to a peer that reads nothing has no bound")
		}
	}
	if err := within(t, full); !errors.Is(err, link.ErrQueueFull) {
		t.Errorf("%v, want ErrQueueFull", err)
	}
	h.Expect(quiet, cell.Relay)
	silent.Close() // else the pool waits for it at the end
}

// A DESTROY that overtakes our answer to CREATE is not lost.
func TestDestroyBeforeAccept(t *testing.T) {
	relay := linktest.NewRelay()
	type created struct {
		l  *link.Link
		id cell.CircuitID
	}
	asked, gone := make(chan created, 1000), make(chan cell.CircuitID, 1000)
	p := linktest.NewPool(t, relay.Config(&linktest.Handler{Gone: func(_ *link.Link, id cell.CircuitID) { gone <- id }, New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		asked <- created{l, id}
	}}))
	h := linktest.Connect(t, relay.Target(linktest.Serve(t, p, link.TCP{}, "127.0.0.1")), linktest.Options{})
	var all []created
	for i := range uint32(300) { // more than are remembered
		h.Send(h.NewID(i), cell.Create, nil)
		all = append(all, within(t, asked))
	}
	for _, c := range all {
		h.Send(c.id, cell.Destroy, nil)
	}
	h.Send(h.NewID(1000), cell.Create, nil)
	last := within(t, asked) // everything before it has been read
	for _, c := range all {
		if id := within(t, gone); id != c.id {
			t.Fatalf("the handler was told of %#x, want %#x", uint32(id), uint32(c.id))
		}
	}
	for i, c := range all {
		_, err := c.l.Accept(c.id, &linktest.Receiver{})
		if remembered := i >= 300-256; errors.Is(err, link.ErrClosed) != remembered {
			t.Fatalf("accept number %d of 300: %v", i, err)
		}
	}
	if _, err := last.l.Accept(last.id, &linktest.Receiver{}); err != nil {
		t.Errorf("accept of a living circuit: %v", err)
	}
}

func TestCircuitIDs(t *testing.T) {
	v := newVictim(t)
	starts := map[cell.CircuitID]bool{}
	for range 8 {
		h := linktest.Connect(t, v.target, linktest.Options{})
		h.Alive()
		l := within(t, v.links)
		var last cell.CircuitID
		for i := range 100 {
			c, err := l.Open(&linktest.Receiver{})
			if err != nil {
				t.Fatal(err)
			}
			id := c.ID()
			if id.FromInitiator() || id == 0 {
				t.Fatalf("the responder chose %#x", uint32(id))
			}
			if i == 0 {
				starts[id] = true
			} else if id != last+1 && id != 1 {
				t.Fatalf("%#x follows %#x", uint32(id), uint32(last))
			}
			last = id
			c.Forget() // its id is not used again
		}
		for id, want := range map[cell.CircuitID]error{
			last + 1: link.ErrWrongHalf, 0: link.ErrWrongHalf, 1 << 31: link.ErrWrongHalf, 1<<31 | 7: nil,
		} {
			if _, err := l.Accept(id, &linktest.Receiver{}); !errors.Is(err, want) {
				t.Errorf("accept of %#x: %v, want %v", uint32(id), err, want)
			}
		}
		if _, err := l.Accept(1<<31|7, &linktest.Receiver{}); !errors.Is(err, link.ErrInUse) {
			t.Errorf("accept of an id in use: %v", err)
		}
	}
	if len(starts) < 7 {
		t.Errorf("8 links start at %d ids: not random", len(starts))
	}
}

func TestCircuitsOfALinkAreBounded(t *testing.T) {
	r := linktest.NewRelay()
	cfg := linktest.Client()
	cfg.Limits.MaxCircuits = 10
	near, _ := linktest.Pair(t, cfg, r.Config(nil), r)
	var err error
	n := 0
	for ; err == nil && n < 20; n++ {
		_, err = near.Open(&linktest.Receiver{})
	}
	if !errors.Is(err, link.ErrCircuits) || n != 11 {
		t.Errorf("circuit number %d: %v, want ErrCircuits at the 11th", n, err)
	}
	if _, err := near.Accept(7, &linktest.Receiver{}); !errors.Is(err, link.ErrCircuits) {
		t.Errorf("accept: %v", err)
	}
}

// Without a handler the peer's circuits are refused.
func TestClientRefusesCircuits(t *testing.T) {
	ln := linktest.Listen(t, link.TCP{}, "127.0.0.1")
	_, h := ln.Meet(linktest.NewPool(t, linktest.Client()), linktest.Options{})
	h.Send(h.NewID(1), cell.Create, nil)
	if r := h.ExpectDestroy(h.NewID(1)); r != cell.ReasonRefused {
		t.Errorf("reason %v, want refused", r)
	}
}

// Records of a second implementation under many keys: both sides renew at the same
// record.
func TestManyRecords(t *testing.T) {
	v := newVictim(t)
	h := linktest.Connect(t, v.target, linktest.Options{})
	id := circuit(h, 1)
	const n = 4096 + 50
	go func() {
		for i := range uint32(n) {
			h.Send(id, cell.Relay, binary.BigEndian.AppendUint32(nil, i))
		}
	}()
	for i := range uint32(n) {
		if got := binary.BigEndian.Uint32(h.Expect(id, cell.Relay)); got != i {
			t.Fatalf("cell %d, want %d", got, i)
		}
	}
	for range n { // and one record for each cell in the other direction
		h.Send(id, cell.Relay, nil)
		h.Expect(id, cell.Relay)
	}
}
