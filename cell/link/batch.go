package link

// A Flusher is something that waits to be woken when a batch is flushed.
type Flusher interface{ FlushBatch() }

// A Batch collects what must be woken after a record has been handled, so that
// each is woken once. The zero value is ready; a nil *Batch stands for none: what
// is added to it is woken at once. A Batch serves one goroutine.
type Batch struct {
	flushers []Flusher
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

// Flush wakes everything that was added, links first, and empties the batch.
func (b *Batch) Flush() {}
