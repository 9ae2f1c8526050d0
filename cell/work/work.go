// Package work is a bounded pool of workers for what costs processor time and
// that strangers can ask for: handshakes. It keeps such work away from the
// goroutines that move cells, and one asker from taking all of it. It knows
// nothing of what the work is.
//
// Work is asked for under a class and a source. A worker takes the classes in
// turn, so that each that waits gets a third of the pool, and the sources of one
// class in turn. What would wait too long is refused at once, what has waited too
// long is dropped.
//
// Specification: docs/protocol.md, "Shares".
package work

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A Class is what a node knows of a peer. It decides which share of the node's
// links, handshakes and directory streams the peer's requests come out of.
type Class uint8

// The classes. A third of everything is kept for authorities, a third for relays.
const (
	Stranger  Class = iota // no proof: a client, or not known yet
	Relay                  // a relay of the consensus that proved itself
	Authority              // an authority that proved itself
)

const classes = 3

var classNames = [classes]string{"stranger", "relay", "authority"}

func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown class"
}

// MarshalText returns the class's name, for status output.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Class) UnmarshalText(b []byte) error {
	i := slices.Index(classNames[:], string(b))
	if i < 0 {
		return errors.New("unknown class")
	}
	*c = Class(i)
	return nil
}

// Share returns how many of total strangers may take if c is Stranger, strangers
// and relays together if it is Relay, and all together if it is Authority: a
// third, two thirds and the whole. Of a total below 3 everybody may take all.
func (c Class) Share(total int) int {
	switch {
	case total < classes || c >= Authority:
		return total
	case c == Relay:
		return total - total/classes
	}
	return total - 2*(total/classes)
}

// A Config says how large a pool is. Zero values are replaced by defaults.
type Config struct {
	// Workers is the number of goroutines that work; by default half of the
	// processors that Go uses, at least one, so that as many are left for cells.
	Workers int
	// MaxQueue is how many entries may wait, of all classes together; 1,024 by
	// default. See [Class.Share] for how many of each class.
	MaxQueue int
	// MaxDelay is the longest that a new entry may be expected to wait; 1.75 s by
	// default.
	MaxDelay time.Duration
	// MaxAge is the longest that an entry waits; then it is dropped. 5 s by
	// default.
	MaxAge time.Duration
	// Busy reports whether the node needs its processors for work that has no pool.
	// It is asked after each entry; each worker then rests for three times what its
	// entries cost. nil: never.
	Busy func() bool
}

const ( // our choice; the first three are C tor's
	defaultDelay    = 1750 * time.Millisecond
	defaultAge      = 5 * time.Second
	alwaysRoom      = 50 // entries of a class that are taken whatever the estimated delay
	defaultQueue    = 1024
	firstGuess      = 300 * time.Microsecond // the cost of an entry before one was measured: a handshake's
	costMemory      = 32                     // entries over which the mean cost is taken
	longestMeasured = time.Second            // a worker that was not scheduled must not spoil the mean
)

