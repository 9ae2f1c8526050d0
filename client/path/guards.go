package path

import (
	"math/rand/v2"
	"slices"
	"time"

	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Choosing a path": guards, after Tor's proposal 271
	maxSample        = 60                  // guards in the sample
	minFiltered      = 20                  // of them listed and not known unreachable, while there are more to draw
	maxSamplePercent = 20                  // of the network's guards in the sample, though minFiltered at least
	numPrimary       = 3                   // guards to prefer to all others
	numDirectory     = 3                   // primaries that share the directory requests
	sampleLifetime   = 120 * day           // from sampling, if never or long ago confirmed
	confirmedMinimum = 60 * day            // from confirmation
	unlistedLimit    = 20 * day            // unlisted for longer: dropped
	sampleFuzz       = sampleLifetime / 10 // stored dates lie up to this long in the past,
	confirmedFuzz    = confirmedMinimum / 10
	unlistedFuzz     = unlistedLimit / 5
	attemptPatience  = 15 * time.Second // a non-primary's circuit waits for better guards' attempts this young
	internetDown     = 10 * time.Minute // without any success: it was the network, not the guards
	day              = 24 * time.Hour
)

const ( // our choice
	// SlowAfter is when a guard that has not answered yet is no reason to wait
	// any longer: further attempts go to the next one. A link handshake takes
	// one round trip after TCP's.
	SlowAfter = 1500 * time.Millisecond
	// MaxAttempts bounds the attempts under way; the oldest is forgotten.
	MaxAttempts = 256
)

const _ = uint(maxSample - minFiltered) // does not compile unless the sample holds what it must

// Reach is what is known about whether a guard can be reached.
type Reach uint8

// The states of reachability.
const (
	Untried Reach = iota
	Reachable
	Unreachable
)

func (r Reach) String() string { return [...]string{"untried", "reachable", "unreachable"}[r] }

// A guard is one member of the sample.
type guard struct {
	id keys.RelayID

	// These are kept on disk; dates are set back by a random time, so that a
	// stolen file does not tell when its owner came online.
	sampled   time.Time
	confirmed time.Time // zero: never carried its user's traffic
	unlisted  time.Time // zero: listed

	node     int32 // in the view, -1 when it is not listed as a guard
	reach    Reach
	answered time.Time     // last
	retryAt  time.Time     // when an unreachable guard is tried again
	delay    time.Duration // the last delay before a retry
}

// Guards is a client's choice of first hops in one network. It is not safe for
// concurrent use.
type Guards struct {
	network   string
	sample    []*guard // in the order of sampling
	confirmed []*guard // in the order of confirmation
	primary   []*guard // at most numPrimary, in the order of preference
	attempts  []*Attempt
	view      *View // nil before the first Update
	success   time.Time
	revision  uint64
}

// NewGuards returns an empty choice for the network of that name; the first
// [Guards.Update] fills it.
func NewGuards(network string) *Guards { return &Guards{network: network} }

// Revision counts the changes to what [Guards.State] returns.
func (g *Guards) Revision() uint64 { return g.revision }

// Update takes in a consensus, which must be a usable one: it notes which
// guards are listed, lets old ones expire, draws new ones and settles which
// are primary.
func (g *Guards) Update(v *View, now time.Time, rng *rand.Rand) {
	g.view = v
	for _, s := range g.sample {
		node, listed := v.guardNode(s.id)
		switch {
		case listed && !s.unlisted.IsZero():
			s.unlisted = time.Time{}
			g.revision++
		case !listed && s.unlisted.IsZero():
			s.unlisted = backdate(now, unlistedFuzz, rng)
			g.revision++
		}
		if s.node = node; !listed {
			s.node = -1
		}
	}
	g.expire(now)
	g.extend(now, rng)
	g.settle()
}

// expire drops guards that have been unlisted or in the sample for too long.
func (g *Guards) expire(now time.Time) {
	g.drop(func(s *guard) bool {
		if !s.unlisted.IsZero() && now.Sub(s.unlisted) > unlistedLimit {
			return true
		}
		return now.Sub(s.sampled) > sampleLifetime && (s.confirmed.IsZero() || now.Sub(s.confirmed) > confirmedMinimum)
	})
}

// drop removes the guards that gone selects, from all sets.
func (g *Guards) drop(gone func(*guard) bool) {
	dropped := make(map[*guard]bool)
	for _, s := range g.sample {
		if gone(s) {
			dropped[s] = true
		}
	}
	if len(dropped) == 0 {
		return
	}
	is := func(s *guard) bool { return dropped[s] }
	g.sample = slices.DeleteFunc(g.sample, is)
	g.confirmed = slices.DeleteFunc(g.confirmed, is)
	g.primary = slices.DeleteFunc(g.primary, is)
	g.attempts = slices.DeleteFunc(g.attempts, func(a *Attempt) bool { return dropped[a.guard] })
	g.revision++
}

// extend draws guards into the sample until enough of them are of use. A
// network with few guards is sampled whole.
func (g *Guards) extend(now time.Time, rng *rand.Rand) {
	total := g.view.guards.len()
	limit := min(max(total*maxSamplePercent/100, minFiltered), maxSample)
	known := make(map[int32]bool, len(g.sample))
	usable := 0
	for _, s := range g.sample {
		if s.node >= 0 {
			known[s.node] = true
			if s.reach != Unreachable {
				usable++
			}
		}
	}
	whole := total <= minFiltered
	for len(known) < total && (whole || usable < minFiltered && len(g.sample) < limit) {
		node, ok := g.view.guards.draw(rng, func(n int32) bool { return !known[n] })
		if !ok {
			return
		}
		known[node] = true
		g.sample = append(g.sample, &guard{id: g.view.nodes[node].relay.ID, sampled: backdate(now, sampleFuzz, rng), node: node})
		g.revision++
		usable++
	}
	if whole {
		g.trim()
	}
}

// trim holds the sample of a small network, whose relays may come and go at
// any rate, to its limit: the guards longest unlisted go first.
func (g *Guards) trim() {
	for len(g.sample) > maxSample {
		var oldest *guard
		for _, s := range g.sample {
			if s.node < 0 && (oldest == nil || s.unlisted.Before(oldest.unlisted)) {
				oldest = s
			}
		}
		g.drop(func(s *guard) bool { return s == oldest })
	}
}

// settle works out which guards are primary: confirmed ones first, then those
// that were primary already, then by the order of sampling. Only listed guards
// are.
func (g *Guards) settle() {
	old := g.primary
	g.primary = nil
	for _, set := range [][]*guard{g.confirmed, old, g.sample} {
		for _, s := range set {
			if len(g.primary) < numPrimary && s.node >= 0 && !slices.Contains(g.primary, s) {
				g.primary = append(g.primary, s)
			}
		}
	}
}

// ranked calls yield with the listed guards in the order in which they are to
// be tried, the primary ones first.
func (g *Guards) ranked(yield func(*guard) bool) {
	for _, s := range g.primary {
		if !yield(s) {
			return
		}
	}
	for _, s := range g.confirmed {
		if s.node >= 0 && !slices.Contains(g.primary, s) && !yield(s) {
			return
		}
	}
	for _, s := range g.sample {
		if s.node >= 0 && s.confirmed.IsZero() && !slices.Contains(g.primary, s) && !yield(s) {
			return
		}
	}
}

// backdate returns a time up to fuzz before now, in whole seconds.
func backdate(now time.Time, fuzz time.Duration, rng *rand.Rand) time.Time {
	return now.Add(-time.Duration(rng.Int64N(int64(fuzz)))).UTC().Truncate(time.Second)
}
