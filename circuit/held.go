package circuit

import (
	"time"

	"tunic/cell"
	"tunic/cell/link"
)

// Held returns how much memory waits because of h, in bytes: cells in its queues
// of both directions, and what its streams hold for their readers; and how long
// the oldest of the cells has waited. A relay that runs out of memory ends the
// hops whose cells have waited longest: the size of a queue could be kept small
// in many of them.
func (h *Hop) Held() (bytes int64, oldest time.Duration) {
	h.tx.mu.Lock()
	in := h.tx.lc
	h.tx.mu.Unlock()
	h.out.mu.Lock()
	next := h.out.next
	h.out.mu.Unlock()
	bytes = h.unread.Load()
	for _, c := range []*link.Circuit{in, next} {
		if c != nil {
			bytes += int64(c.Queued()) * cell.SlotSize
			oldest = max(oldest, c.Oldest())
		}
	}
	return bytes, oldest
}
