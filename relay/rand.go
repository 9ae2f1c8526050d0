package relay

import (
	crand "crypto/rand"
	"math/rand/v2"
	"time"
)

// newRand returns a source for delays that nobody outside can predict.
func newRand() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}

// A backoff is the delay between attempts that fail: each is drawn between the
// least one and three times the last, up to a ceiling.
type backoff struct {
	least, most time.Duration
	last        time.Duration
}

func (b *backoff) next() time.Duration {
	high := 3 * max(b.last, b.least)
	b.last = min(b.most, b.least+rand.N(max(1, high-b.least)))
	return b.last
}

// retries returns the delays of what a relay does to get into the network: from
// 50 ms on in the initial rounds of a new network, where one round lasts a
// second; else from a second on.
func (r *Relay) retries(now time.Time) *backoff {
	t := r.cfg.Network.Timing
	if now.Before(t.Start.Add(time.Duration(t.InitialRounds) * t.InitialPeriod)) {
		return &backoff{least: 50 * time.Millisecond, most: t.InitialPeriod}
	}
	return &backoff{least: time.Second, most: min(maxRetry, max(time.Second, t.Period/2))}
}
