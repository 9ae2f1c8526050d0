package client

import (
	"math/rand/v2"
	"slices"
	"time"

	"tunic/client/path"
)

const ( // fixed by docs/protocol.md, "Clients"
	maxDirtiness = 10 * time.Minute // from its first stream on a circuit takes new ones
	maxWaiting   = 10 * time.Minute // that a circuit waits for its guard's turn
	unusedMin    = 30 * time.Minute // an unused circuit is closed after a time drawn between these
	unusedMax    = 60 * time.Minute
	portMemory   = time.Hour        // a port that was used is prepared for
	portCircuits = 2                // unused circuits that serve each such port, at least
	maxStock     = 48               // unused circuits in all beyond which none is built ahead
	burstHalf    = 5 * time.Second  // in which a circuit taken counts half towards a burst
	peakHalf     = 10 * time.Minute // in which the largest burst is half forgotten
	minHop       = 3 * time.Second  // for a hop beyond the guard to answer, where circuits are built quickly:
	maxHop       = 10 * time.Second // a busy relay may let a handshake wait for 1.75 s; and else
)

const ( // our choice
	settleTime    = 50 * time.Millisecond   // after a circuit was taken before the stock is filled up, while some are left
	minClean      = 3                       // unused circuits kept ready in all
	maxStockBuild = 8                       // of them under way at a time
	maxBuilding   = 32                      // young ones under way at a time, with those that requests wait for
	maxUnderWay   = 128                     // and with old ones, which a relay that hangs keeps from ending
	maxCircuits   = 1024                    // open at a time; some 10 KiB each here
	maxWaiters    = 4096                    // requests that wait for a circuit
	generalPort   = 443                     // that a circuit for anything serves
	maxPorts      = 16                      // ports prepared for
	linger        = time.Minute             // a circuit without streams that takes none: so that what was queued gets out
	firstPatience = 1500 * time.Millisecond // before a circuit under way is no reason not to build another, at first,
	minPatience   = 500 * time.Millisecond  // and when it is known how long building takes
	maxPatience   = 5 * time.Second
	freeFailures  = 64              // failures in a row before building pauses in any case,
	graceOut      = 2 * time.Second // and how long nothing must have worked before it does
	backoffBase   = 50 * time.Millisecond
	backoffCap    = 10 * time.Second
)

const _ = uint(maxBuilding - maxStockBuild) // does not compile unless requests have room beside the stock

// A stage is how far a circuit has come.
type stage uint8

const (
	building stage = iota
	waiting        // built, but over a guard that is not the turn of yet
	open
	gone
)

// An entry is one circuit of the pool, from the decision to build it on.
type entry struct {
	id      uint64
	path    path.Path
	need    path.Need // what it was built for
	attempt *path.Attempt
	limit   time.Duration // for each hop beyond the guard to answer
	started time.Time
	stage   stage
	circuit builtCircuit // once built

	opened  time.Time // when it was: all of its relays were well then
	claimed bool      // has, or had, streams: of the key and of no other
	key     string    // the isolation key
	dirtied time.Time // when it was claimed
	expires time.Time // when it goes if it is not claimed
	uses    int       // requests and connections on it
	idle    time.Time // when uses became 0
	retired bool      // takes no new streams
	worn    bool      // its guard is not the preferred one any more
	asked   *question // that it is being asked; nil: none
}

// fresh reports whether the circuit may take a stream.
func (e *entry) fresh(now time.Time) bool {
	return e.stage == open && !e.retired && (!e.claimed || now.Sub(e.dirtied) < maxDirtiness) && !e.dead()
}

// dead reports whether the circuit has ended, which the pool may not know yet.
func (e *entry) dead() bool {
	select {
	case <-e.circuit.Done():
		return true
	default:
		return false
	}
}

// A wish is what a request asks of the circuit that it is put on.
type wish struct {
	key   string // the isolation key
	need  path.Need
	since time.Time // it must have been opened after this: older ones are in doubt
}

// A waiter is a request without a circuit.
type waiter struct {
	wish
	got chan grant // has room for the one answer
}

// A grant is a circuit, counted as used, or the reason why there is none.
type grant struct {
	e   *entry
	err error
}

// A pool is the client's circuits and who waits for them. It decides and does
// nothing: no goroutine, no clock. The client's lock guards it.
type pool struct {
	rng     *rand.Rand
	entries []*entry // in the order of their beginning
	waiters []*waiter
	ports   map[uint16]*demand // of the ports asked for
	taken   time.Time          // when an unused circuit was last taken
	barren  map[uint16]bool    // ports that no exit of this consensus serves
	general path.Need          // what a circuit for anything must serve
	lastID  uint64
	ready   bool         // a circuit has been open
	used    func(*entry) // told of each circuit that a request is put on; nil: nobody is

	failures int           // in a row
	failing  time.Time     // since when
	retryAt  time.Time     // no building before
	usual    time.Duration // smoothed time of building, 0 at first
}