// withDefaults returns c with its zero values replaced.
func (c Config) withDefaults() Config {
	if c.Workers <= 0 {
		c.Workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.MaxQueue <= 0 {
		c.MaxQueue = defaultQueue
	}
	if c.MaxDelay <= 0 {
		c.MaxDelay = defaultDelay
	}
	if c.MaxAge <= 0 {
		c.MaxAge = defaultAge
	}
	return c
}

// A Pool runs work. It may be used by several goroutines.
type Pool struct {
	cfg     Config
	workers sync.WaitGroup // p.workers.Go(p.work); ended by Close
	done    chan struct{}  // closed by Close

	mu     sync.Mutex
	wake   sync.Cond // an entry was added, or the pool closed
	queues [classes]queue
	turn   int           // the class that the next worker tries first
	cost   time.Duration // running mean of what an entry costs
	closed bool
}

// New starts a pool.
func New(cfg Config) *Pool {
	p := &Pool{cfg: cfg.withDefaults(), cost: firstGuess, turn: classes - 1, done: make(chan struct{})}
	p.wake.L = &p.mu
	for i := range p.queues {
		p.queues[i].sources = map[uint64]*source{}
	}
	for range p.cfg.Workers {
		p.workers.Go(p.work)
	}
	return p
}

// Submit asks for run to be called by a worker, and reports whether it will be
// tried. Entries of one class and source start in order. If Submit returns true,
// exactly one of run and dropped is called, once, on a goroutine of the pool's, of
// another Submit's or of Close's; dropped, which may be nil, when the entry waited
// too long, had to make room for a source that had fewer waiting, or the pool
// closed. If it returns false neither is: the queue is full, too slow, or closed.
func (p *Pool) Submit(class Class, source uint64, run func(), dropped func()) bool {
	if class > Authority {
		class = Stranger
	}
	now := time.Now()
	var out []func()
	p.mu.Lock()
	ok := !p.closed && p.admitLocked(class, source, now, &out)
	if ok {
		p.queues[class].add(source, entry{run, dropped, now})
		p.wake.Signal()
	}
	p.mu.Unlock()
	callAll(out)
	return ok
}

// Crowded reports whether a source has entries waiting and [Pool.Submit] would refuse
// one more of it: who asks before it does anything for the entry spares itself the rest.
// What waits and is too old counts still.
func (p *Pool) Crowded(class Class, source uint64) bool {
	if class > Authority {
		class = Stranger
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	q := &p.queues[class]
	if q.waiting(source) == 0 {
		return false
	}
	return p.slowLocked(class, source) || !p.hasRoomLocked(class) && q.richest(source) == nil
}

// admitLocked reports whether there is room for one more entry of source. It puts
// the callbacks of the entries that had to go into out.
func (p *Pool) admitLocked(class Class, source uint64, now time.Time, out *[]func()) bool {
	q := &p.queues[class]
	q.expire(now.Add(-p.cfg.MaxAge), out)
	if p.slowLocked(class, source) {
		return false
	}
	if p.hasRoomLocked(class) {
		return true
	}
	return q.displace(source, out)
}

// slowLocked reports whether a new entry of source would wait too long, and enough of
// its class wait already.
func (p *Pool) slowLocked(class Class, source uint64) bool {
	return p.queues[class].n >= min(alwaysRoom, class.Share(p.cfg.MaxQueue)) && p.delayLocked(class, source) > p.cfg.MaxDelay
}

// hasRoomLocked reports whether the share of class, and those that it is part of,
// are not full.
func (p *Pool) hasRoomLocked(class Class) bool {
	sum := 0
	for c := Stranger; c <= Authority; c++ {
		sum += p.queues[c].n
		if c >= class && sum >= c.Share(p.cfg.MaxQueue) {
			return false
		}
	}
	return true
}

// delayLocked estimates how long a new entry of source will wait.
func (p *Pool) delayLocked(class Class, source uint64) time.Duration {
	q := &p.queues[class]
	ahead := min(q.n, (q.waiting(source)+1)*(len(q.sources)+1))
	others := 0 // entries of other classes that will be served in between
	for c := range p.queues {
		if Class(c) != class {
			others += min(p.queues[c].n, ahead)
		}
	}
	return time.Duration(ahead+others) * p.cost / time.Duration(p.cfg.Workers)
}

// work runs entries until the pool is closed.
func (p *Pool) work() {
	var d debt
	for {
		e, late, ok := p.next()
		switch {
		case !ok:
			return
		case late:
			e.drop()
		default:
			started := time.Now()
			e.run()
			ended := time.Now()
			cost := ended.Sub(started)
			p.rest(cost, d.add(ended, cost, p.cfg.Busy != nil && p.cfg.Busy()))
		}
	}
}

// rest notes what an entry has cost, with the rest d after it: others wait for both.
func (p *Pool) rest(cost, d time.Duration) {
	p.learn(cost + d)
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.done:
	}
}

// next waits for an entry. late says that it has waited too long. ok is false when
// the pool is closed.
func (p *Pool) next() (e entry, late, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.closed {
			return entry{}, false, false
		}
		for i := range classes {
			c := (p.turn + i) % classes
			if e, ok := p.queues[c].take(); ok {
				p.turn = (c + 1) % classes
				return e, time.Since(e.queued) > p.cfg.MaxAge, true
			}
		}
		p.wake.Wait()
	}
}

// learn moves the mean cost towards d.
func (p *Pool) learn(d time.Duration) {
	d = min(d, longestMeasured)
	p.mu.Lock()
	p.cost += (d - p.cost) / costMemory
	p.mu.Unlock()
}

// Waiting returns how many entries of a class wait.
func (p *Pool) Waiting(class Class) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if class > Authority {
		return 0
	}
	return p.queues[class].n
}

// Close drops what waits and returns when no worker runs any more. What runs is
// not interrupted; so Close must not be called from an entry.
func (p *Pool) Close() {
	var out []func()
	p.mu.Lock()
	if !p.closed {
		close(p.done)
	}
	p.closed = true
	for i := range p.queues {
		p.queues[i].clear(&out)
	}
	p.wake.Broadcast()
	p.mu.Unlock()
	callAll(out)
	p.workers.Wait()
}

func callAll(fs []func()) {
	for _, f := range fs {
		f()
	}
}
