package authority

import (
	"context"
	"fmt"
	"net"

	"tunic/cell/link"
	"tunic/circuit"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

// maxCalls is how many requests to one authority are under way at a time. Our
// choice: it grants each link four directory streams, and one stays free.
const maxCalls = mirror.MaxLinkStreams - 1

// peers asks the other authorities. Calls obey ctx; their errors hold no
// address.
type peers interface {
	get(ctx context.Context, id keys.RelayID, path string, limit int64) ([]byte, error)
	post(ctx context.Context, id keys.RelayID, path string, body []byte, limit int64) ([]byte, error)
	consensus(ctx context.Context, id keys.RelayID, have *directory.Checkpoint) (*directory.Bundle, error)
}

// circuits are peers over links: to each authority one directory circuit, made
// when it is first needed and again when it is gone.
type circuits struct {
	network *directory.Network
	pool    *link.Pool
	params  circuit.Params
	to      map[keys.RelayID]*lane // fixed after construction
}

// lane is the way to one authority.
type lane struct {
	client *mirror.Client
	slots  chan struct{} // maxCalls

	turn chan struct{}    // holds one token: who has it may use what follows, and make it
	circ *circuit.Circuit // nil before the first
}

func newCircuits(n *directory.Network, pool *link.Pool, self keys.RelayID) *circuits {
	c := &circuits{
		network: n, pool: pool,
		params: circuit.Params{Network: n.Digest()},
		to:     make(map[keys.RelayID]*lane),
	}
	for i := range n.Authorities {
		a := &n.Authorities[i]
		if a.ID == self {
			continue
		}
		l := &lane{slots: make(chan struct{}, maxCalls), turn: make(chan struct{}, 1)}
		l.client = &mirror.Client{Dial: func(ctx context.Context) (net.Conn, error) { return c.dial(ctx, a, l) }}
		c.to[a.ID] = l
	}
	return c
}

// dial opens a directory stream to an authority.
func (c *circuits) dial(ctx context.Context, a *directory.Authority, l *lane) (net.Conn, error) {
	circ, err := c.circuit(ctx, a, l)
	if err != nil {
		return nil, err
	}
	s, err := circ.DialDir(ctx)
	if err != nil {
		return nil, fmt.Errorf("directory stream: %w", err)
	}
	return s, nil
}

// circuit returns the circuit to an authority. One caller makes it, the others
// wait for that.
func (c *circuits) circuit(ctx context.Context, a *directory.Authority, l *lane) (*circuit.Circuit, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.circ != nil && l.circ.Err() == nil {
		return l.circ, nil
	}
	to, err := c.pool.Dial(ctx, link.Target{ID: a.ID, Key: a.LinkKey, Addrs: a.Addrs})
	if err != nil {
		return nil, fmt.Errorf("link to authority: %w", err)
	}
	circ, err := circuit.OpenDir(ctx, to, c.params)
	if err != nil {
		return nil, fmt.Errorf("directory circuit: %w", err)
	}
	l.circ = circ
	return circ, nil
}

// lane takes a place among the calls to an authority; the caller gives it back.
func (c *circuits) lane(ctx context.Context, id keys.RelayID) (*lane, error) {
	l := c.to[id]
	if l == nil {
		return nil, directory.ErrUnknown
	}
	select {
	case l.slots <- struct{}{}:
		return l, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *lane) release() { <-l.slots }

func (c *circuits) get(ctx context.Context, id keys.RelayID, path string, limit int64) ([]byte, error) {
	l, err := c.lane(ctx, id)
	if err != nil {
		return nil, err
	}
	defer l.release()
	return l.client.Get(ctx, path, limit)
}

func (c *circuits) post(ctx context.Context, id keys.RelayID, path string, body []byte, limit int64) ([]byte, error) {
	l, err := c.lane(ctx, id)
	if err != nil {
		return nil, err
	}
	defer l.release()
	return l.client.Post(ctx, path, body, limit)
}

func (c *circuits) consensus(ctx context.Context, id keys.RelayID, have *directory.Checkpoint) (*directory.Bundle, error) {
	l, err := c.lane(ctx, id)
	if err != nil {
		return nil, err
	}
	defer l.release()
	return l.client.Consensus(ctx, c.network, have)
}

// close closes the circuits. Calls under way have ended.
func (c *circuits) close() {
	for _, l := range c.to {
		l.turn <- struct{}{}
		if l.circ != nil {
			_ = l.circ.Close() // nothing is left to be lost
		}
		<-l.turn
	}
}
