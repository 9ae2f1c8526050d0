package circuit

import (
	"tunic/cell"
	"tunic/cell/link"
)

// Asleep reports whether the key objects of the circuit's layers are dropped.
func (c *Circuit) Asleep() bool { return c.rest.state.Load() == asleep }

// Asleep does the same for a hop.
func (h *Hop) Asleep() bool { return h.rest.state.Load() == asleep }

// ID returns the stream's id.
func (s *Stream) ID() cell.StreamID { return s.id }

// Window returns how many cells the hop lets be on their way to the client.
func (h *Hop) Window() int {
	h.tx.mu.Lock()
	defer h.tx.mu.Unlock()
	return h.tx.window.Window()
}

// Stopped reports whether the stream has told the peer to stop.
func (s *Stream) Stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rx.drain.off
}

// Unread returns how many bytes have come that the stream's user has not taken.
func (s *Stream) Unread() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread()
}

// Numbers that tests outside of the package check.
const (
	XOffLimit     = xoffLimit
	XOffAtOnce    = xoffAtOnce
	XOffGrace     = xoffGrace
	MaxEarly      = maxEarly
	HopTimeout    = hopTimeout
	AnswerTimeout = answerTimeout
	SleepAfter    = sleepAfter
	MaxLate       = maxLate
	ReadSize      = readSize
	SmallRead     = smallRead

	MaxUnread      = maxUnread
	MaxUnreadOfAny = maxUnreadOfAny
)

// RaceEnabled reports whether the race detector is on: pools drop items then.
const RaceEnabled = raceEnabled

// GoOn has the circuit go on over l without a handshake, and returns its id there.
func (h *Hop) GoOn(l *link.Link) (cell.CircuitID, error) {
	next, err := l.Open((*fromNext)(h))
	if err != nil {
		return 0, err
	}
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.next, h.out.extend.state = next, extended
	h.on.Store(true)
	return next.ID(), nil
}
