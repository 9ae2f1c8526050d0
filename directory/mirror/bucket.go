package mirror

import (
	"sync"
	"time"
)

const ( // our choice
	burstTime = 5 * time.Second // of its rate is what a bucket holds
	minBurst  = 64 << 10        // bytes, however low the rate
)

// A bucket counts the bytes of answers. It goes into debt: an answer may start
// while there is anything in it, whatever its length, and the next one waits
// until the debt is paid. So answers larger than the bucket get through, one at
// a time.
type bucket struct {
	mu     sync.Mutex // guards what follows
	rate   float64    // bytes/s; 0: no limit
	tokens float64    // bytes; below 0 is debt
	last   time.Time
}

// setRate changes the rate. A bucket begins full.
func (b *bucket) setRate(bytesPerSecond float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		b.tokens, b.last = bytesPerSecond*burstTime.Seconds()+minBurst, time.Time{}
	}
	b.rate = bytesPerSecond
}

// take pays for n bytes, or says how long to wait before asking again.
func (b *bucket) take(now time.Time, n int) (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate <= 0 {
		return 0, true
	}
	if !b.last.IsZero() {
		b.tokens += b.rate * max(0, now.Sub(b.last).Seconds())
	}
	b.tokens = min(b.tokens, max(b.rate*burstTime.Seconds(), minBurst))
	b.last = now
	if b.tokens <= 0 {
		return time.Duration(-b.tokens / b.rate * float64(time.Second)), false
	}
	b.tokens -= float64(n)
	return 0, true
}
