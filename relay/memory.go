package relay

import (
	"maps"
	"net"
	"slices"

	"tunic/cell"
	"tunic/cell/ceiling"
	"tunic/cell/work"
	"tunic/circuit"
	"tunic/directory/mirror"
)

const ( // our choice; bytes
	// defaultMemory is how much of the memory strangers may take where the operator
	// says nothing and package node has not looked at the machine.
	defaultMemory = 512 << 20
	// What costs memory without any data waiting, rounded up from what the
	// benchmarks of the same name measure.
	idleLinkMemory   = 12 << 10 // cell/link, BenchmarkIdleLinks
	circuitMemory    = 3 << 10  // BenchmarkIdleCircuits
	streamMemory     = 16 << 10 // BenchmarkIdleStreams: two goroutines and their socket
	dirStreamMemory  = 96 << 10 // a piece of an answer, net/http's buffers, a goroutine
	handshakeMemory  = 4 << 10  // a CREATE that is put together or waits for a worker
	resolveMemory    = 16 << 10 // a goroutine with a DNS exchange
	idleCircuitShare = 2        // a half of the ceiling may be taken by circuits and streams without data
)

// linksWithin returns how many links a relay has at most: no more than it is told,
// which is what its files are enough for, and no more than take a third of what memory
// is given, unless that is very little.
func linksWithin(told int, memory int64) int {
	if told <= 0 {
		told = maxLinks
	}
	return int(min(int64(told), maxLinks, max(leastLinks, memory/3/idleLinkMemory)))
}

// streamsWithin returns how many streams an exit has at most: no more than it is told.
func streamsWithin(told int) int {
	if told <= 0 {
		return maxStreams
	}
	return min(told, maxStreams)
}

// newGuard returns what keeps the relay below its ceiling.
func (r *Relay) newGuard() *ceiling.Guard {
	return ceiling.New(ceiling.Config{Limit: r.cfg.MaxMemory, Base: r.baseMemory, Holdings: r.holdings, Release: r.cfg.Release})
}

// baseMemory is what links, circuits, streams and requests cost however little
// waits in them.
func (r *Relay) baseMemory() int64 {
	n := r.pool.Held() + r.standing()
	for c := work.Stranger; c <= work.Authority; c++ {
		n += int64(r.work.Waiting(c)) * handshakeMemory
	}
	n += int64(r.creates.incomplete()) * handshakeMemory
	n += int64(min(r.dirs.Streams(), mirror.MaxStreams)) * dirStreamMemory
	n += r.resolves.Load() * resolveMemory
	if r.exit != nil {
		n += r.exit.Held()
	}
	return n
}

// standing is what circuits and streams cost without data.
func (r *Relay) standing() int64 {
	return int64(r.hops.len())*circuitMemory + int64(r.streams.len())*streamMemory
}

// hasRoom reports whether there may be one more circuit or stream of somebody of
// the given class: strangers stop at a third of what may stand idle, relays at two.
func (r *Relay) hasRoom(class work.Class) bool {
	return r.standing() < int64(class.Share(int(r.cfg.MaxMemory/idleCircuitShare)))
}

// holdings returns what each circuit holds that holds anything, and what streams
// hold whose circuits are gone.
func (r *Relay) holdings() []ceiling.Holding {
	all := append(r.hops.holdings(), r.streams.orphans()...)
	for i, h := range all {
		all[i].End = func() {
			r.counts.refuse(causeMemory)
			h.End()
		}
	}
	return all
}

// holdings returns what each circuit holds that holds anything.
func (s *hops) holdings() []ceiling.Holding {
	s.mu.Lock()
	hops := slices.Collect(maps.Keys(s.all))
	s.mu.Unlock()
	var all []ceiling.Holding
	for _, h := range hops {
		if bytes, oldest := h.Held(); bytes > 0 {
			all = append(all, ceiling.Holding{Bytes: bytes, Oldest: oldest, End: func() { h.Fail(cell.ReasonResource) }})
		}
	}
	return all
}

// orphans returns what streams hold whose circuits are gone. A client that leaves
// must not take its data out of the count by that.
func (t *streams) orphans() []ceiling.Holding {
	t.mu.Lock()
	conns := make(map[*circuit.Stream]net.Conn)
	for s, o := range t.all {
		if o.conn != nil && s.Hop().Err() != nil {
			conns[s] = o.conn
		}
	}
	t.mu.Unlock()
	var all []ceiling.Holding
	for s, conn := range conns {
		if bytes, oldest := s.Held(); bytes > 0 {
			all = append(all, ceiling.Holding{Bytes: bytes, Oldest: oldest, End: func() { reset(conn) }})
		}
	}
	return all
}

// incomplete returns how many CREATEs are being put together.
func (c *creates) incomplete() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, lc := range c.links {
		n += len(lc.arriving)
	}
	return n
}
