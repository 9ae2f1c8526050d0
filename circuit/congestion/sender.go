package congestion

import (
	"crypto/subtle"
	"errors"
	"time"
)

// What [Sender.Sendme] finds wrong. Either ends the circuit: the peer broke the
// protocol.
var (
	ErrNotOwed  = errors.New("sendme that is not owed")
	ErrWrongTag = errors.New("sendme with a wrong tag")
)

// A Sender is the end of a circuit that sends data. It is not safe for
// concurrent use. Sent and Remember are called in the order in which the cells
// are sealed.
type Sender struct {
	inc      int
	control  controller
	inflight int // cells sent and not acknowledged
	marks    marks
	start    time.Time // of the first cell; times are kept as distances from it
	lastMark time.Duration
	unnamed  bool // the last marked cell waits for Remember
}

// NewSender returns a Sender with nothing on the way. p is clamped.
func NewSender(p Params) *Sender {
	p = p.Clamp()
	return newSender(p, newVegas(p))
}

func newSender(p Params, c controller) *Sender {
	return &Sender{inc: p.SendmeInc, control: c, marks: marks{limit: p.CwndMax / p.SendmeInc}}
}

// Room returns how many DATA cells may be sent now.
func (s *Sender) Room() int { return max(0, s.control.window()-s.inflight) }

// Window returns how many DATA cells may be on the way at the same time.
func (s *Sender) Window() int { return s.control.window() }

// Rest gives memory back while nothing is on the way.
func (s *Sender) Rest() { s.marks.shrink() }

// Sent counts one DATA cell, and reports whether a SENDME will answer it. Such a cell
// must end in 16 bytes or more of fresh random padding, and [Sender.Remember] must
// follow before the next Sent. It panics if there is no room, or if a tag is missing.
func (s *Sender) Sent(now time.Time) (mark bool) {
	if s.Room() == 0 {
		panic("congestion: sent beyond the window")
	}
	if s.unnamed {
		panic("congestion: marked cell without its tag")
	}
	if s.start.IsZero() {
		s.start = now
	}
	s.inflight++
	mark = s.inflight%s.inc == 0
	at := now.Sub(s.start)
	s.control.sent(s.inflight, at)
	if mark {
		s.unnamed, s.lastMark = true, at
	}
	return mark
}

// Remember stores the tag of the cell that Sent just marked. It panics if there
// is none.
func (s *Sender) Remember(tag [16]byte) {
	if !s.unnamed {
		panic("congestion: tag of a cell that is not marked")
	}
	s.unnamed = false
	s.marks.push(mark{tag, s.lastMark, s.inflight})
}

// Sendme takes in a SENDME with its tag. blocked says whether the circuit's own
// first link has stopped taking cells. After an error the circuit must end.
func (s *Sender) Sendme(tag [16]byte, now time.Time, blocked bool) error {
	m, ok := s.marks.first()
	if !ok {
		return ErrNotOwed
	}
	if subtle.ConstantTimeCompare(m.tag[:], tag[:]) != 1 {
		return ErrWrongTag
	}
	s.marks.pop()
	s.control.acked(ack{sent: m.sent, cells: m.cells, now: now.Sub(s.start), blocked: blocked})
	s.inflight -= s.inc
	return nil
}
