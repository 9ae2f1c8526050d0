package circuit

import (
	"errors"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/onion"
)

// blockedAt is how many cells must wait on the circuit's own link for it to
// count as blocked: our choice, Tor's cellq_high.
const blockedAt = 256

// errMoved is the answer of a stream that its user has closed a moment ago: the
// message is for what is left of it in the table.
var errMoved = errors.New("stream closed meanwhile")

// receive handles a recognised message that either end may send; the role's own
// commands are handled before. tag is the cell's. It runs on the link's reader.
func (e *end) receive(m cell.Message, tag onion.Tag, b *link.Batch) error {
	switch m.Command {
	case cell.Data:
		if err := e.acknowledge(tag, b); err != nil {
			return err
		}
		return e.toStream(m, b)
	case cell.End, cell.XOn, cell.XOff:
		return e.toStream(m, b)
	case cell.Sendme:
		return e.receiveSendme(m, b)
	}
	return violation("unexpected " + m.Command.String())
}

// toStream hands a message to the stream that it is for.
func (e *end) toStream(m cell.Message, b *link.Batch) error {
	for { // twice at most: a stream moves once
		en, ok := e.table.find(m.Stream)
		switch {
		case !ok || en.lookup != nil:
			return violation(m.Command.String() + " for an unknown stream")
		case en.remnant != nil:
			return e.toRemnant(en.remnant, m)
		}
		if err := en.stream.receive(m, b); err != errMoved {
			return err
		}
	}
}

// toRemnant hands a message to what is left of a stream.
func (e *end) toRemnant(r *remnant, m cell.Message) error {
	if m.Command != cell.End {
		return r.receive(m)
	}
	reason, err := cell.ParseEnd(m.Data)
	if err != nil {
		return err
	}
	return e.table.settle(m.Stream, r, reason)
}

// acknowledge counts a DATA cell, and sends the SENDME that it may call for:
// before its data goes anywhere.
func (e *end) acknowledge(tag onion.Tag, b *link.Batch) error {
	if e.received.Received() {
		if err := e.send(cell.Sendme, 0, tag[:], b); err != nil {
			return err
		}
		e.received.Acked()
	}
	if e.received.Overrun() {
		return violation("DATA beyond the window")
	}
	return nil
}

func (e *end) receiveSendme(m cell.Message, b *link.Batch) error {
	tag, err := cell.ParseSendme(m.Data)
	if err != nil {
		return err
	}
	e.tx.mu.Lock()
	defer e.tx.mu.Unlock()
	if e.tx.gone != nil {
		return nil
	}
	if err := e.tx.window.Sendme(tag, time.Now(), e.tx.lc.Queued() > max(blockedAt, e.tx.window.Window()/2)); err != nil {
		return err
	}
	e.tx.nextIn(b)
	return nil
}
