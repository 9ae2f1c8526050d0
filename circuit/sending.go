package circuit

import (
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/congestion"
	"tunic/circuit/onion"
)

// sending is the direction in which an end originates cells: outward at the
// client, inward at a relay. A relay also passes on in it what comes from
// further out.
//
// Streams that wait for room in the window take turns: each that is woken seals
// at most a quantum and wakes the next.
type sending struct {
	role role  // fixed, as is rest
	rest *rest // of the whole circuit

	mu     sync.Mutex
	lc     *link.Circuit
	hops   []*onion.State // the client's by hop, 0 the guard; a relay's own
	gone   error          // why nothing more is sent; nil while the circuit lives
	early  int            // RELAY_EARLY cells that a client has yet to send
	window *congestion.Sender

	waiting []*Stream // for room in the window, the longest first
	turn    *Stream   // woken, and before all others until it has sent
	opened  bool      // a batch will wake the next stream
}

// command returns the command of the next relay cell. mu is held.
func (t *sending) command() cell.Command {
	if t.role == atClient && len(t.hops) > 1 && t.early > 0 {
		t.early--
		return cell.RelayEarly
	}
	return cell.Relay
}

// push seals the message in s for the other end and queues the cell. It takes s
// in any case. mu is held.
func (t *sending) push(s *cell.Slot, c cell.Command, b *link.Batch) error {
	if t.gone != nil {
		s.Release()
		return t.gone
	}
	t.seal(c, s.Body())
	return queue(t.lc, s, c, b)
}

// queue hands a cell to its link; that it cannot be taken ends the circuit.
func queue(lc *link.Circuit, s *cell.Slot, c cell.Command, b *link.Batch) error {
	err := lc.Push(s, c, b)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, link.ErrQueueFull):
		return &fault{cell.ReasonResource, err}
	}
	return &fault{cell.ReasonLinkClosed, err}
}

// seal adds the layers to a message of this end. mu is held, and kept until the
// cell is queued.
func (t *sending) seal(c cell.Command, body []byte) onion.Tag {
	t.rest.touch()
	if t.role == atRelay {
		return t.hops[0].RelayOriginate(byte(c), body)
	}
	last := len(t.hops) - 1
	tag := t.hops[last].ClientOriginate(byte(c), body)
	for i := last - 1; i >= 0; i-- {
		t.hops[i].ClientOutward(byte(c), body)
	}
	return tag
}

// data seals as much of p as a quantum and the window hold, and returns how many
// bytes that were. mu is held, there is room in the window, and p is not empty.
func (t *sending) data(id cell.StreamID, p []byte, b *link.Batch) (n int, err error) {
	now := time.Now()
	for range min(quantum, t.window.Room()) {
		k, err := t.dataCell(id, p[n:], now, b)
		n += k
		if err != nil || n == len(p) {
			return n, err
		}
	}
	return n, nil
}

// dataCell seals the front of p as one DATA cell and queues it. If a SENDME will answer
// the cell, the last 16 bytes of its message, which its data does not reach, become
// random.
func (t *sending) dataCell(id cell.StreamID, p []byte, now time.Time, b *link.Batch) (n int, err error) {
	s := cell.NewSlot()
	m := s.Message()
	most := cell.MaxData
	marked := t.window.Sent(now)
	if marked {
		most = cell.MaxAckedData
	}
	n = copy(m[cell.MessageHeaderSize:cell.MessageHeaderSize+most], p)
	cell.PutMessageHeader(m, cell.Data, id, n)
	clear(m[cell.MessageHeaderSize+n:])
	if marked {
		rand.Read(m[cell.MessageSize-randomPadding:])
	}
	c := t.command()
	tag := t.seal(c, s.Body())
	if marked {
		t.window.Remember(tag)
	}
	return n, queue(t.lc, s, c, b)
}

// randomPadding is how many bytes of a marked cell's padding are random.
const randomPadding = cell.MaxData - cell.MaxAckedData

// mayGo reports whether s may send now; if not, it waits in line: at its front if it
// had the turn, and the window was cut before it could send. mu is held.
func (t *sending) mayGo(s *Stream) bool {
	if t.window.Room() > 0 && (t.turn == s || t.turn == nil && len(t.waiting) == 0) {
		return true
	}
	if s.tx.inLine {
		return false
	}
	place := len(t.waiting)
	if t.turn == s {
		place, t.turn = 0, nil
	}
	t.waiting = slices.Insert(t.waiting, place, s)
	s.tx.inLine = true
	return false
}

// leave takes s, which has sent or given up, out of the line, and gives the turn
// to the next. mu is held.
func (t *sending) leave(s *Stream) {
	if s.tx.inLine {
		s.tx.inLine = false
		i := slices.Index(t.waiting, s)
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	if t.turn == s {
		t.turn = nil
	}
	t.next()
}

// next wakes the stream that has waited longest, if there is room. mu is held.
func (t *sending) next() {
	if t.turn != nil || len(t.waiting) == 0 || t.window.Room() == 0 {
		return
	}
	t.turn = t.waiting[0]
	t.turn.tx.inLine = false
	t.waiting = slices.Delete(t.waiting, 0, 1)
	t.turn.tx.cond.Signal()
}

// nextIn does so when b is flushed: by then more room may have come. mu is held.
func (t *sending) nextIn(b *link.Batch) {
	if t.opened || t.turn != nil || len(t.waiting) == 0 {
		return
	}
	if b == nil {
		t.next()
		return
	}
	t.opened = true
	b.Add((*opening)(t))
}

// An opening is a direction whose window has opened.
type opening sending

// FlushBatch wakes the stream that is next.
func (o *opening) FlushBatch() {
	t := (*sending)(o)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened = false
	t.next()
}

// stop lets nothing more be sent, because of err, and wakes who waits. mu is
// held.
func (t *sending) stop(err error) {
	t.gone = err
	for _, s := range t.waiting {
		s.tx.inLine = false
	}
	t.waiting, t.turn = nil, nil
	for _, h := range t.hops {
		h.Wipe()
	}
}

// sleep drops the key objects of the direction's layers. mu is held.
func (t *sending) sleep() {
	for _, h := range t.hops {
		h.Sleep()
	}
	t.window.Rest()
}

// sendCreated queues the cells that tell the client that this hop is made.
func (t *sending) sendCreated(k Kind, reply []byte, b *link.Batch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone != nil {
		return t.gone
	}
	if k == KindTransit {
		return pushFragments(t.lc, cell.Created, cell.AssembleCreated, reply, b)
	}
	n := cell.DirNonce(reply)
	s := cell.NewSlot()
	cell.PutDirNonce(s.Body(), &n)
	return queue(t.lc, s, cell.CreatedDir, b)
}
