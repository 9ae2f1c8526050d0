package circuit

import (
	"errors"
	"fmt"
	"io"

	"tunic/cell"
	"tunic/cell/link"
)

// A stream's two directions end apart. Each side says EndDone when it sends no
// more, and any other reason when it gives the stream up, for both directions.
// After EndDone it may still give up; after giving up it says nothing more. A
// stream is over for a side that has sent an END and got one; who gets a peer's
// giving up and has sent no END answers with one.

// receiveConnected takes CONNECTED. It runs on the link's reader.
func (s *Stream) receiveConnected(m cell.Message) error {
	r, err := cell.ParseConnected(m.Data)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.rx.closed:
		return errMoved
	case s.rx.connected:
		return violation("second CONNECTED")
	}
	s.rx.connected, s.rx.reply = true, r
	s.rx.opened.happen()
	return nil
}

// peerEnded takes END. It runs on the link's reader.
func (s *Stream) peerEnded(reason cell.EndReason, b *link.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.rx.closed:
		return errMoved
	case reason != cell.EndDone:
		return s.peerGaveUp(reason, b)
	case s.rx.gotEnd != 0:
		return violation("second END")
	case s.circ != nil && !s.rx.connected:
		return violation("orderly END before CONNECTED")
	}
	s.rx.gotEnd, s.rx.err = reason, io.EOF
	s.wake(b)
	if s.rx.sentEnd != 0 {
		s.leaveTable()
	}
	return nil
}

// peerGaveUp ends the stream, and answers if this end has sent no END. mu is
// held.
func (s *Stream) peerGaveUp(reason cell.EndReason, b *link.Batch) error {
	why := &EndError{reason}
	if s.rx.err == nil {
		s.rx.err = why
	}
	s.rx.gotEnd = reason
	s.wake(b)
	s.rx.opened.happen()
	s.rx.over.happen()
	s.end.table.remove(s.id)
	if s.rx.sentEnd == 0 {
		return s.sendEnd(cell.EndMisc, why)
	}
	return nil
}

// leaveTable leaves in the table what must be remembered of a stream that is
// over, or closed. mu is held.
func (s *Stream) leaveTable() {
	s.end.tx.mu.Lock()
	f := s.tx.flow
	s.end.tx.mu.Unlock()
	s.end.table.leave(s.id, &remnant{
		late:      s.rx.sentEnd != 0 && s.rx.gotEnd != 0,
		connected: s.rx.connected || s.circ == nil,
		drop:      s.end.maxDrop,
		flow:      f,
	})
}

// sendEnd sends an END, and nothing after it; writes fail with why. mu is held.
func (s *Stream) sendEnd(reason cell.EndReason, why error) error {
	if s.rx.sentEnd == 0 {
		s.rx.sentEnd = reason
	}
	slot := cell.NewSlot()
	cell.PutMessage(slot.Message(), cell.End, s.id, []byte{byte(reason)})
	t := &s.end.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	s.stopSending(why)
	return t.push(slot, t.command(), nil)
}

// CloseWrite says that nothing more will be written. The other direction goes on.
func (s *Stream) CloseWrite() error {
	err := s.closeWrite()
	s.end.check(err)
	return err
}

func (s *Stream) closeWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.rx.closed:
		return errClosed
	case s.rx.gone != nil:
		return s.rx.gone
	case s.rx.gotEnd != 0 && s.rx.gotEnd != cell.EndDone:
		return &EndError{s.rx.gotEnd}
	case s.rx.sentEnd != 0:
		return nil
	case !s.rx.connected && s.hop != nil:
		return errNotConnected
	}
	if err := s.sendEnd(cell.EndDone, errWriteClosed); err != nil {
		return err
	}
	if s.rx.gotEnd != 0 {
		s.leaveTable()
	}
	return nil
}

// Close ends the stream in both directions. What was written before still
// arrives; what has come and was not read is dropped. The error is always nil.
func (s *Stream) Close() error {
	s.Refuse(0)
	return nil
}

