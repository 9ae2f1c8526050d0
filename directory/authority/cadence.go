package authority

import (
	"math/rand/v2"
	"time"

	"tunic/directory"
)

const ( // fixed by docs/protocol.md, "Reachability"
	testEvery    = 20 * time.Minute // at most: Tor's
	testsAPeriod = 3                // at least, where periods are short
	windowNum    = 9                // a relay last reached within 9/4 intervals may be Running: 45 min
	windowDen    = 4
)

const ( // our choice
	retryFirst = 120 // fraction of the interval before an unreached relay is tried again: 10 s
	retryKnown = 4   // fraction of the interval before one that was reached is: 5 min
	testLimit  = 10 * time.Second
)

// cadence is how often a network's authorities test its relays.
type cadence struct{ interval time.Duration }

func cadenceOf(n *directory.Network) cadence {
	return cadence{interval: min(testEvery, n.Timing.Period/testsAPeriod)}
}

// window is how long a relay counts as running after it was last reached.
func (c cadence) window() time.Duration { return c.interval * windowNum / windowDen }

// limit bounds one test.
func (c cadence) limit() time.Duration { return min(testLimit, c.interval) }

// next returns when to test a relay again. Tests of many relays are spread by
// chance, so that they don't come at once for ever when they once have.
func (c cadence) next(h *history, now time.Time, rng *rand.Rand) time.Time {
	d := c.interval
	switch {
	case h.failures == 0:
	case h.LastReached.IsZero():
		d = min(c.interval, c.interval/retryFirst<<min(h.failures-1, 8))
	default:
		d = c.interval / retryKnown
	}
	return now.Add(d*7/8 + time.Duration(rng.Int64N(int64(d/4)+1)))
}

// opinionOf is what an authority says of a relay's Running flag at now. uptime
// is how long the authority itself has been running: one that has just started
// does not call down what it has not reached.
func (c cadence) opinionOf(h *history, now time.Time, uptime time.Duration) opinion {
	reached := !h.LastReached.IsZero()
	switch {
	case reached && now.Sub(h.LastReached) < c.window() && h.failures < failuresDown:
		return up
	case h.tests == 0, !reached && uptime < c.window():
		return noOpinion
	}
	return down
}
