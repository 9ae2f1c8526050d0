package client

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"tunic/cell"
	"tunic/cell/ceiling"
	"tunic/cell/link"
	"tunic/circuit"
	"tunic/circuit/congestion"
	"tunic/client/path"
	"tunic/directory"
	"tunic/directory/mirror"
)

const ( // our choice
	// dialMemory is how long the pool remembers a failed dial: the guards have
	// their own times for another try.
	dialMemory = time.Second
	// maxLinks: guards, and mirrors and authorities for a moment.
	maxLinks = 64
)

// Padding between client and guard: fixed by docs/protocol.md, "Link padding".
const (
	paddingLow  = 1500 * time.Millisecond
	paddingHigh = 9500 * time.Millisecond
)

// A wire is the network that there is.
type wire struct {
	network *directory.Network
	pool    *link.Pool
	params  atomic.Pointer[circuit.Params] // of circuits that begin now
	ahead   atomic.Int64                   // the last peer's clock, nanoseconds
}

// newWire returns the network behind a client, which tells in and out what passes.
func newWire(n *directory.Network, t link.Transport, log *slog.Logger, in, out *ceiling.Gauge) *wire {
	w := &wire{
		network: n,
		pool: link.NewPool(link.Config{
			Network: n.Digest(), Transport: t, MaxLinks: maxLinks, Log: log,
			ReadLimit: counted{in}, WriteLimit: counted{out},
			Padding: link.Padding{Low: paddingLow, High: paddingHigh},
			Limits:  link.Limits{DialMemory: dialMemory},
		}),
	}
	w.params.Store(&circuit.Params{Network: n.Digest()})
	return w
}

func (w *wire) follow(c *directory.Consensus) {
	w.params.Store(&circuit.Params{Network: w.network.Digest(), Congestion: congestion.FromConsensus(c.Param)})
}

// counted is no limit, and counts what passes.
type counted struct{ gauge *ceiling.Gauge }

// WaitN implements link.Limiter.
func (c counted) WaitN(_ context.Context, n int) error {
	c.gauge.Add(n)
	return nil
}

// AllowN implements link.Limiter.
func (c counted) AllowN(_ time.Time, n int) bool {
	c.gauge.Add(n)
	return true
}

// Burst implements link.Limiter.
func (c counted) Burst() int { return 0 }

func linkTarget(r *directory.Relay) link.Target {
	return link.Target{ID: r.ID, Key: r.LinkKey, Addrs: r.Addrs}
}

func hopInfo(r *directory.Relay) circuit.HopInfo {
	return circuit.HopInfo{ID: r.ID, Key: r.CircuitKey}
}

func (w *wire) build(ctx context.Context, p path.Path, limit time.Duration, opened func()) (builtCircuit, error) {
	params := *w.params.Load()
	c, err := w.first(ctx, linkTarget(p[path.Guard]), func(l *link.Link) (*circuit.Circuit, error) {
		return circuit.Open(ctx, l, hopInfo(p[path.Guard]), params)
	})
	if err != nil {
		return nil, err
	}
	opened()
	for i, r := range p[1:] {
		hop, cancel := context.WithTimeout(ctx, limit)
		err := c.Extend(hop, hopInfo(r))
		cancel()
		if err != nil {
			_ = c.Close()
			return nil, &hopError{path.Middle + path.Position(i), err}
		}
	}
	return built{c}, nil
}

// first opens the first hop of a circuit. A link that was open already may
// turn out to be dead: then it is done once more over a new one.
func (w *wire) first(ctx context.Context, t link.Target, open func(*link.Link) (*circuit.Circuit, error)) (*circuit.Circuit, error) {
	for again := true; ; again = false {
		l, err := w.pool.Dial(ctx, t)
		if err != nil {
			return nil, &guardError{err}
		}
		w.ahead.Store(int64(l.Skew()))
		before := w.received(t)
		c, err := open(l)
		if err == nil {
			return c, nil
		}
		if ctx.Err() == nil && l.Err() == nil && before == w.received(t) {
			l.Close() // nothing at all came while we waited: nobody is there
		}
		if !again || l.Err() == nil || ctx.Err() != nil {
			return nil, &guardError{err}
		}
	}
}

// received returns how many bytes have come on all links to a relay.
func (w *wire) received(t link.Target) (bytes uint64) {
	for _, i := range w.pool.Links() {
		if i.ID == t.ID {
			bytes += i.Read
		}
	}
	return bytes
}

func (w *wire) probe(ctx context.Context, r *directory.Relay) error {
	_, err := w.pool.Dial(ctx, linkTarget(r))
	return err
}

func (w *wire) consensus(ctx context.Context, t link.Target, have *directory.Bundle, opened func()) (*directory.Bundle, error) {
	client := mirror.Client{Dial: func(ctx context.Context) (net.Conn, error) { return w.dialDir(ctx, t, opened) }}
	var held *directory.Checkpoint
	if have != nil {
		held = &have.Signed.Checkpoint
	}
	return client.Consensus(ctx, w.network, held)
}

// dialDir opens a directory stream.
func (w *wire) dialDir(ctx context.Context, t link.Target, opened func()) (net.Conn, error) {
	c, err := w.first(ctx, t, func(l *link.Link) (*circuit.Circuit, error) {
		return circuit.OpenDir(ctx, l, *w.params.Load())
	})
	if err != nil {
		return nil, err
	}
	opened()
	s, err := c.BeginDir()
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("directory stream: %w", err)
	}
	return dirConn{s, c}, nil
}

func (w *wire) skew() time.Duration { return time.Duration(w.ahead.Load()) }

func (w *wire) links() []link.LinkInfo { return w.pool.Links() }

func (w *wire) close() error { return w.pool.Close() }

// built makes a circuit's streams an interface.
type built struct{ *circuit.Circuit }

func (b built) Begin(ctx context.Context, host string, port uint16, flags cell.BeginFlags, first []byte) (stream, error) {
	s, err := b.Circuit.BeginWith(ctx, host, port, flags, first)
	if err != nil { // a nil *Stream must not become a stream
		return nil, err
	}
	return s, nil
}

// A dirConn is a directory stream on a circuit of its own.
type dirConn struct {
	*circuit.Stream
	c *circuit.Circuit
}

func (d dirConn) Close() error {
	err := d.Stream.Close()
	_ = d.c.Close()
	return err
}
