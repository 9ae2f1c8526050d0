package link

import (
	"context"
	"net"
	"time"

	"tunic/cell/work"
	"tunic/directory/keys"
)

// A Pool is all links of one node.
type Pool struct {
	cfg Config
}

// NewPool makes a pool.
func NewPool(cfg Config) *Pool { return &Pool{cfg: cfg} }

// Serve accepts links from a listener until it is closed or the pool is; then it
// returns nil, else the listener's error. The pool closes the listener.
func (p *Pool) Serve(ln net.Listener) error { return nil }

// Dial returns a link to t: the oldest good one there is, in either direction, or
// a new one. Dials to one identity at the same time are one dial. ctx ends the
// wait, not the dial.
func (p *Pool) Dial(ctx context.Context, t Target) (*Link, error) { return nil, ErrClosed }

// Test makes a fresh link to t, closes it, and returns how long the connection and
// its handshake took.
func (p *Pool) Test(ctx context.Context, t Target) (time.Duration, error) { return 0, ErrClosed }

// A LinkInfo is what is shown of a link. It holds no address.
type LinkInfo struct {
	ID       keys.RelayID // zero for a client
	Class    work.Class
	Proven   bool
	Dialled  bool
	Age      time.Duration
	Circuits int
	Queued   int // cells
	Read     uint64
	Written  uint64 // bytes
}

// Links returns all established links.
func (p *Pool) Links() []LinkInfo { return nil }

// Find returns the link that takes new circuits to id, nil if there is none.
func (p *Pool) Find(id keys.RelayID) *Link { return nil }

// Close closes all links as Link.Close does, and the listeners, and returns when
// nothing of the pool runs any more.
func (p *Pool) Close() error { return nil }
