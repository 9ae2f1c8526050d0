package circuit

import (
	"time"

	"tunic/cell"
	"tunic/cell/link"
)

// Held returns how much memory waits because of h, in bytes: cells in its queues
// of both directions, and what its streams hold for their readers; and how long
// the oldest of all that has waited. A relay that runs out of memory ends the hops
// that hold what has waited longest: the size of a queue could be kept small in
// many of them.
func (h *Hop) Held() (bytes int64, oldest time.Duration) {
	h.out.mu.Lock()
	next := h.out.next
	h.out.mu.Unlock()
	bytes = h.unread.Load()
	for _, c := range []*link.Circuit{h.tx.lc, next} {
		if c != nil {
			bytes += int64(c.Queued()) * cell.SlotSize
			oldest = max(oldest, c.Oldest())
		}
	}
	for _, s := range h.table.all() {
		oldest = max(oldest, s.waited())
	}
	return bytes, oldest
}

// Held returns how many bytes the stream holds for its reader, or for where the
// reader writes them, and how long the oldest of them has waited: also when the
// circuit is gone.
func (s *Stream) Held() (bytes int64, oldest time.Duration) {
	oldest = s.waited()
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.unread()), oldest
}

// waited returns how long the oldest data that the stream holds has waited for its
// reader, or for where the reader writes it; 0 if there is none.
func (s *Stream) waited() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.rx.lent > 0:
		return time.Since(s.rx.lentAt)
	case s.rx.buf.n > 0:
		return time.Since(s.rx.buf.first.at)
	}
	return 0
}
