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

// dialer opens a directory stream to another authority. It obeys ctx; its
// errors hold no address.
type dialer func(ctx context.Context, to *directory.Authority) (net.Conn, error)

// peers asks the other authorities, a bounded number of things at a time.
type peers struct {
	network *directory.Network
	lanes   map[keys.RelayID]*lane // fixed after construction
}

// lane is the way to one authority.
type lane struct {
	client *mirror.Client
	slots  chan struct{} // maxCalls places
}

func newPeers(n *directory.Network, self keys.RelayID, dial dialer) *peers {
	p := &peers{network: n, lanes: make(map[keys.RelayID]*lane)}
	for i := range n.Authorities {
		if a := &n.Authorities[i]; a.ID != self {
			p.lanes[a.ID] = &lane{
				client: &mirror.Client{Dial: func(ctx context.Context) (net.Conn, error) { return dial(ctx, a) }},
				slots:  make(chan struct{}, maxCalls),
			}
		}
	}
	return p
}

// lane takes a place among the calls to an authority; the caller releases it.
func (p *peers) lane(ctx context.Context, id keys.RelayID) (*lane, error) {
	l := p.lanes[id]
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

// get fetches a document of at most limit bytes.
func (p *peers) get(ctx context.Context, id keys.RelayID, path string, limit int64) ([]byte, error) {
	l, err := p.lane(ctx, id)
	if err != nil {
		return nil, err
	}
	defer l.release()
	return l.client.Get(ctx, path, limit)
}

// post sends a document.
func (p *peers) post(ctx context.Context, id keys.RelayID, path string, body []byte) error {
	l, err := p.lane(ctx, id)
	if err != nil {
		return err
	}
	defer l.release()
	_, err = l.client.Post(ctx, path, body, maxAnswer)
	return err
}

// consensus fetches the consensus that an authority serves, if it is newer than
// the one held.
func (p *peers) consensus(ctx context.Context, id keys.RelayID, have *directory.Checkpoint) (*directory.Bundle, error) {
	l, err := p.lane(ctx, id)
	if err != nil {
		return nil, err
	}
	defer l.release()
	return l.client.Consensus(ctx, p.network, have)
}

// circuits opens directory streams over links: to each authority there is one
// directory circuit, made when it is first needed and again when it is gone.
type circuits struct {
	pool   *link.Pool
	params circuit.Params
	to     map[keys.RelayID]*directoryCircuit // fixed after construction
}

// directoryCircuit is the circuit to one authority.
type directoryCircuit struct {
	turn    chan struct{}    // holds one token: who put it there may use and change what follows
	circuit *circuit.Circuit // nil before the first
}

func newCircuits(n *directory.Network, pool *link.Pool) *circuits {
	c := &circuits{pool: pool, params: circuit.Params{Network: n.Digest()}, to: make(map[keys.RelayID]*directoryCircuit)}
	for i := range n.Authorities {
		c.to[n.Authorities[i].ID] = &directoryCircuit{turn: make(chan struct{}, 1)}
	}
	return c
}

// dial opens a directory stream to an authority.
func (c *circuits) dial(ctx context.Context, to *directory.Authority) (net.Conn, error) {
	circ, err := c.circuit(ctx, to)
	if err != nil {
		return nil, err
	}
	s, err := circ.BeginDir()
	if err != nil {
		return nil, fmt.Errorf("directory stream: %w", err)
	}
	return s, nil
}

// circuit returns the circuit to an authority. One caller makes it, the others
// wait for that.
func (c *circuits) circuit(ctx context.Context, to *directory.Authority) (*circuit.Circuit, error) {
	d := c.to[to.ID]
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if d.circuit != nil && d.circuit.Err() == nil {
		return d.circuit, nil
	}
	l, err := c.pool.Dial(ctx, link.Target{ID: to.ID, Key: to.LinkKey, Addrs: to.Addrs})
	if err != nil {
		return nil, fmt.Errorf("link to authority: %w", err)
	}
	circ, err := circuit.OpenDir(ctx, l, c.params)
	if err != nil {
		return nil, fmt.Errorf("directory circuit: %w", err)
	}
	d.circuit = circ
	return circ, nil
}

// close closes the circuits.
func (c *circuits) close() {
	for _, d := range c.to {
		d.turn <- struct{}{}
		if d.circuit != nil {
			_ = d.circuit.Close() // always nil
		}
		<-d.turn
	}
}
