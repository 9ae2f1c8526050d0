package link

// A Flusher is something that waits to be woken when a batch is flushed.
type Flusher interface{ FlushBatch() }

// A Batch collects what must be woken after the records of one read have been
// handled, so that each is woken once, and what was queued on a link is written with
// one system call. The zero value is ready; a nil *Batch stands for none: what is
// added to it is woken at once. A Batch serves one goroutine, is not kept open while
// that waits for anything, and is always flushed in the end.
type Batch struct {
	circuits []*Circuit // with cells, not in their schedulers yet
	links    []*Link    // that nobody else writes to
	flushers []Flusher
	now      int64 // the pool's clock when it was first asked for; 0: not yet
}

// Add has f.FlushBatch called by Flush. An object adds itself at most once per
// batch: it keeps a flag of its own.
func (b *Batch) Add(f Flusher) {
	if b == nil {
		f.FlushBatch()
		return
	}
	b.flushers = append(b.flushers, f)
}

// Pending reports whether a flush would do something.
func (b *Batch) Pending() bool { return len(b.circuits) > 0 || len(b.flushers) > 0 }

// Flush writes to the links, wakes everything that was added, and empties the batch.
// It waits for no connection: what one does not take at once is left to the link's
// writer. It takes locks of links and calls the flushers, so it is called without
// locks.
func (b *Batch) Flush() {
	if b == nil {
		return
	}
	b.write()
	for i := 0; i < len(b.flushers); i++ { // a flusher may add to the batch
		b.flushers[i].FlushBatch()
		b.write()
	}
	clear(b.flushers)
	b.flushers, b.now = b.flushers[:0], 0
}

// write puts the circuits in their schedulers, then writes to the links.
func (b *Batch) write() {
	for _, c := range b.circuits {
		if took, ok := c.link.sched.activate(c, pushers); !ok {
			c.discard()
		} else if took {
			b.links = append(b.links, c.link)
		}
	}
	for _, l := range b.links {
		l.transmit()
	}
	clear(b.circuits)
	clear(b.links)
	b.circuits, b.links = b.circuits[:0], b.links[:0]
}

// activate has the circuit put in its scheduler.
func (b *Batch) activate(c *Circuit) {
	if b != nil {
		b.circuits = append(b.circuits, c)
		return
	}
	if took, ok := c.link.sched.activate(c, writers); !ok {
		c.discard()
	} else if took {
		c.link.wakeWriter()
	}
}

// clock returns the pool's clock, read once per batch.
func (b *Batch) clock(p *Pool) int64 {
	if b == nil {
		return p.clock()
	}
	if b.now == 0 {
		b.now = p.clock()
	}
	return b.now
}
