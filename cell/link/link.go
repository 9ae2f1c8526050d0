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
// A link has one goroutine, and a second at times. The reader opens the records of one
// read, hands each cell to its circuit, and waits for nothing but its own socket, the
// node's limit of bytes per second, and where the node slows the link. The writer is
// there while there is something to wait for. Whoever queues cells on a quiet link with
// a [Batch] takes them, from the circuits that have been quietest, seals them and writes
// them with a system call or two that do not wait: the writer's is what the connection
// does not take at once, what is queued without a batch, and what is due on a quiet link,
// such as PADDING. Both end when the link fails or closes; [Pool.Close] waits for that.
//
// Locks, in the order in which they may be taken: a circuit's queue, then the
// link's scheduler; the pool's list of links, then a link's table of circuits. No
// lock is held across a callback or a system call. What is used for writing has no
// lock: the scheduler gives one goroutine at a time the turn.
//
// Specification: docs/protocol.md, "Links". The two change together.
package link

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// A Link is an encrypted connection to one neighbour. Its methods may be called
// from any goroutine, and none of them waits for the network.
type Link struct {
	pool *Pool // fixed after construction, as is the rest of this group
	conn net.Conn
	established
	born     time.Time
	luck     float64       // drawn from 0 to 1: how long the link stays open without a circuit
	idleSoon time.Duration // the same once surplus is set
	source   *sourceHold   // what it takes of its source's share; nil: nothing
	done     chan struct{} // closed when the link takes no more cells
	ctx      context.Context
	cancel   context.CancelFunc

	in    *inbound // owned by the reader
	batch Batch    // owned by the reader
	out   outbound // owned by whose turn it is, see scheduler
	sched scheduler

	read, written atomic.Uint64 // bytes
	padding       atomic.Uint32 // see Padding.pack
	class         atomic.Uint32 // a work.Class; changed under the pool's lock
	surplus       atomic.Bool   // takes no new circuits: there is an older link, or this one is too old
	slowed        atomic.Int64  // nanoseconds that the reader has to wait before it reads on
	fired         atomic.Bool   // the writer's timer has
	loops         atomic.Int32  // that still run; the last one calls finish

	mu       sync.Mutex // guards what follows
	state    state
	err      error       // why the link ended; set before done is closed
	closing  *time.Timer // ends a graceful close that takes too long
	circuits map[cell.CircuitID]*Circuit
	nextID   uint32 // the id that Open takes next, before the top bit is set
	idsLeft  int64
	idleFrom time.Time        // since when there has been no circuit
	early    []cell.CircuitID // DESTROYs for ids without a circuit, the newest at earlyAt-1
	earlyAt  int
}

// newLink makes a link of a handshaken connection.
func newLink(p *Pool, h *handshaken, class work.Class) *Link {
	now := time.Now()
	l := &Link{pool: p, conn: h.conn, established: h.established, born: now, luck: rand.Float64(),
		idleSoon: idleSurplus + rand.N(idleSurplus), done: make(chan struct{}),
		in: h.in, nextID: 1 + uint32(rand.N(ids)), idsLeft: ids, idleFrom: now}
	l.in.own, l.in.idle = true, l.batch.Flush
	l.class.Store(uint32(class))
	l.ctx, l.cancel = context.WithCancel(context.Background()) // outlives the pool's, to be flushed
	l.out.init(h)
	l.out.lastSent = now
	l.out.timer = time.AfterFunc(time.Hour, l.writerDue)
	l.out.timer.Stop()
	l.sched.epoch, l.sched.turn = now, writers // the writer starts with it
	l.padding.Store(h.pad.pack())
	l.loops.Store(2)
	l.out.pace.start(h.conn)
	return l
}

// A state is how far a link's life has gone.
type state uint8

const (
	open     state = iota
	flushing       // Close was called: what is queued is still written
	ended
)

// Peer returns who is at the other end, and its class by the last [Pool.Reclassify],
// or as it was when the link was made. proven says that the peer has shown that
// it is id, by its link key or by a proof; else it is a client, or counts as one,
// and id is zero.
func (l *Link) Peer() (id keys.RelayID, class work.Class, proven bool) {
	return l.peer, l.classNow(), l.proven
}

