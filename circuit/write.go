package circuit

import (
	"errors"
	"io"
	"os"
	"time"

	"tunic/cell"
)

// errNotConnected is why a relay cannot send on a stream before it has answered.
var errNotConnected = errors.New("circuit: stream not connected")

// errWriteClosed is the error of writing after CloseWrite.
var errWriteClosed = errors.New("circuit: write after CloseWrite")

// receiveFlow takes XOFF and XON. It runs on the link's reader.
func (s *Stream) receiveFlow(m cell.Message) error {
	s.end.tx.mu.Lock()
	defer s.end.tx.mu.Unlock()
	if s.tx.closed {
		return errMoved
	}
	if err := s.tx.flow.receive(m, time.Now()); err != nil {
		return err
	}
	s.tx.cond.Broadcast()
	return nil
}

// Write sends p. It returns when all of it is sealed and queued, which waits for
// room in the circuit's window and while the peer does not want data.
func (s *Stream) Write(p []byte) (int, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	s.memory = len(p)
	return s.write(p)
}

// write is Write with writeMu held. What it seals goes out at the end, or when it
// has to wait, not for each quantum.
func (s *Stream) write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = s.writeSome(p[n:])
		n += k
	}
	s.batch.Flush()
	if err != nil {
		s.end.check(err)
	}
	return n, err
}

// writeSome waits until s may send, and seals some of p.
func (s *Stream) writeSome(p []byte) (n int, err error) {
	t := &s.end.tx
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.leave(s)
	err = s.awaitTurn(len(p))
	s.tx.waits = time.Time{}
	if err != nil {
		return 0, err
	}
	s.sent.Store(true)
	n, err = t.data(s.id, p[:s.tx.flow.pace.allow(len(p))], &s.batch)
	s.tx.flow.data(n)
	return n, err
}

// awaitTurn waits until s may send n bytes of data, or a part of them. While the
// peer keeps it from sending it has no place among the streams that wait for room.
// The direction's lock is held.
func (s *Stream) awaitTurn(n int) error {
	t := &s.end.tx
	for {
		switch {
		case s.tx.err != nil:
			return s.tx.err
		case t.gone != nil:
			return t.gone
		case s.tx.deadline.passed():
			return os.ErrDeadlineExceeded
		case s.tx.flow.off, s.tooSoon(n):
			t.leave(s)
		case t.mayGo(s):
			return nil
		}
		if s.batch.Pending() { // no batch is kept while its owner waits
			t.mu.Unlock()
			s.batch.Flush()
			t.mu.Lock()
			continue
		}
		if s.tx.waits.IsZero() {
			s.tx.waits, s.tx.holds = time.Now(), s.memory
		}
		s.tx.cond.Wait()
	}
}

// tooSoon reports whether the peer's rate lets s not yet send n bytes, nor a part of
// them; s is woken when it does. The direction's lock is held.
func (s *Stream) tooSoon(n int) bool {
	b := &s.tx.flow.pace
	if b.rate == 0 {
		return false
	}
	wait := b.wait(n, time.Now())
	switch {
	case wait == 0:
		return false
	case s.tx.refill == nil:
		s.tx.refill = time.AfterFunc(wait, s.refilled)
	default:
		s.tx.refill.Reset(wait)
	}
	return true
}

// refilled is called by the timer.
func (s *Stream) refilled() {
	s.end.tx.mu.Lock()
	defer s.end.tx.mu.Unlock()
	s.tx.cond.Signal()
}

// stopSending lets nothing more be sent on s, because of err. The direction's
// lock is held.
func (s *Stream) stopSending(err error) {
	if s.tx.err == nil || s.tx.err == errNotConnected {
		s.tx.err = err
	}
	s.tx.cond.Broadcast()
}

// ReadFrom sends what it reads from r, until r's end. From a TCP connection it
// reads as soon as there is something, many cells at a time, and holds no buffer
// while there is nothing.
func (s *Stream) ReadFrom(r io.Reader) (n int64, err error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	from := newSource(r)
	for {
		p, rerr := from.next()
		s.memory = len(from.buffer())
		w, werr := s.write(p)
		from.release()
		n += int64(w)
		switch {
		case werr != nil:
			return n, werr
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, rerr
		}
	}
}
