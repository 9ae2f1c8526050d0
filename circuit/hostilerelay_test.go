package circuit_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

// A betrayal is what a relay can do that a client must not bear. h is the last of
// three hops; stream is open on it and has data under way.
type betrayal struct {
	name string
	do   func(h *rawHop, id cell.StreamID)
	by   int // whose verdict the client gets: -1 its own, 1 that of a relay in between
}

func says(name string, c cell.RelayCommand, data []byte) betrayal {
	return own(name, func(h *rawHop, id cell.StreamID) {
		if !c.OfStream() {
			id = 0
		}
		h.send(c, id, data)
	})
}

// own is a betrayal that the client itself notices.
func own(name string, do func(h *rawHop, id cell.StreamID)) betrayal { return betrayal{name, do, -1} }

var betrayals = []betrayal{
	says("second CONNECTED", cell.Connected, make([]byte, 5)),
	says("RESOLVED unasked for", cell.Resolved, []byte{1, 0xf1, 0, 0, 0, 0, 0}),
	says("malformed RESOLVED", cell.Resolved, []byte{0}),
	says("EXTENDED unasked for", cell.Extended, make([]byte, 491)),
	says("BEGIN from a relay", cell.Begin, beginData(1, "echo")),
	says("BEGIN_DIR from a relay", cell.BeginDir, nil),
	says("RESOLVE from a relay", cell.Resolve, []byte{0, 1, 'a'}),
	says("EXTEND from a relay", cell.Extend, make([]byte, 491)),
	says("DROP that was not negotiated", cell.Drop, nil),
	says("DATA without data", cell.Data, nil),
	says("END with an empty body", cell.End, nil),
	says("END with reason 0", cell.End, []byte{0}),
	says("SENDME not owed", cell.Sendme, make([]byte, cell.TagSize)),
	says("XON without XOFF", cell.XOn, make([]byte, 4)),
	says("XOFF without cause", cell.XOff, nil),
	own("DATA for an unknown stream", func(h *rawHop, id cell.StreamID) { h.send(cell.Data, id+7, []byte("x")) }),
	own("END for an unknown stream", func(h *rawHop, id cell.StreamID) { h.send(cell.End, id+7, []byte{6}) }),
	own("CONNECTED for an unknown stream", func(h *rawHop, id cell.StreamID) { h.send(cell.Connected, id+7, make([]byte, 5)) }),
	own("DATA after END", func(h *rawHop, id cell.StreamID) {
		h.send(cell.End, id, []byte{byte(cell.EndDone)})
		h.send(cell.Data, id, []byte("x"))
	}),
	own("second orderly END", func(h *rawHop, id cell.StreamID) {
		h.send(cell.End, id, []byte{byte(cell.EndDone)})
		h.send(cell.End, id, []byte{byte(cell.EndDone)})
	}),
	own("unknown relay command", func(h *rawHop, _ cell.StreamID) { h.sendBytes(message(99, 0, 0, nil)) }),
	own("length beyond the body", func(h *rawHop, id cell.StreamID) {
		h.sendBytes(message(cell.Data, id, cell.MaxData+1, nil))
	}),
	{"RELAY_EARLY towards the client", func(h *rawHop, id cell.StreamID) {
		h.sendIn(cell.RelayEarly, cell.Data, id, []byte("x"))
	}, 1},
	{"CREATED on a circuit that is made", func(h *rawHop, _ cell.StreamID) {
		s := cell.NewSlot()
		clear(s.Body())
		h.in.Push(s, cell.Created, nil)
	}, 1},
	own("cell that no layer recognises", func(h *rawHop, _ cell.StreamID) {
		s := cell.NewSlot()
		clear(s.Body())
		h.in.Push(s, cell.Relay, nil)
	}),
	own("bit flipped by the exit", func(h *rawHop, id cell.StreamID) {
		h.bend(nil, func(b []byte) { b[77] ^= 1 })
		h.send(cell.Data, id, []byte("x"))
	}),
	own("DATA before CONNECTED", func(h *rawHop, _ cell.StreamID) {
		m := h.expect(h.r.nw.t, cell.Begin) // of the second stream
		h.send(cell.Data, m.Stream, []byte("x"))
	}),
	own("orderly END before CONNECTED", func(h *rawHop, _ cell.StreamID) {
		m := h.expect(h.r.nw.t, cell.Begin)
		h.send(cell.End, m.Stream, []byte{byte(cell.EndDone)})
	}),
	own("malformed CONNECTED", func(h *rawHop, _ cell.StreamID) {
		m := h.expect(h.r.nw.t, cell.Begin)
		h.send(cell.Connected, m.Stream, make([]byte, 4))
	}),
}

