package link

import (
	"errors"
	"fmt"
	"net"
	"time"

	"tunic/cell"
)

// What a caller may decide on. Errors of this package hold no address.
var (
	ErrClosed     = errors.New("link closed")
	ErrPeerClosed = errors.New("link closed by the peer")
	ErrIdle       = errors.New("link closed: idle")
	ErrQueueFull  = errors.New("circuit's queue is full")
	ErrCircuits   = errors.New("too many circuits on the link")
	ErrInUse      = errors.New("circuit id in use")
	ErrWrongHalf  = errors.New("circuit id of the wrong half")
	ErrNotClient  = errors.New("only a client negotiates padding")
	ErrLinks      = errors.New("too many links")
	ErrDials      = errors.New("too many dials at once")
	ErrDialFailed = errors.New("a dial to this relay failed a short time ago")
	ErrNoAddress  = errors.New("no address to dial")
	ErrVersion    = errors.New("no version in common")
	ErrHandshake  = errors.New("link handshake failed") // in the chain of all that went wrong in one
)

// errControlFull ends a link whose peer causes answers and does not read them.
var errControlFull = errors.New("too many answers queued that belong to no circuit")

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// malformed makes the error of a cell that ends the link.
func malformed(h cell.Header, why string) error {
	return fmt.Errorf("%v cell %s: %w", h.Command, why, cell.ErrMalformed)
}

// withoutAddress strips what package net wraps around an error: it holds the
// addresses of both ends.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		return errors.New("not a usable address")
	}
	return err
}
