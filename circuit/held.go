package circuit

import (
	"time"

	"tunic/cell"
	"tunic/cell/link"
)

// What is held for a peer counts at what it takes of the heap: a byte that waits
// in a chunk of a stream costs the chunk. Our choice, in bytes, measured by
// BenchmarkIdleCircuits and its like in package relay, rounded up.
const remnantMemory = 128 // one stream that this end has closed, in its table

// Held returns how much memory waits because of h, in bytes: cells in its queues
// of both directions, what its streams hold for their readers and for the window,
// and what is remembered of closed streams; and how long the oldest of the data
// has waited. A relay that runs out of memory ends the hops that hold what has
// waited longest: the size of a queue could be kept small in many of them.
func (h *Hop) Held() (bytes int64, oldest time.Duration) {
	h.out.mu.Lock()
	next := h.out.next
	h.out.mu.Unlock()
	bytes, oldest = h.end.held(h.tx.lc)
	queued, waited := queueHeld(next)
	return bytes + queued, max(oldest, waited)
}

// Held is that of a client's end.
func (c *Circuit) Held() (bytes int64, oldest time.Duration) { return c.end.held(c.tx.lc) }

// held is what the end of a circuit holds that sends on lc.
func (e *end) held(lc *link.Circuit) (bytes int64, oldest time.Duration) {
	bytes, oldest = queueHeld(lc)
	streams, remnants := e.table.all()
	for _, s := range streams {
		n, waited := s.Held()
		bytes, oldest = bytes+n, max(oldest, waited)
	}
	return bytes + int64(remnants)*remnantMemory, oldest
}

// queueHeld is what waits in a circuit's queue on a link; lc may be nil.
func queueHeld(lc *link.Circuit) (bytes int64, oldest time.Duration) {
	if lc == nil {
		return 0, 0
	}
	return int64(lc.Queued()) * cell.SlotMemory, lc.Oldest()
}

// Held returns how much memory the stream holds for its reader, or for where the
// reader writes it, and for data that waits for the window or the peer; and how
// long the oldest of it has waited: also when the circuit is gone.
func (s *Stream) Held() (bytes int64, oldest time.Duration) {
	bytes, oldest = s.heldIn()
	s.end.tx.mu.Lock()
	defer s.end.tx.mu.Unlock()
	if since := s.tx.waits; !since.IsZero() {
		bytes, oldest = bytes+int64(s.tx.holds), max(oldest, time.Since(since))
	}
	return bytes, oldest
}

// heldIn is what the stream holds for its reader.
func (s *Stream) heldIn() (bytes int64, oldest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes = s.rx.buf.room()
	switch {
	case s.rx.lent > 0:
		bytes += int64(max(s.rx.lent, smallChunk)) // its chunks are with the reader
		return bytes, time.Since(s.rx.lentAt)
	case s.rx.buf.n > 0:
		return bytes, time.Since(s.rx.buf.first.at)
	}
	return bytes, 0
}
