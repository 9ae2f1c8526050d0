package circuit

import (
	"errors"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/onion"
)

// fromClient is a hop as the link knows it that the circuit came in on.
type fromClient Hop

// fromNext is a hop as the link knows it that the circuit goes out on.
type fromNext Hop

// Receive takes a cell from the client's side. It runs on that link's reader.
func (f *fromClient) Receive(_ *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) {
	h := (*Hop)(f)
	var err error
	switch cmd {
	case cell.Relay, cell.RelayEarly:
		err = h.receiveOutward(cmd, body, b)
	case cell.Destroy:
		h.destroy(death{by: byClient}) // whatever reason it gives
	default:
		err = violation("unexpected " + cmd.String())
	}
	if err != nil {
		h.fault(err)
	}
}

// LinkClosed says that the client's side is gone.
func (f *fromClient) LinkClosed(*link.Circuit) {
	(*Hop)(f).destroy(death{reason: cell.ReasonLinkClosed})
}

// Receive takes a cell from further out. It runs on that link's reader.
func (f *fromNext) Receive(_ *link.Circuit, cmd cell.Command, body []byte, b *link.Batch) {
	h := (*Hop)(f)
	var err error
	switch cmd {
	case cell.Relay:
		err = h.passInward(cmd, body, b)
	case cell.Created:
		err = h.receiveCreated(body, b)
	case cell.Destroy:
		h.destroy(death{by: byNext, reason: cell.ReasonDestroyed}) // its reason is not for the client
	default:
		err = violation("unexpected " + cmd.String())
	}
	if err != nil {
		h.fault(err)
	}
}

// LinkClosed says that the side further out is gone.
func (f *fromNext) LinkClosed(*link.Circuit) {
	(*Hop)(f).destroy(death{reason: cell.ReasonLinkClosed})
}

// receiveOutward takes this hop's layer off a cell, and passes it on or handles
// it. It does not allocate when it passes on.
func (h *Hop) receiveOutward(cmd cell.Command, body []byte, b *link.Batch) error {
	h.rest.touch()
	s := cell.NewSlot()
	copy(s.Body(), body)
	mine, tag, err := h.passOutward(cmd, s, b)
	if err != nil || !mine {
		return err
	}
	defer s.Release()
	m, err := cell.ParseMessage(s.Message())
	if err != nil {
		return err
	}
	if cmd == cell.RelayEarly && m.Command != cell.Extend {
		if err := h.countEarly(); err != nil {
			return err
		}
	}
	return h.receiveRequest(cmd, m, tag, b)
}

// passOutward takes the layer off the cell in s. If it is this hop's own, the
// caller gets s back; else s is queued on the next link, in the same step.
func (h *Hop) passOutward(cmd cell.Command, s *cell.Slot, b *link.Batch) (mine bool, tag onion.Tag, err error) {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	if h.out.gone {
		s.Release()
		return false, tag, nil
	}
	mine, tag = h.out.layer.RelayOutward(byte(cmd), s.Body())
	if mine {
		return true, tag, nil
	}
	if h.out.extend.state != extended {
		s.Release()
		return false, tag, violation("cell that no hop recognises")
	}
	if cmd == cell.RelayEarly {
		if err := h.countEarly(); err != nil {
			s.Release()
			return false, tag, err
		}
	}
	return false, tag, pass(h.out.next, s, cmd, b)
}

// pass queues a cell of somebody else's on its next link. That the circuit has
// left the link is no fault: the DESTROY or the end of the link that took it off
// is being handled by that link's reader, which knows the reason.
func pass(lc *link.Circuit, s *cell.Slot, cmd cell.Command, b *link.Batch) error {
	err := lc.Push(s, cmd, b)
	switch {
	case errors.Is(err, link.ErrQueueFull):
		return &fault{cell.ReasonResource, err}
	case errors.Is(err, link.ErrClosed):
		return nil
	}
	return err
}

// countEarly counts a RELAY_EARLY cell. It runs on the reader of the client's
// side.
func (h *Hop) countEarly() error {
	if h.early == 0 {
		return violation("RELAY_EARLY cells beyond the limit")
	}
	h.early--
	return nil
}

// passInward adds this hop's layer to a cell and queues it towards the client, in
// one step. It does not allocate.
func (h *Hop) passInward(cmd cell.Command, body []byte, b *link.Batch) error {
	if !h.on.Load() {
		return violation("cell before CREATED")
	}
	h.rest.touch()
	s := cell.NewSlot()
	copy(s.Body(), body)
	h.tx.mu.Lock()
	defer h.tx.mu.Unlock()
	if h.tx.gone != nil {
		s.Release()
		return nil
	}
	h.tx.hops[0].RelayInward(byte(cmd), s.Body())
	return pass(h.tx.lc, s, cmd, b)
}

// sleep drops the key objects of both directions, one after the other.
func (h *Hop) sleep() {
	h.out.mu.Lock()
	h.out.layer.Sleep()
	h.out.mu.Unlock()
	h.tx.mu.Lock()
	defer h.tx.mu.Unlock()
	h.tx.sleep()
}
