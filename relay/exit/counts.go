package exit

import (
	"sync/atomic"

	"tunic/cell"
)

// counts is how many dials ended how. The zero value is ready.
type counts struct{ by [reasons]atomic.Uint64 }

const reasons = int(cell.EndNotDir) + 1 // 0 stands for success

func (c *counts) add(r cell.EndReason) {
	if int(r) < reasons {
		c.by[r].Add(1)
	}
}

// Counts returns how many dials ended with each reason since the exit began;
// reason 0 is success.
func (e *Exit) Counts() map[cell.EndReason]uint64 {
	out := make(map[cell.EndReason]uint64)
	for r := range e.counts.by {
		if n := e.counts.by[r].Load(); n > 0 {
			out[cell.EndReason(r)] = n
		}
	}
	return out
}
