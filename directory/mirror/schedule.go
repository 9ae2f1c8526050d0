package mirror

import (
	"math/rand/v2"
	"time"

	"tunic/directory"
)

// A Role says how a fetch is spread.
type Role uint8

// The roles.
const (
	AsClient Role = iota // late in the consensus's freshness, so that mirrors have the next
	AsMirror             // soon after the next is due
)

const ( // our choice: back-off after a failed fetch
	initialBase = 50 * time.Millisecond // in the initial rounds, doubled each time
	initialCap  = 500 * time.Millisecond

	baseParts = 720         // of a period: 5 s where it is an hour
	capParts  = 6           // of a period: 10 minutes
	firstBase = time.Second // the most that the base is while nothing is held
	minBase   = 50 * time.Millisecond
)

// A Schedule says when to fetch the consensus next. It keeps the delay after
// failures in a row; the zero value is ready. It does no I/O.
type Schedule struct {
	delay time.Duration // after the last failure, 0 if the last fetch succeeded
}

// Next returns when to fetch next, given the consensus held (nil if none); never
// before now, nor before the network's first consensus. A time that is drawn is
// drawn anew at each call.
func (s *Schedule) Next(n *directory.Network, have *directory.Consensus, role Role, now time.Time, rng *rand.Rand) time.Time {
	at := n.Timing.Start
	switch {
	case s.delay > 0:
		at = later(at, now.Add(s.delay))
	case have != nil:
		at = due(n, have, role, rng)
	}
	return later(at, now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// due draws when to fetch the successor of a consensus: at once in the initial
// rounds; a mirror in the first half of the period in which it is fresh; a
// client when three quarters of that have passed, and before seven eighths of
// what then is left of the old one's life.
func due(n *directory.Network, have *directory.Consensus, role Role, rng *rand.Rand) time.Time {
	if r, ok := n.RoundOf(have.ValidAfter); ok && r.Initial {
		return have.FreshUntil
	}
	period := n.Timing.Period
	if role == AsMirror {
		return have.FreshUntil.Add(draw(rng, 0, period/2))
	}
	first := have.FreshUntil.Add(period * 3 / 4)
	return first.Add(draw(rng, 0, max(0, have.ValidUntil.Sub(first)*7/8)))
}

// draw draws uniformly from least to most.
func draw(rng *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

// Failed notes a fetch that brought nothing newer. In the initial rounds the
// delay doubles from 50 ms; else it is drawn between a base and three times the
// last one, so that those who failed together do not come again together.
func (s *Schedule) Failed(n *directory.Network, now time.Time, rng *rand.Rand) {
	if initial(n, now) {
		s.delay = min(max(2*s.delay, initialBase), longest(n, now))
		return
	}
	base := max(n.Timing.Period/baseParts, minBase)
	if s.delay == 0 {
		base = min(base, firstBase)
	}
	s.delay = min(draw(rng, base, max(3*s.delay, 2*base)), longest(n, now))
}

// Busy notes, after Failed, that those who were asked want to be left alone for d.
// What they say is a claim: it puts off the next fetch no longer than the longest
// delay after failures.
func (s *Schedule) Busy(n *directory.Network, d time.Duration, now time.Time) {
	s.delay = max(s.delay, min(d, longest(n, now)))
}

// longest is the longest delay after failures.
func longest(n *directory.Network, now time.Time) time.Duration {
	if initial(n, now) {
		return initialCap
	}
	return max(n.Timing.Period/capParts, minBase)
}

// initial reports whether the initial rounds last, or have only just ended.
func initial(n *directory.Network, now time.Time) bool {
	t := n.Timing
	return t.InitialRounds > 0 && now.Before(n.Round(int64(t.InitialRounds)+1).ValidAfter) &&
		now.Before(n.Round(int64(t.InitialRounds)).ValidAfter.Add(3*t.InitialPeriod))
}

// Succeeded forgets failures.
func (s *Schedule) Succeeded() { s.delay = 0 }