// Refuse is Close with a reason, which the peer is told: how a relay answers that
// it has not connected the stream, or that its destination is gone. A client does
// not say more than EndMisc. Reason 0 is EndDone where the peer has ended the
// stream in order, else EndMisc.
func (s *Stream) Refuse(reason cell.EndReason) { s.end.check(s.close(reason)) }

func (s *Stream) close(reason cell.EndReason) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.giveUp(reason, errClosed)
}

// giveUp is close; reads and writes fail with why. mu is held.
func (s *Stream) giveUp(reason cell.EndReason, why error) error {
	if s.rx.closed {
		return nil
	}
	over := s.rx.sentEnd != 0 && s.rx.gotEnd != 0
	s.rx.closed, s.rx.why = true, why
	s.discard()
	if over || s.rx.gone != nil {
		s.closeSending()
		return nil
	}
	err := s.sendEnd(s.lastEnd(reason), why)
	s.closeSending()
	s.leaveTable()
	return err
}

// lastEnd returns the reason of the END with which the stream is closed. mu is
// held.
func (s *Stream) lastEnd(reason cell.EndReason) cell.EndReason {
	switch {
	case s.rx.gotEnd == cell.EndDone && (reason == 0 || s.circ != nil):
		return cell.EndDone
	case reason == 0 || reason == cell.EndDone || s.circ != nil:
		return cell.EndMisc
	}
	return reason
}

// discard wakes who reads and drops what nobody will read. mu is held.
func (s *Stream) discard() {
	s.end.unread.Add(int64(-s.rx.buf.drop()))
	if !s.rx.connected {
		s.rx.err = s.rx.why
	}
	s.rx.deadline.stop()
	s.rx.opened.happen()
	s.rx.over.happen()
	s.rx.cond.Broadcast()
}

// closeSending makes writes fail with the error of closing. mu is held.
func (s *Stream) closeSending() {
	s.end.tx.mu.Lock()
	defer s.end.tx.mu.Unlock()
	s.tx.closed, s.tx.err = true, s.rx.why
	s.tx.deadline.stop()
	s.tx.cond.Broadcast()
}

// abandon says that the circuit is gone, because of err.
func (s *Stream) abandon(err error) {
	s.mu.Lock()
	s.rx.gone = err
	if s.rx.err == nil {
		s.rx.err = err
	}
	s.rx.opened.happen()
	s.rx.over.happen()
	s.rx.cond.Broadcast()
	s.mu.Unlock()
	s.end.tx.mu.Lock()
	defer s.end.tx.mu.Unlock()
	s.tx.cond.Broadcast()
}

// Connect tells the client that the stream is connected, and to what; from then
// on it can be written to. It is a relay's answer to [Owner.Begin] and
// [Owner.BeginDir]. It fails if the stream has ended, or the reply cannot be said.
func (s *Stream) Connect(r cell.ConnectedReply) error {
	data, err := r.AppendBinary(nil)
	if err != nil {
		return fmt.Errorf("connect stream: %w", err)
	}
	err = s.connect(data, r)
	s.end.check(err)
	return err
}

func (s *Stream) connect(data []byte, r cell.ConnectedReply) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.hop == nil || s.rx.connected:
		return errors.New("circuit: stream connected already")
	case s.rx.closed:
		return errClosed
	case s.rx.gone != nil:
		return s.rx.gone
	case s.rx.sentEnd != 0:
		return &EndError{s.rx.gotEnd}
	}
	s.rx.connected, s.rx.reply = true, r
	s.rx.opened.happen()
	return s.sendConnected(data)
}

// sendConnected sends CONNECTED and opens the way for data behind it. mu is held.
func (s *Stream) sendConnected(data []byte) error {
	slot := cell.NewSlot()
	cell.PutMessage(slot.Message(), cell.Connected, s.id, data)
	t := &s.end.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	s.tx.err = nil
	return t.push(slot, t.command(), nil)
}
