package relay

import (
	"context"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tunic/cell/work"
)

const ( // our choice
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
	// maxTurns is how many dials may wait: two thirds, the share of relays, whose
	// circuits all of them are, are as many as there may be streams.
	maxTurns = maxStreams * 3 / 2
)

// turns has dials wait for their turns while cells flow: circuits in turn, so that one
// with a hundred dials a second keeps nobody else waiting.
type turns struct {
	flows func() bool // fixed, as are
	queue *work.Pool  // of one worker, which waits for rate
	rate  *rate.Limiter
	most  rate.Limit // what rate lets through on time

	mu    sync.Mutex
	paced time.Time // when rate was changed last
}

func newTurns(flows func() bool) *turns {
	most := rate.Limit(dialRate * runtime.GOMAXPROCS(0))
	queue := work.New(work.Config{Workers: 1, MaxQueue: maxTurns, MaxDelay: dialWait, MaxAge: dialWait})
	return &turns{flows: flows, queue: queue, rate: rate.NewLimiter(most, dialBurst), most: most}
}

// mayDial waits while many destinations are dialled and cells flow. It reports
// whether that was short enough.
func (t *turns) mayDial(ctx context.Context, circuit uint64) bool {
	if !t.flows() {
		return true
	}
	turn := make(chan bool, 1)
	if !t.queue.Submit(work.Relay, circuit, func() { turn <- t.await(ctx) }, func() { turn <- false }) {
		return false
	}
	select {
	case ok := <-turn:
		return ok
	case <-ctx.Done():
		return false
	}
}

// await waits until one more dial may begin. Who has given up takes no turn.
func (t *turns) await(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	now := time.Now()
	turn := t.rate.ReserveN(now, 1)
	d := turn.DelayFrom(now)
	if d == 0 {
		return true
	}
	if !sleep(ctx, d) {
		turn.Cancel()
		return false
	}
	woke := time.Now()
	t.onTime(woke, woke.Sub(now)-d)
	return true
}

// onTime takes in how late a dial had its turn.
func (t *turns) onTime(now time.Time, late time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.paced) < dialEvery {
		return
	}
	t.paced = now
	if late >= dialLate {
		t.rate.SetLimitAt(now, max(t.most/4, t.rate.Limit()/2))
	} else {
		t.rate.SetLimitAt(now, min(t.most, t.rate.Limit()*5/4))
	}
}

// close returns when nobody waits for a turn any more.
func (t *turns) close() { t.queue.Close() }