func newPool(rng *rand.Rand, now time.Time) *pool {
	return &pool{rng: rng, ports: map[uint16]*demand{generalPort: {at: now}, 80: {at: now}}, barren: map[uint16]bool{}, general: path.Need{Port: generalPort}}
}

// take returns a circuit for a request, counted as used, or nil: one of the
// key's own, else an unused one, which becomes the key's. It also returns how many
// unused ones are left.
func (p *pool) take(w wish, now time.Time) (best *entry, unused int) {
	better := func(e *entry) bool {
		switch {
		case best == nil:
			return true
		case e.claimed != best.claimed:
			return e.claimed
		case e.worn != best.worn:
			return best.worn
		}
		return e.id > best.id
	}
	for _, e := range p.entries {
		if e.claimed && e.key != w.key || !e.fresh(now) {
			continue
		}
		if !e.claimed {
			unused++
		}
		if !e.opened.Before(w.since) && path.Serves(e.path[path.Exit], w.need) && better(e) {
			best = e
		}
	}
	if best == nil {
		return nil, unused
	}
	if !best.claimed {
		best.claimed, best.key, best.dirtied = true, w.key, now
		unused--
		p.took(w.need.Port, now)
	}
	best.uses++
	if p.used != nil {
		p.used(best)
	}
	return best, unused
}

// release undoes one use of a circuit.
func (p *pool) release(e *entry, now time.Time) {
	if e.uses--; e.uses == 0 {
		e.idle = now
	}
}

// serve gives circuits to those who wait, in the order of their coming.
func (p *pool) serve(now time.Time) {
	p.waiters = slices.DeleteFunc(p.waiters, func(w *waiter) bool {
		e, _ := p.take(w.wish, now)
		if e == nil {
			return false
		}
		w.got <- grant{e: e}
		return true
	})
}

// fail answers the waiters for a need that no path serves.
func (p *pool) fail(n path.Need, err error) {
	p.waiters = slices.DeleteFunc(p.waiters, func(w *waiter) bool {
		if !sameNeed(w.need, n) {
			return false
		}
		w.got <- grant{err: err}
		return true
	})
}

func sameNeed(a, b path.Need) bool {
	return a.Port == b.Port && a.Family == b.Family && slices.Equal(a.NotExit, b.NotExit)
}

// add puts a circuit that is about to be built into the pool.
func (p *pool) add(pa path.Path, a *path.Attempt, n path.Need, now time.Time) *entry {
	p.lastID++
	e := &entry{id: p.lastID, path: pa, attempt: a, need: n, started: now, limit: p.hopLimit(now)}
	p.entries = append(p.entries, e)
	return e
}

// admit makes a built circuit one that takes streams.
func (p *pool) admit(e *entry, now time.Time) {
	e.stage, p.ready = open, true
	e.expires = now.Add(unusedMin + time.Duration(p.rng.Int64N(int64(unusedMax-unusedMin))))
}

// remove takes a circuit out of the pool.
func (p *pool) remove(e *entry) {
	e.stage = gone
	if i := slices.Index(p.entries, e); i >= 0 {
		p.entries = slices.Delete(p.entries, i, i+1)
	}
}

// succeeded notes that building works.
func (p *pool) succeeded(took time.Duration) {
	p.failures, p.failing, p.retryAt = 0, time.Time{}, time.Time{}
	if p.usual == 0 {
		p.usual = took
	}
	p.usual = (7*p.usual + took) / 8
}

// failed notes a failure. When nothing has worked for a while building pauses,
// for a time in proportion and drawn so that clients do not go in step: a relay
// that has just died costs no pause, a network that is away costs little.
func (p *pool) failed(now time.Time) {
	if p.failing.IsZero() {
		p.failing = now
	}
	p.failures++
	out := now.Sub(p.failing)
	if now.Before(p.retryAt) || out < graceOut && p.failures < freeFailures {
		return
	}
	d := min(max(out/8, backoffBase), backoffCap)
	p.retryAt = now.Add(d/2 + time.Duration(p.rng.Int64N(int64(d/2))))
}

// hopLimit is how long a hop beyond the guard may take to answer: many times what
// is usual for a whole circuit. Who hangs is found out soon that way, and does not
// fill the places of circuits under way. When nothing works any more it is the
// network that has become slow.
func (p *pool) hopLimit(now time.Time) time.Duration {
	if p.usual == 0 || !p.failing.IsZero() && now.Sub(p.failing) >= minHop {
		return maxHop
	}
	return min(max(8*p.usual, minHop), maxHop)
}

// patience is how long a circuit may be under way before another is begun for
// those who wait: some times what is usual.
func (p *pool) patience() time.Duration {
	if p.usual == 0 {
		return firstPatience
	}
	return min(max(4*p.usual, minPatience), maxPatience)
}
