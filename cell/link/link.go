// Package link is the encrypted connection between two neighbours, and the only
// wire there is: it carries the cells of all circuits between them. It knows
// circuits by their ids and the queues of their cells; what a circuit means, and
// the layers of its cells, belong to package circuit.
//
// A link is made by a handshake of two messages (package hybrid) with the
// responder's link key, known beforehand. Then each side sends records:
//
//	length     2  masked with AES-CTR: of what follows, 517 n + 16
//	cells  517 n  n from 1 to 31, sealed
//	tag       16
//
// The first record of each side has two cells: PROOF or PADDING, then NETINFO.
//
// A link has two goroutines. The reader opens a record, hands each cell to its
// circuit, and waits for nothing but its own socket (and the node's limit of bytes
// per second). The writer sleeps until a cell is queued, takes up to 31 from the
// circuits that have been quietest, seals them once and writes once. Both end when
// the link fails or closes; [Pool.Close] waits for them.
//
// Locks, in the order in which they may be taken: a circuit's queue, the link's
// scheduler. The link's table of circuits and the pool's list of links are taken
// alone. No lock is held across a callback or a system call.
//
// Specification: docs/protocol.md, "Links". The two change together.
package link

import (
	"net/netip"
	"time"

	"tunic/cell"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// A Link is an encrypted connection to one neighbour. Its methods may be called
// from any goroutine, and none of them waits for the network.
type Link struct {
	pool *Pool
}

// Peer returns who is at the other end. proven says that the peer has shown that
// it is id, by its link key or by a proof; else it is a client, or counts as one,
// and id is zero.
func (l *Link) Peer() (id keys.RelayID, class work.Class, proven bool) { return }

// Dialled reports whether this side opened the link.
func (l *Link) Dialled() bool { return false }

// Binding returns the handshake hash: the same at both ends and unique to the link.
func (l *Link) Binding() [32]byte { return [32]byte{} }

// RemoteAddr returns the peer's address, for limits; it is never logged.
func (l *Link) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

// SeenAs returns our address as the peer says that it sees it: a claim. It is zero
// if the peer said nothing.
func (l *Link) SeenAs() netip.AddrPort { return netip.AddrPort{} }

// Skew returns how far the peer's clock was ahead of ours, by its own word, give
// or take a round trip; 0 if it did not tell. It is a hint for warnings: no clock
// is set from it.
func (l *Link) Skew() time.Duration { return 0 }

// Source returns a number that is the same for all links from one source (an IPv4
// address, an IPv6 /64) as long as the process lives: for fairness between
// sources, see package work. It is keyed, so that nobody can aim for collisions.
func (l *Link) Source() uint64 { return 0 }

// Done returns a channel that is closed when the link takes no more cells.
func (l *Link) Done() <-chan struct{} { return nil }

// Err returns why the link ended, nil before that.
func (l *Link) Err() error { return nil }

// Close ends the link: no circuit can send from now on, what is queued is written
// for at most [flushTime], and the connection closed. It starts that and returns
// at once, so that a link's own callbacks may call it; [Pool.Close] waits.
func (l *Link) Close() {}

// Open makes a circuit with the next of our ids, which count up from a random
// start and are never used again. r gets its cells. The error is ErrClosed or
// ErrCircuits.
func (l *Link) Open(r Receiver) (*Circuit, error) { return nil, ErrClosed }

// Accept makes a circuit with an id that the peer chose. r gets its cells. The
// error is ErrClosed, also if the peer has destroyed the circuit meanwhile,
// ErrInUse, ErrWrongHalf or ErrCircuits.
func (l *Link) Accept(id cell.CircuitID, r Receiver) (*Circuit, error) { return nil, ErrClosed }

// Refuse sends a DESTROY for an id that has no circuit.
func (l *Link) Refuse(id cell.CircuitID, reason cell.Reason) {}

// Circuits returns how many circuits the link has.
func (l *Link) Circuits() int { return 0 }

// NegotiatePadding asks the peer for other link padding from now on, and does the
// same here. Only a client that dialled may: else the error is ErrNotClient.
func (l *Link) NegotiatePadding(p Padding) error { return ErrNotClient }
