package relay

import (
	"sync"
	"time"
)

const ( // our choice
	// flowRate is how many bytes a second, of both directions, make cells flow: less
	// costs no processor enough to notice.
	flowRate = 4 << 20
	// flowEvery is how often that is looked at.
	flowEvery = 50 * time.Millisecond
)

// A breath tells workers of handshakes that cells flow, so that they rest, and dials, so
// that they wait for their turns: a flood of either does not take the processors from
// cells under way.
type breath struct {
	moved func() uint64 // bytes of both directions so far; fixed

	mu      sync.Mutex // guards what follows
	at      time.Time  // when moved was last asked
	bytes   uint64     // what it said
	flowing bool
}

func newBreath(moved func() uint64) *breath { return &breath{moved: moved} }

// flows reports whether cells flow.
func (b *breath) flows() bool { return b.flowsAt(time.Now()) }

func (b *breath) flowsAt(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.at); passed >= flowEvery {
		n := b.moved()
		b.flowing = !b.at.IsZero() && float64(n-b.bytes) >= flowRate*passed.Seconds()
		b.at, b.bytes = now, n
	}
	return b.flowing
}