// TestHostileExit has the exit break each rule in turn. The client's circuit
// ends; another of the same link lives on.
func TestHostileExit(t *testing.T) {
	toRawExit, bystander := beforeRawExit(t)
	for _, b := range betrayals {
		t.Run(b.name, func(t *testing.T) {
			c, h := toRawExit(t)
			s, err := c.Begin("first", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			id := h.connect(t)
			if err := s.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Begin("second", 1, 0); err != nil {
				t.Fatal(err)
			}
			b.do(h, id)
			if d, ok := errors.AsType[*circuit.DestroyError](gone(t, c)); !ok || d.Hop != b.by || (d.Reason == cell.ReasonProtocol) != (b.by == -1) {
				t.Errorf("client's end: %v, want a protocol violation at %d", c.Err(), b.by)
			}
			if n, _ := io.Copy(io.Discard, s); n != 0 {
				t.Errorf("stream delivers %d bytes", n)
			}
			livesOn(t, bystander)
		})
	}
}

// TestFlippedBitInward has each hop but the exit change a cell on its way to the
// client: nothing of it is delivered. That of an exit is among the betrayals.
func TestFlippedBitInward(t *testing.T) {
	for at := range 2 {
		nw := newNetwork(t, 3)
		cl := newClient(nw)
		bystander := cl.build(3)
		hops := nw.relays[at].goRaw()
		c := cl.build(3)
		h := <-hops
		s, err := c.Dial(t.Context(), "echo", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		h.bend(nil, func(b []byte) { b[300] ^= 0x80 })
		s.Write([]byte("x"))
		destroyed(t, fmt.Sprintf("hop %d", at), c, -1, cell.ReasonProtocol)
		if n, _ := io.Copy(io.Discard, s); n != 0 {
			t.Errorf("hop %d: stream delivers %d bytes", at, n)
		}
		if err := echo(bystander); err != nil {
			t.Errorf("hop %d: another circuit of the link: %v", at, err)
		}
	}
}

// TestFlippedBitOutward has each hop but the exit change a cell on its way
// outward: nothing of it reaches the destination.
func TestFlippedBitOutward(t *testing.T) {
	for at := range 2 {
		nw := newNetwork(t, 3)
		got := make(chan []byte, 1)
		nw.relays[2].serveAny(func(s *circuit.Stream) {
			b, _ := io.ReadAll(s)
			got <- b
		})
		cl := newClient(nw)
		bystander := cl.build(3)
		hops := nw.relays[at].goRaw()
		c := cl.build(3)
		h := <-hops
		s, err := c.Dial(t.Context(), "any", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte("good"))
		if _, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "two.example"}); err != nil { // it has arrived
			t.Fatal(err)
		}
		h.bend(func(b []byte) { b[300] ^= 0x80 }, nil)
		s.Write([]byte("bad"))
		if b := await(t, "the exit's stream", got); !bytes.Equal(b, []byte("good")) {
			t.Errorf("hop %d: %q delivered", at, b)
		}
		if d, ok := errors.AsType[*circuit.DestroyError](gone(t, c)); !ok || d.Hop < 0 {
			t.Errorf("hop %d: %v", at, c.Err())
		}
		if err := echo(bystander); err != nil {
			t.Errorf("hop %d: another circuit of the link: %v", at, err)
		}
	}
}

// TestMessageOfAHopThatIsNotTheLast has the guard speak as if it were the exit.
func TestMessageOfAHopThatIsNotTheLast(t *testing.T) {
	nw := newNetwork(t, 3)
	cl := newClient(nw)
	bystander := cl.build(3)
	hops := nw.relays[0].goRaw()
	c := cl.build(3)
	h := <-hops
	h.send(cell.Sendme, 0, make([]byte, cell.TagSize))
	destroyed(t, "the client's end", c, -1, cell.ReasonProtocol)
	livesOn(t, bystander)
}

// TestCellBeforeCREATED has the next relay send before it has answered.
func TestCellBeforeCREATED(t *testing.T) {
	for _, cmd := range []cell.Command{cell.Relay, cell.RelayEarly, cell.CreatedDir, cell.Create} {
		nw := newNetwork(t, 2)
		cl := newClient(nw)
		bystander := cl.build(2)
		hops := nw.relays[1].goRaw()
		nw.relays[1].before = cmd
		c, err := circuit.Open(t.Context(), cl.link(), nw.infos()[0], nw.params)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Extend(t.Context(), nw.infos()[1])
		if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Hop != 0 || d.Reason != cell.ReasonProtocol {
			t.Errorf("%v first: %v, want the guard's verdict of a protocol violation", cmd, err)
		}
		<-hops
		livesOn(t, bystander)
	}
}

// TestAnswerThatIsNone has the relay answer CREATE with noise and wrong fragments.
func TestAnswerThatIsNone(t *testing.T) {
	for name, first := range map[string]byte{"noise": 0, "fragments out of order": 1} {
		nw := newNetwork(t, 2)
		cl := newClient(nw)
		bystander := cl.build(2)
		nw.relays[0].answerWith = func(lc answerer) {
			for i := range cell.Fragments {
				s := cell.NewSlot()
				clear(s.Body())
				s.Body()[0] = first + byte(i)
				lc.Push(s, cell.Created, nil)
			}
		}
		start := time.Now()
		if _, err := circuit.Open(t.Context(), cl.link(), nw.infos()[0], nw.params); err == nil {
			t.Errorf("%s: opened", name)
		}
		if took := time.Since(start); took > testLimit {
			t.Errorf("%s: took %v", name, took)
		}
		livesOn(t, bystander)
	}
}

// beforeRawExit starts a network in which circuits can be built to a raw exit, and one
// of the same client beside them that has nothing to do with it.
func beforeRawExit(t *testing.T) (build func(t *testing.T) (*circuit.Circuit, *rawHop), bystander *circuit.Circuit) {
	t.Helper()
	nw := newNetwork(t, 4)
	cl := newClient(nw)
	hops := nw.relays[3].goRaw()
	build = func(t *testing.T) (*circuit.Circuit, *rawHop) {
		t.Helper()
		return cl.buildVia(t, 0, 1, 3), <-hops
	}
	return build, cl.build(3)
}

// buildVia opens a circuit over the relays with these numbers.
func (c *client) buildVia(t *testing.T, path ...int) *circuit.Circuit {
	t.Helper()
	infos := c.nw.infos()
	circ, err := circuit.Open(t.Context(), c.link(), infos[path[0]], c.nw.params)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range path[1:] {
		if err := circ.Extend(t.Context(), infos[i]); err != nil {
			t.Fatal(err)
		}
	}
	return circ
}
