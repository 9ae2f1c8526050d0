package circuit

import (
	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/onion"
)

// errOneHop is why streams into the world are refused to a client that is one hop
// away: a relay must not know both who talks and to whom.
var errOneHop = &fault{cell.ReasonRefused, violation("stream on the first hop")}

// receiveRequest handles a recognised message of the client. A circuit that goes
// on from here, or is about to, has nothing more for this hop.
func (h *Hop) receiveRequest(cmd cell.Command, m cell.Message, tag onion.Tag, b *link.Batch) error {
	if m.Command == cell.Extend {
		return h.receiveExtend(cmd, m)
	}
	if h.extending() {
		return violation(m.Command.String() + " for a hop that extends")
	}
	switch m.Command {
	case cell.Begin:
		return h.receiveBegin(m)
	case cell.BeginDir:
		return h.receiveBeginDir(m)
	case cell.Resolve:
		return h.receiveResolve(m)
	}
	return h.receive(m, tag, b)
}

// extending reports whether a fragment of EXTEND has come.
func (h *Hop) extending() bool {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	return h.out.extend.state != notExtended
}

// mayExit returns why the circuit may not have streams into the world, or nil.
func (h *Hop) mayExit() error {
	switch {
	case h.kind == KindDir:
		return violation("circuit for the directory used for something else")
	case h.first:
		return errOneHop
	}
	return nil
}

func (h *Hop) receiveBegin(m cell.Message) error {
	if err := h.mayExit(); err != nil {
		return err
	}
	req, err := cell.ParseBegin(m.Data)
	if err != nil {
		return err
	}
	s, err := h.addStream(m.Stream)
	if err != nil {
		return err
	}
	h.owner.Begin(s, req)
	return nil
}

func (h *Hop) receiveBeginDir(m cell.Message) error {
	if err := cell.ParseEmpty(m.Data); err != nil {
		return err
	}
	s, err := h.addStream(m.Stream)
	if err != nil {
		return err
	}
	h.owner.BeginDir(s)
	return nil
}

// addStream makes the stream that the client asks for.
func (h *Hop) addStream(id cell.StreamID) (*Stream, error) {
	s := newStream(&h.end)
	s.hop, s.id, s.tx.err = h, id, errNotConnected
	if err := h.table.add(id, entry{stream: s}); err != nil {
		return nil, err
	}
	return s, nil
}

func (h *Hop) receiveResolve(m cell.Message) error {
	if err := h.mayExit(); err != nil {
		return err
	}
	req, err := cell.ParseResolve(m.Data)
	if err != nil {
		return err
	}
	if err := h.table.add(m.Stream, entry{lookup: new(lookup)}); err != nil {
		return err
	}
	h.owner.Resolve(h, m.Stream, req)
	return nil
}

// Resolved answers a RESOLVE with as many of the answers as fit. It does nothing
// if the circuit is gone or the id is not one that waits for an answer.
func (h *Hop) Resolved(id cell.StreamID, reply cell.ResolvedReply) {
	if h.table.takeLookup(id) == nil {
		return
	}
	data, err := reply.Fit().AppendBinary(nil)
	if err != nil { // the owner's fault; the client need not pay for it
		again := cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerTryAgain}}}
		data, _ = again.AppendBinary(nil)
	}
	h.check(h.send(cell.Resolved, id, data, nil))
}
