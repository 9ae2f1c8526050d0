package link

import "errors"

// What a caller may decide on. Errors of this package hold no address.
var (
	ErrClosed     = errors.New("link closed")
	ErrQueueFull  = errors.New("circuit's queue is full")
	ErrCircuits   = errors.New("too many circuits on the link")
	ErrInUse      = errors.New("circuit id in use")
	ErrWrongHalf  = errors.New("circuit id of the wrong half")
	ErrNotClient  = errors.New("only a client negotiates padding")
	ErrLinks      = errors.New("too many links")
	ErrDialFailed = errors.New("a dial to this relay failed a short time ago")
	ErrNoAddress  = errors.New("no address to dial")
	ErrVersion    = errors.New("no version in common")
	ErrHandshake  = errors.New("link handshake failed")
)
