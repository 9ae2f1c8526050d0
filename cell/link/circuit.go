package link

import (
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell"
)

// A Circuit is one circuit's place on one link: its id, who receives its cells,
// and the bounded queue of cells to send. Its methods may be called from any
// goroutine.
type Circuit struct {
	link     *Link
	id       cell.CircuitID
	receiver Receiver
	left     atomic.Bool // it is not in the link's table any more

	mu         sync.Mutex // guards what follows
	head, tail *cell.Slot
	n          int
	closed     bool // takes no cells
	active     bool // in the scheduler, in a batch, or with whose turn it is to write

	// Guarded by the scheduler's mutex.
	count          float64  // of cells sent
	bases          int      // the base that count refers to
	place          int      // in the scheduler's heap, while it is there
	before, behind *Circuit // in its line
}

// Link returns the link.
func (c *Circuit) Link() *Link { return c.link }

// ID returns the circuit's id on its link.
func (c *Circuit) ID() cell.CircuitID { return c.id }

// Queued returns how many cells wait to be sent.
func (c *Circuit) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// Oldest returns how long the cell at the front of the queue has waited, 0 if
// there is none.
func (c *Circuit) Oldest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == nil {
		return 0
	}
	return time.Duration(c.link.pool.clock() - c.head.Time)
}

// Push queues the cell in s: it writes the header, and takes s in any case. With a
// batch the link is woken when the batch is flushed, without one at once. Cells of
// a circuit leave in the order of the calls. The error is ErrQueueFull, after which
// the caller destroys the circuit, or ErrClosed.
func (c *Circuit) Push(s *cell.Slot, cmd cell.Command, b *Batch) error {
	s.SetHeader(c.id, cmd)
	s.Next, s.Time = nil, b.clock(c.link.pool)
	activate, err := c.enqueue(s)
	if err != nil {
		s.Release()
		return err
	}
	if activate {
		b.activate(c)
	}
	return nil
}

// enqueue puts s at the end of the queue, and reports whether the scheduler has to
// be told.
func (c *Circuit) enqueue(s *cell.Slot) (activate bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, ErrClosed
	}
	if c.n >= c.link.pool.cfg.Limits.QueueCells {
		return false, ErrQueueFull
	}
	if c.tail == nil {
		c.head = s
	} else {
		c.tail.Next = s
	}
	c.tail = s
	c.n++
	activate, c.active = !c.active, true
	return activate, nil
}

// dequeue takes at most n cells off the queue, as a list, and puts the circuit back
// in the scheduler if there are more. It is called by whose turn it is to write, who has
// popped the circuit.
func (c *Circuit) dequeue(n int, weight float64) (list *cell.Slot, taken int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list = c.head
	var last *cell.Slot
	for s := list; s != nil && taken < n; s = s.Next {
		last = s
		taken++
	}
	if last != nil {
		c.head = last.Next
		last.Next = nil
	}
	if c.head == nil {
		c.tail = nil
	}
	c.n -= taken
	c.active = c.n > 0

	s := &c.link.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	c.rebase(s.bases)
	c.count += float64(taken) * weight
	if s.served += taken; len(s.heap) == 0 {
		s.served = 0 // nobody else waits
	}
	if c.active {
		s.push(c)
	}
	return list, taken
}

// close lets no more cells in.
func (c *Circuit) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
}

// discard lets no more cells in and drops those that wait.
func (c *Circuit) discard() {
	c.mu.Lock()
	c.closed = true
	list := c.head
	c.head, c.tail, c.n = nil, nil, 0
	c.mu.Unlock()
	releaseAll(list)
}

func releaseAll(list *cell.Slot) {
	for list != nil {
		next := list.Next
		list.Release()
		list = next
	}
}

// Destroy takes the circuit off the link, drops the cells that it has queued, and
// sends a DESTROY. Cells that the reader is handing over at this moment may still
// reach the receiver. Only the first Destroy or Forget does something.
func (c *Circuit) Destroy(reason cell.Reason) {
	if c.link.remove(c) {
		c.discard()
		c.link.destroy(c.id, reason, c.link.pool.cfg.Limits.MaxCircuits)
	}
}

// Forget is Destroy without a DESTROY: the peer has sent one.
func (c *Circuit) Forget() {
	if c.link.remove(c) {
		c.discard()
	}
}
