package client

import (
	"errors"
	"fmt"
)

// A Code classes the errors of requests by what an application can be told.
type Code uint8

// The codes. Each has one SOCKS reply code.
const (
	General         Code = iota // our own fault, the circuits', or one that says no more
	NotAllowed                  // forbidden: by this client, or by every exit asked
	NetUnreachable              // no path through the network
	HostUnreachable             // the name does not resolve, or nothing leads to the host
	Refused                     // the destination refused, or closed at once
	Timeout                     // the destination, or the network, did not answer in time
)

var codeNames = [...]string{"general failure", "not allowed", "network unreachable", "host unreachable",
	"connection refused", "timed out"}

func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// An Error says why a request failed. Its text never has the destination.
type Error struct {
	Code Code
	Err  error // the cause; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the error is one of time, as [net.Error] has it.
func (e *Error) Timeout() bool { return e.Code == Timeout }

// Temporary is deprecated in [net.Error] and always false.
func (e *Error) Temporary() bool { return false }

// Causes that callers act on.
var (
	ErrClosed    = errors.New("client closed")
	ErrInUse     = errors.New("another tunic uses this state directory")
	ErrBadHost   = errors.New("not a host name or address")
	ErrBadPort   = errors.New("not a port from 1 to 65535")
	ErrPrivate   = errors.New("a private address, or a name that only this machine's network knows")
	ErrNoName    = errors.New("a name that no exit can resolve")
	ErrTooMany   = errors.New("too many requests waiting for a circuit")
	ErrNoCircuit = errors.New("no circuit could be built")
)
