package circuit_test

import (
	"slices"
	"sync"
	"testing"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/handshake"
	"tunic/circuit/onion"
	"tunic/directory/keys"
)

// rawHop is a relay's place on a circuit without a mind of its own: it keeps its
// layer right, extends when asked, passes cells on, and for the rest does what a
// test says.
type rawHop struct {
	r     *relay
	got   chan rawMessage  // recognised messages, EXTEND not among them
	ended chan cell.Reason // DESTROY from either side

	mu   sync.Mutex // guards what follows
	in   *link.Circuit
	next *link.Circuit
	out  onion.State
	back onion.State
	asm  cell.Assembler

	// bendOut and bendIn change a cell that goes on from here, outward or
	// inward, those of the hop itself among them; nil does nothing.
	bendOut, bendIn func(body []byte)

	want  int           // as those of raw
	count chan struct{} // as those of raw
}

// goRaw makes the relay answer CREATE with raw hops, which arrive on the channel.
func (r *relay) goRaw() <-chan *rawHop {
	c := make(chan *rawHop, 16)
	r.rawHops.Store(&c)
	return c
}

func (r *relay) acceptRaw(l *link.Link, id cell.CircuitID, result *handshake.Result, dir bool, reply []byte) {
	h := &rawHop{
		r:     r,
		got:   make(chan rawMessage, 1<<15),
		ended: make(chan cell.Reason, 2),
		out:   onion.NewState((*onion.Key)(&result.Outward)),
		back:  onion.NewState((*onion.Key)(&result.Inward)),
		asm:   cell.NewAssembler(cell.AssembleExtend),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	in, err := l.Accept(id, (*rawClientSide)(h))
	if err != nil {
		return
	}
	h.in = in
	if r.before != 0 {
		s := cell.NewSlot()
		clear(s.Body())
		in.Push(s, r.before, nil)
	}
	if dir {
		s := cell.NewSlot()
		cell.PutDirNonce(s.Body(), (*cell.DirNonce)(reply))
		in.Push(s, cell.CreatedDir, nil)
	}
	for i := range cell.Fragments {
		if dir {
			break
		}
		s := cell.NewSlot()
		cell.PutFragment(s.Body(), cell.AssembleCreated, i, reply)
		in.Push(s, cell.Created, nil)
	}
	*r.rawHops.Load() <- h
}

// rawClientSide and rawNextSide are a raw hop as its two links know it.
type (
	rawClientSide rawHop
	rawNextSide   rawHop
)

func (c *rawClientSide) Receive(_ *link.Circuit, cmd cell.Command, body []byte, _ *link.Batch) {
	h := (*rawHop)(c)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch cmd {
	case cell.Destroy:
		h.ended <- cell.Reason(body[0])
		if h.next != nil {
			h.next.Destroy(cell.ReasonNone)
		}
	case cell.Relay, cell.RelayEarly:
		h.outward(cmd, body)
	}
}

func (c *rawClientSide) LinkClosed(*link.Circuit) {}

// outward handles a cell of the client. mu is held.
func (h *rawHop) outward(cmd cell.Command, body []byte) {
	s := cell.NewSlot()
	copy(s.Body(), body)
	mine, tag := h.out.RelayOutward(byte(cmd), s.Body())
	if !mine {
		if h.bendOut != nil {
			h.bendOut(s.Body())
		}
		if h.next != nil {
			h.next.Push(s, cmd, nil)
		}
		return
	}
	defer s.Release()
	if h.count != nil {
		counted(&h.want, h.count)
		return
	}
	whole := slices.Clone(s.Message())
	m, err := cell.ParseMessage(whole)
	if err != nil {
		h.r.nw.t.Error(err)
		return
	}
	if m.Command != cell.Extend {
		h.got <- rawMessage{Message: m, outer: cmd, tag: tag, whole: whole}
		return
	}
	request, err := h.asm.Add(m.Data)
	if err != nil {
		h.r.nw.t.Error(err)
	} else if request != nil {
		h.r.work.Go(func() { h.extend(request) })
	}
}

// extend does what EXTEND asks.
func (h *rawHop) extend(whole []byte) {
	req, err := cell.ParseExtend(whole)
	if err != nil {
		h.r.nw.t.Error(err)
		return
	}
	l, err := h.r.dial(keys.RelayID(req.Identity))
	if err != nil {
		h.r.nw.t.Error(err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next, err = l.Open((*rawNextSide)(h)); err != nil {
		h.r.nw.t.Error(err)
		return
	}
	h.asm = cell.NewAssembler(cell.AssembleCreated)
	for i := range cell.Fragments {
		s := cell.NewSlot()
		cell.PutFragment(s.Body(), cell.AssembleCreate, i, req.Handshake)
		h.next.Push(s, cell.Create, nil)
	}
}

func (n *rawNextSide) Receive(_ *link.Circuit, cmd cell.Command, body []byte, _ *link.Batch) {
	h := (*rawHop)(n)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch cmd {
	case cell.Destroy:
		h.ended <- cell.Reason(body[0])
		h.in.Destroy(cell.ReasonDestroyed)
	case cell.Created:
		whole, err := h.asm.Add(body)
		if err != nil {
			h.r.nw.t.Error(err)
		}
		for i := range cell.Fragments {
			if whole != nil {
				var b [cell.MaxData]byte
				n := cell.PutFragment(b[:], cell.AssembleExtended, i, whole)
				h.originate(cell.Relay, cell.Extended, 0, b[:n])
			}
		}
	case cell.Relay:
		s := cell.NewSlot()
		copy(s.Body(), body)
		h.back.RelayInward(byte(cmd), s.Body())
		if h.bendIn != nil {
			h.bendIn(s.Body())
		}
		h.in.Push(s, cmd, nil)
	}
}

func (n *rawNextSide) LinkClosed(*link.Circuit) {}

// send sends a message to the client.
func (h *rawHop) send(c cell.RelayCommand, id cell.StreamID, data []byte) onion.Tag {
	return h.sendIn(cell.Relay, c, id, data)
}

func (h *rawHop) sendIn(outer cell.Command, c cell.RelayCommand, id cell.StreamID, data []byte) onion.Tag {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.originate(outer, c, id, data)
}

func (h *rawHop) originate(outer cell.Command, c cell.RelayCommand, id cell.StreamID, data []byte) onion.Tag {
	s := cell.NewSlot()
	cell.PutMessage(s.Message(), c, id, data)
	return h.seal(outer, s)
}

// sendBytes sends any message to the client.
func (h *rawHop) sendBytes(message []byte) { h.sendBytesIn(cell.Relay, message) }

func (h *rawHop) sendBytesIn(outer cell.Command, message []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := cell.NewSlot()
	copy(s.Message(), message)
	h.seal(outer, s)
}

func (h *rawHop) seal(outer cell.Command, s *cell.Slot) onion.Tag {
	tag := h.back.RelayOriginate(byte(outer), s.Body())
	if h.bendIn != nil {
		h.bendIn(s.Body())
	}
	h.in.Push(s, outer, nil)
	return tag
}

// bend sets what the hop does to cells.
func (h *rawHop) bend(out, in func([]byte)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bendOut, h.bendIn = out, in
}

// expect waits for the client's next message, which must have this command.
func (h *rawHop) expect(t testing.TB, c cell.RelayCommand) rawMessage {
	t.Helper()
	m := await(t, c.String(), h.got)
	if m.Command != c {
		t.Fatalf("got %v, want %v", m.Command, c)
	}
	return m
}

// connect waits for the client's next BEGIN and answers it.
func (h *rawHop) connect(t testing.TB) cell.StreamID {
	t.Helper()
	m := h.expect(t, cell.Begin)
	reply, _ := cell.ConnectedReply{}.AppendBinary(nil)
	h.send(cell.Connected, m.Stream, reply)
	return m.Stream
}
