package relay

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const ( // our choice
	// flowRate is how many bytes a second, of both directions, make cells flow: less
	// costs no processor enough to notice.
	flowRate = 4 << 20
	// flowEvery is how often that is looked at.
	flowEvery = 50 * time.Millisecond
	// dialRate is how many destinations a second and processor are dialled while
	// cells flow, after dialBurst at once: each costs some 0.15 ms, so a tenth of all.
	// A stream waits for its turn for dialWait at most.
	dialRate  = 600
	dialBurst = 100
	dialWait  = 3 * time.Second
	// A dial whose turn is dialLate late has waited for a processor: the rate is halved
	// then, down to a fourth, and grows again by a fourth while turns are on time; at
	// most once in dialEvery.
	dialLate  = 5 * time.Millisecond
	dialEvery = 100 * time.Millisecond
)

// A breath tells workers of handshakes that cells flow, so that they rest, and has dials
// wait meanwhile: a flood of either does not take the processors from cells under way.
type breath struct {
	moved func() uint64 // bytes of both directions so far; fixed

	mu      sync.Mutex // guards what follows
	at      time.Time  // when moved was last asked
	bytes   uint64     // what it said
	flowing bool

	paced time.Time // when the rate of dials was changed last

	dials *rate.Limiter // fixed, as is
	most  rate.Limit    // what it lets through on time
}

func newBreath(moved func() uint64) *breath {
	most := rate.Limit(dialRate * runtime.GOMAXPROCS(0))
	return &breath{moved: moved, dials: rate.NewLimiter(most, dialBurst), most: most}
}

// onTime takes in how late a dial had its turn.
func (b *breath) onTime(now time.Time, late time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.paced) < dialEvery {
		return
	}
	b.paced = now
	if late >= dialLate {
		b.dials.SetLimitAt(now, max(b.most/4, b.dials.Limit()/2))
	} else {
		b.dials.SetLimitAt(now, min(b.most, b.dials.Limit()*5/4))
	}
}

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

// mayDial waits while many destinations are dialled and cells flow. It reports
// whether that was short enough.
func (b *breath) mayDial(ctx context.Context) bool {
	now := time.Now()
	if !b.flowsAt(now) {
		return true
	}
	turn := b.dials.ReserveN(now, 1)
	d := turn.DelayFrom(now)
	if d > dialWait {
		turn.CancelAt(now)
		return false
	}
	if d == 0 {
		return true
	}
	if !sleep(ctx, d) {
		return false
	}
	woke := time.Now()
	b.onTime(woke, woke.Sub(now)-d)
	return true
}
