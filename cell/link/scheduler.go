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
	control control
	epoch   time.Time // when a cell weighs 1
	bases   int       // rebases so far
	asleep  bool      // the writer waits for link.wake
	stopped bool      // the writer is gone: nothing is taken any more
}

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
	s.heap = append(s.heap, c)
	i := len(s.heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if s.heap[parent].count <= c.count {
			break
		}
		s.heap[i] = s.heap[parent]
		i = parent
	}
	s.heap[i] = c
}

// pop takes the circuit with the lowest count out of the heap, and returns how many
// cells it may send before the next one's turn, at most room. mu is held. c is nil
// if nobody has cells.
func (s *scheduler) pop(weight float64, room int) (c *Circuit, n int) {
	if len(s.heap) == 0 {
		return nil, 0
	}
	c = s.heap[0]
	last := len(s.heap) - 1
	moved := s.heap[last]
	s.heap[last] = nil
	s.heap = s.heap[:last]
	if last == 0 {
		return c, room
	}
	s.siftDown(moved)
	ahead := (s.heap[0].count - c.count) / weight
	if ahead >= float64(room) {
		return c, room
	}
	return c, min(room, int(ahead)+slack)
}

// siftDown puts c, for which the root is free, in its place.
func (s *scheduler) siftDown(c *Circuit) {
	i, n := 0, len(s.heap)
	for {
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
		s.heap[i] = s.heap[child]
		i = child
	}
	s.heap[i] = c
}

// activate puts a circuit in the heap. wake says that the writer must be woken; ok
// is false if there is none any more.
func (s *scheduler) activate(c *Circuit) (wake, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false, false
	}
	s.push(c)
	wake, s.asleep = s.asleep, false
	return wake, true
}

// put queues a control cell; full says that there was no room, see [control.put].
func (s *scheduler) put(c controlCell, room int) (wake, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false, false
	}
	if !s.control.put(c, room) {
		return false, true
	}
	wake, s.asleep = s.asleep, false
	return wake, false
}

// sleep notes that the writer is about to wait, unless there is something to send.
func (s *scheduler) sleep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asleep = len(s.heap) == 0 && s.control.n == 0
	return s.asleep
}

// stop ends the scheduling and returns the circuits that have cells.
func (s *scheduler) stop() []*Circuit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	rest := s.heap
	s.heap, s.control = nil, control{}
	return rest
}

// A controlCell is a cell of the link's own, or a DESTROY.
type controlCell struct {
	header cell.Header
	body   [4]byte // zeros follow
}

// control is the queue of what belongs to no circuit's queue: DESTROY, PADDING,
// NEGOTIATE_PADDING. It is sent before everything else.
type control struct {
	ring     []controlCell // as long as a power of two
	first, n int
}

// put adds c unless room cells wait already.
func (q *control) put(c controlCell, room int) bool {
	if q.n >= room {
		return false
	}
	if q.n == len(q.ring) {
		grown := make([]controlCell, max(8, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = q.ring[(q.first+i)%len(q.ring)]
		}
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = c
	q.n++
	return true
}

// take removes the oldest. The queue must not be empty. A large ring is given back
// when it has emptied.
func (q *control) take() controlCell {
	c := q.ring[q.first]
	q.first = (q.first + 1) % len(q.ring)
	if q.n--; q.n == 0 && len(q.ring) > 64 {
		*q = control{}
	}
	return c
}