func (l *Link) classNow() work.Class { return work.Class(l.class.Load()) }

// idleTime returns after how long without a circuit the link closes.
func (l *Link) idleTime() time.Duration {
	limits := &l.pool.cfg.Limits
	if l.classNow() == work.Stranger || l.pool.cfg.ID == (keys.RelayID{}) {
		return limits.IdleClient + time.Duration(l.luck*float64(limits.IdleClient/2))
	}
	return limits.IdleRelay*3/4 + time.Duration(l.luck*float64(limits.IdleRelay/2))
}

// Dialled reports whether this side opened the link.
func (l *Link) Dialled() bool { return l.dialled }

// Binding returns the handshake hash: the same at both ends and unique to the link.
func (l *Link) Binding() [32]byte { return l.hash }

// RemoteAddr returns the peer's address, for limits; it is never logged.
func (l *Link) RemoteAddr() netip.AddrPort { return l.remote }

// SeenAs returns our address as the peer says that it sees it: a claim. It is zero
// if the peer said nothing.
func (l *Link) SeenAs() netip.AddrPort { return l.seen }

// Skew returns how far the peer's clock was ahead of ours, by its own word, give
// or take a round trip; 0 if it did not tell. It is a hint for warnings: no clock
// is set from it.
func (l *Link) Skew() time.Duration { return l.skew }

// Source returns a number that is the same for all links from one source (an IPv4
// address, an IPv6 /64) as long as the pool lives: for fairness between sources,
// see package work. It is keyed, so that nobody can aim for collisions.
func (l *Link) Source() uint64 { return l.pool.sourceNumber(l.remote.Addr()) }

// Done returns a channel that is closed when the link takes no more cells.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err returns why the link ended, nil before that.
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Circuits returns how many circuits the link has.
func (l *Link) Circuits() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.circuits)
}

// wakeWriter tells the writer that there is something to do, and starts one if there
// is none.
func (l *Link) wakeWriter() {
	if l.sched.unpark() {
		go l.writeLoop() // ends when there is nothing to do, at the latest with the link
	}
}

// writerDue is called by the writer's timer.
func (l *Link) writerDue() {
	l.fired.Store(true)
	l.wakeWriter()
}

// Slow has the link's reader wait for d, on top of what it has to already, before it
// reads on; a second at most at a time. The peer's connection fills meanwhile: a node
// lets a peer wait in this way that asks for more than it gets.
func (l *Link) Slow(d time.Duration) { l.slowed.Add(int64(d)) }

// NegotiatePadding asks the peer for other link padding from now on, and does the
// same here. Only a client that dialled may: else the error is ErrNotClient.
func (l *Link) NegotiatePadding(p Padding) error {
	if !l.dialled || l.proved {
		return ErrNotClient
	}
	p = p.withDefaults()
	l.padding.Store(p.pack())
	c := controlCell{header: cell.Header{Command: cell.NegotiatePadding}}
	appendPadding(c.body[:0], p)
	l.control(c, controlCells)
	l.wakeWriter()
	return nil
}

// control queues a cell of the link's own; more than room of them close the link.
func (l *Link) control(c controlCell, room int) {
	wake, full := l.sched.put(c, room)
	if full {
		l.fail(errControlFull)
	}
	if wake {
		l.wakeWriter()
	}
}

// destroy sends a DESTROY. extra is room beyond what control cells have: the
// DESTROYs of circuits that the link has had are as many as its circuits at most,
// so that another link's end cannot close this one.
func (l *Link) destroy(id cell.CircuitID, reason cell.Reason, extra int) {
	c := controlCell{header: cell.Header{Circuit: id, Command: cell.Destroy}}
	c.body[0] = byte(reason)
	l.control(c, controlCells+extra)
}

// Refuse sends a DESTROY for an id that has no circuit.
func (l *Link) Refuse(id cell.CircuitID, reason cell.Reason) { l.destroy(id, reason, 0) }
