package circuit

import (
	"errors"
	"fmt"
	"net"

	"tunic/cell"
)

// Errors of a circuit's own end. They say nothing about the peer.
var (
	// ErrBusy is the error of Extend while another Extend runs, of Extend on a
	// circuit that has had a stream, and of opening a stream while the circuit
	// is being extended.
	ErrBusy = errors.New("circuit: busy")
	// ErrTooLong is the error of Extend on a circuit of [MaxHops] hops.
	ErrTooLong = errors.New("circuit: at its longest")
	// ErrTooManyStreams is the error of opening a stream beyond [MaxStreams].
	ErrTooManyStreams = errors.New("circuit: too many streams")
	// ErrNotAllowed is the error of what a circuit for the directory cannot do.
	ErrNotAllowed = errors.New("circuit: not on a circuit for the directory")
)

// A DestroyError says that a circuit is gone, and at whose word. Its text holds
// nothing of a destination or an address.
type DestroyError struct {
	// Hop is the nearest hop that can have said so: 0 the guard in its own name,
	// 1 somebody beyond it (Reason is then ReasonDestroyed), -1 this end itself,
	// or its link.
	Hop    int
	Reason cell.Reason // as on the wire: a claim, unless Hop is -1
	cause  error       // what this end found; may be nil
}

func (e *DestroyError) Error() string {
	switch {
	case e.Hop >= 0:
		return fmt.Sprintf("circuit destroyed at hop %d: %v", e.Hop, e.Reason)
	case e.cause != nil:
		return fmt.Sprintf("circuit destroyed here: %v: %v", e.Reason, e.cause)
	}
	return fmt.Sprintf("circuit destroyed here: %v", e.Reason)
}

// Unwrap returns what this end found; [cell.ErrMalformed] is in its chain when
// the peer broke the protocol.
func (e *DestroyError) Unwrap() error { return e.cause }

// An EndError says that the other end of a stream has ended it, and why it says
// it did.
type EndError struct{ Reason cell.EndReason }

func (e *EndError) Error() string { return "stream ended: " + e.Reason.String() }

// errClosed is the error of what was closed at this end.
var errClosed = fmt.Errorf("circuit: %w", net.ErrClosed)

// errTooSlow is the error of a stream that this end has given up for the sake of
// the others of its circuit.
var errTooSlow = errors.New("circuit: stream given up: too much unread data on its circuit")
