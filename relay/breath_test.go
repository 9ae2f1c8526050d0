package relay

import (
	"testing"
	"time"
)

// Cells flow from a rate on, by what moved since the last look.
func TestCellsFlowFromARateOn(t *testing.T) {
	for _, row := range []struct {
		rate float64
		want bool
	}{{0, false}, {0.9 * flowRate, false}, {1.1 * flowRate, true}, {20 * flowRate, true}} {
		now := time.Unix(1_800_000_000, 0)
		start := now
		b := newBreath(func() uint64 { return uint64(row.rate * now.Sub(start).Seconds()) })
		if b.flowsAt(now) {
			t.Error("cells flow before any were counted")
		}
		now = now.Add(flowEvery)
		if got := b.flowsAt(now); got != row.want {
			t.Errorf("at %.0f bytes a second: flows = %v, want %v", row.rate, got, row.want)
		}
	}
}
