package link

import (
	"math"
	"sync"
	"time"

	"tunic/cell"
)

const ( // our choice
	halfLife  = 30 * time.Second // (T) of the count of cells that decides who is next
	rebaseAge = 256 * halfLife   // after which weights are brought down again: two hours
	slack     = 4                // cells that a circuit may send beyond its turn, so that two bulk circuits do not alternate cell by cell

	// Cells of each fairRound that the circuit sends which has waited longest,
	// however much it has sent: the SENDMEs of a download must not wait for
	// thousands of cells of quieter circuits, which whoever opens many makes.
	fairCells = 2
	fairRound = cell.RecordCells
)

// A scheduler decides which circuit of a link sends next: the one that has sent
// least lately. Each circuit has a count of its cells that decays by half in
// halfLife. Instead of decaying all counts, a cell sent later weighs more: 2 to the
// power of its age since epoch in half-lives; so counts compare without being
// touched and the heap stays in order. At each rebase all counts are divided by the
// same power of two; those of circuits that are not in the heap when they come back.
type scheduler struct {
	mu      sync.Mutex
	heap    []*Circuit // that have cells queued, the lowest count first
	line    line       // the same circuits, the one that has waited longest first
	served  int        // cells since one was taken because it had waited longest
	control control
	epoch   time.Time // when a cell weighs 1
	bases   int       // rebases so far
	turn    turn
	called  bool // the writer waits for the turn
	parked  bool // there is no writer at the moment
	poked   bool // there is one, and it must look again before it ends
	stopped bool // the link has ended: nothing is taken any more
}

// A turn says who may use a link's [outbound]: one at a time.
type turn uint8

const (
	nobodys turn = iota // nothing is queued, and no writer writes
	pushers             // whoever queued the first cell writes, without waiting
	writers             // the writer does, and waits where it must
)

// weight returns what a cell sent now counts, and rebases if that has become large.
// mu is held.
func (s *scheduler) weight(now time.Time) float64 {
	age := now.Sub(s.epoch)
	if age >= rebaseAge {
		n := int(age / rebaseAge)
		s.epoch = s.epoch.Add(time.Duration(n) * rebaseAge)
		s.bases += n
		for _, c := range s.heap {
			c.rebase(s.bases)
		}
		age = now.Sub(s.epoch)
	}
	return math.Exp2(age.Seconds() / halfLife.Seconds())
}

// rebase brings the circuit's count to the given base.
func (c *Circuit) rebase(bases int) {
	if c.bases != bases {
		c.count = math.Ldexp(c.count, -int(rebaseAge/halfLife)*(bases-c.bases))
		c.bases = bases
	}
}

// push puts a circuit that has cells in the heap. mu is held.
func (s *scheduler) push(c *Circuit) {
	c.rebase(s.bases)
	s.line.add(c)
	s.heap = append(s.heap, c)
	s.up(len(s.heap)-1, c)
}

// pop takes out the circuit that is next, and returns how many cells it may send
// before another's turn, at most room: the one with the lowest count, and once in a
// round the one that has waited longest. mu is held. c is nil if nobody has cells.
func (s *scheduler) pop(weight float64, room int) (c *Circuit, n int) {
	switch len(s.heap) {
	case 0:
		return nil, 0
	case 1:
		c = s.heap[0]
		s.remove(c)
		return c, room
	}
	if s.served >= fairRound-fairCells {
		s.served = -fairCells
		c = s.line.first
		s.remove(c)
		return c, min(room, fairCells)
	}
	room = min(room, fairRound-fairCells-s.served)
	c = s.heap[0]
	s.remove(c)
	ahead := (s.heap[0].count - c.count) / weight
	if ahead >= float64(room) {
		return c, room
	}
	return c, min(room, int(ahead)+slack)
}

// remove takes c out of the heap. mu is held.
func (s *scheduler) remove(c *Circuit) {
	s.line.remove(c)
	last := len(s.heap) - 1
	moved := s.heap[last]
	s.heap[last] = nil
	s.heap = s.heap[:last]
	if moved != c {
		s.down(s.up(c.place, moved), moved)
	}
}

// up puts c, for which place i is free, there or nearer to the root, and returns
// where.
func (s *scheduler) up(i int, c *Circuit) int {
	for i > 0 {
		parent := (i - 1) / 2
		if s.heap[parent].count <= c.count {
			break
		}
		s.set(i, s.heap[parent])
		i = parent
	}
	s.set(i, c)
	return i
}

// down moves c from place i away from the root until it is in order.
func (s *scheduler) down(i int, c *Circuit) {
	for n := len(s.heap); ; {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && s.heap[child+1].count < s.heap[child].count {
			child++
		}
		if c.count <= s.heap[child].count {
			break
		}
		s.set(i, s.heap[child])
		i = child
	}
	s.set(i, c)
}

func (s *scheduler) set(i int, c *Circuit) { s.heap[i], c.place = c, i }

// A line is a list of circuits, the one that was added first first.
type line struct{ first, last *Circuit }

func (w *line) add(c *Circuit) {
	c.before, c.behind = w.last, nil
	if w.last == nil {
		w.first = c
	} else {
		w.last.behind = c
	}
	w.last = c
}

func (w *line) remove(c *Circuit) {
	if c.before == nil {
		w.first = c.behind
	} else {
		c.before.behind = c.behind
	}
	if c.behind == nil {
		w.last = c.before
	} else {
		c.behind.before = c.before
	}
	c.before, c.behind = nil, nil
}

// activate puts a circuit in the heap. took says that it was nobody's turn and is
// now that of who: the caller's, or the writer's, which the caller then wakes. ok
// is false if there is no writer any more.
func (s *scheduler) activate(c *Circuit, who turn) (took, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false, false
	}
	s.push(c)
	return s.take(who), true
}

// take gives who the turn if it is nobody's. mu is held.
func (s *scheduler) take(who turn) bool {
	if s.turn != nobodys {
		return false
	}
	s.turn = who
	return true
}

// put queues a control cell. wake says that it is the writer's turn and that it must
// be woken; full that there was no room, see [control.put].
func (s *scheduler) put(c controlCell, room int) (wake, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false, false
	}
	if !s.control.put(c, room) {
		return false, true
	}
	return s.take(writers), false
}

// release gives the turn back, unless there is something to send. wake says that
// the writer has asked for it meanwhile: it is the writer's, which must be woken.
func (s *scheduler) release() (released, wake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.heap) > 0 || s.control.n > 0:
		return false, false
	case s.called:
		s.turn, s.called = writers, false
		return true, true
	}
	s.turn = nobodys
	return true, false
}

// handOver makes it the writer's turn, which must be woken.
func (s *scheduler) handOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn, s.called = writers, false
}

// claim is called by the writer when it wakes, and reports whether it is its turn.
// If not, it is woken as soon as it is.
func (s *scheduler) claim() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(writers)
	s.called = s.turn != writers
	return !s.called
}

// park lets the writer end, unless it was woken meanwhile.
func (s *scheduler) park() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked, s.poked = !s.poked, false
	return s.parked
}

// unpark wakes the writer. It reports whether there is none: the caller starts one.
func (s *scheduler) unpark() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	start := s.parked
	s.parked, s.poked = false, !start
	return start
}

// stop ends the scheduling and returns the circuits that have cells.
func (s *scheduler) stop() []*Circuit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	rest := s.heap
	for _, c := range rest {
		s.line.remove(c)
	}
	s.heap, s.control = nil, control{}
	return rest
}
