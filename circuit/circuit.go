// Package circuit is both ends of a circuit: the client's, with the layers of
// all hops, and a relay's hop, with one. Around both stand one stream table, one
// bookkeeping of SENDMEs and one set of checks against abuse. It does not know
// who a relay is, where a stream leads or which circuit a stream should take:
// package client chooses, package relay answers. It starts no goroutine: work is
// done on the goroutine of a link's reader, or of whoever uses a stream.
//
// The client opens a [Circuit] with [Open] or [OpenDir], makes it longer with
// [Circuit.Extend], and opens a [Stream] with [Circuit.Dial]. A relay makes a
// [Hop] with [NewHop] for a handshake that it has answered; what the client asks
// of it reaches its [Owner].
//
// Locks, in the order in which one goroutine may take them: a stream's; a
// direction's; the stream table's, or those of package link. A cell is sealed
// and takes its place in its circuit's queue under one hold of the direction's
// lock, so that no two can change places.
//
// Whatever a peer does that the specification does not provide for destroys the
// circuit, and nothing else.
//
// Specification: docs/protocol.md, "Circuits" and "Streams".
package circuit

import (
	"sync"
	"sync/atomic"

	"tunic/cell/link"
	"tunic/circuit/congestion"
	"tunic/circuit/onion"
	"tunic/directory/keys"
)

// HopInfo is what a client must know of a relay to make it a hop.
type HopInfo struct {
	ID  keys.RelayID
	Key keys.CircuitPublic
}

// Params are what all circuits of a node have in common.
type Params struct {
	Network    [32]byte          // digest of the network file
	Congestion congestion.Params // the zero value stands for congestion.Default()
}

// window returns the congestion parameters in effect.
func (p *Params) window() congestion.Params {
	if p.Congestion == (congestion.Params{}) {
		return congestion.Default()
	}
	return p.Congestion.Clamp()
}

// forDir returns those of a circuit that CREATE_DIR makes: its ends agree on no
// interval, and the client may have no consensus yet.
func (p *Params) forDir() congestion.Params {
	w := p.window()
	w.SendmeInc = congestion.Default().SendmeInc
	return w.Clamp()
}

// A Circuit is the client's end of a circuit. All its methods may be called at
// the same time.
type Circuit struct {
	end
	p      Params // fixed, as is forDir
	forDir bool   // made with CREATE_DIR
	in     inward
	setup  handshakes

	heard atomic.Uint64 // cells of the last hop

	hopsMu sync.Mutex
	hops   []keys.RelayID
}

// inward is the direction towards the client.
type inward struct {
	mu   sync.Mutex
	hops []*onion.State // by hop, 0 the guard
}

// Len returns how many hops the circuit has.
func (c *Circuit) Len() int {
	c.hopsMu.Lock()
	defer c.hopsMu.Unlock()
	return len(c.hops)
}

// Hops returns the identities of the circuit's hops, the guard's first.
func (c *Circuit) Hops() []keys.RelayID {
	c.hopsMu.Lock()
	defer c.hopsMu.Unlock()
	return append([]keys.RelayID(nil), c.hops...)
}

// Link returns the link to the first hop.
func (c *Circuit) Link() *link.Link { return c.tx.lc.Link() }

// Close destroys the circuit; its streams fail with net.ErrClosed. The error is
// always nil.
func (c *Circuit) Close() error {
	c.destroy(errClosed)
	return nil
}

// Done returns a channel that is closed when the circuit is gone.
func (c *Circuit) Done() <-chan struct{} { return c.done }

// Err returns nil while the circuit lives, then why it is gone: a
// [*DestroyError], or net.ErrClosed in the chain after [Circuit.Close].
func (c *Circuit) Err() error { return c.end.cause() }

// Heard returns how many cells have come from the last hop. A circuit from which
// none comes, though one is owed, is stuck.
func (c *Circuit) Heard() uint64 { return c.heard.Load() }

// Streams returns how many streams and lookups of this end are open: a circuit
// with none can be closed without loss.
func (c *Circuit) Streams() int { return c.table.open() }
