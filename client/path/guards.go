package path

import (
	"math/rand/v2"
	"slices"
	"time"

	"tunic/directory/keys"
	"tunic/directory/rules"
)

const ( // fixed by docs/protocol.md, "Guards", after Tor's proposal 271; the rest are the network's rules
	maxSample       = 60               // guards in a sample, whatever the rules say
	numDirectory    = 3                // primaries that share the directory requests
	fuzz            = 10               // stored dates of confirmation lie up to a tenth of confirmedLife in the past,
	unlistedFuzz    = 5                // those of unlisting up to a fifth of their limit
	attemptPatience = 15 * time.Second // a non-primary's circuit waits for better guards' attempts this young
	internetDown    = 10 * time.Minute // without any success: it was the network, not the guards
	day             = 24 * time.Hour
)

const ( // our choice
	// SlowAfter is when a guard that has not answered yet is no reason to wait
	// any longer: further attempts go to the next one. A link handshake takes
	// one round trip after TCP's.
	SlowAfter = 1500 * time.Millisecond
	// MaxAttempts bounds the attempts under way; the oldest is forgotten.
	MaxAttempts = 256
)

// Reach is what is known about whether a guard can be reached.
type Reach uint8

// The states of reachability.
const (
	Untried Reach = iota
	Reachable
	Unreachable
)

func (r Reach) String() string { return [...]string{"untried", "reachable", "unreachable"}[r] }

// A stamp is a time in seconds since 1970, 0 for none: a third of a time.Time,
// which counts where a simulation holds the guards of 100,000 clients.
type stamp int64

func stampOf(t time.Time) stamp {
	if t.IsZero() {
		return 0
	}
	return stamp(t.Unix())
}

func (s stamp) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// add returns the stamp that many days later.
func (s stamp) add(days int) stamp { return s + stamp(time.Duration(days)*day/time.Second) }

// A guard is one member of the sample.
type guard struct {
	id keys.RelayID

	// These are kept on disk. Dates of what its user did are set back by a random
	// time, so that a stolen file does not tell when its owner came online; the
	// end of a guard's life, drawn months ahead, tells little.
	expires   stamp
	confirmed stamp // 0: never carried its user's traffic
	unlisted  stamp // since when it has not been one that would be drawn, 0: it is one
	opened    bool  // counted against the draw budget: used, or passed over for a later one
	dated     bool  // expires is when it was sampled: the end of its life is drawn at the next Update

	fit   bool  // it would be drawn as a guard today
	aside bool  // with those before it in the sample it would break a bound
	node  int32 // in the view, -1 when it is not listed as running and valid

	contact *contact // nil: never tried
}

// A contact is what is known of reaching a guard that was tried.
type contact struct {
	reach    Reach
	answered time.Time     // last
	retryAt  time.Time     // when an unreachable guard is tried again
	delay    time.Duration // the last delay before a retry
}

func (s *guard) reach() Reach {
	if s.contact == nil {
		return Untried
	}
	return s.contact.reach
}

// tried returns the guard's contact, to be written.
func (s *guard) tried() *contact {
	if s.contact == nil {
		s.contact = new(contact)
	}
	return s.contact
}

// listed reports whether circuits may go through the guard by what the consensus
// says. One that has carried traffic stays in use for a while when it loses the
// flag Guard or is put into quarantine: else whoever brings that about chooses
// when clients change their guards. One that never has is passed by at once.
func (s *guard) listed() bool { return s.node >= 0 && !s.aside && (s.fit || s.confirmed != 0) }

// Guards is a client's choice of first hops in one network. It is not safe for
// concurrent use.
type Guards struct {
	network  string
	sample   []*guard // in the order of sampling
	primary  []*guard // at most rules.Guards.Primary, in the order of preference
	attempts []*Attempt
	pathless []*guard  // those that had no path when all others were unreachable
	filled   int32     // day on which the sample was first filled, 0: not yet
	draws    []opening // guards newly used or passed over, ascending by day
	second   []*second // second-layer guards, drawn when a path first needs them
	view     *View     // nil before the first Update
	success  time.Time
	revision uint64

	// Override lifts the draw budget: a user who was told what it is for wants new
	// guards now. Draws are counted all the same. It is not kept.
	Override bool
}

// NewGuards returns an empty choice for the network of that name; the first
// [Guards.Update] fills it.
func NewGuards(network string) *Guards { return &Guards{network: network} }

// Revision counts the changes to what [Guards.State] returns.
func (g *Guards) Revision() uint64 { return g.revision }

// rules returns the network's rules for guards.
func (g *Guards) rules() *rules.Guards { return &g.view.rules.Guards }

// Update takes in a consensus, which must be a usable one: it notes which
// guards are listed, lets old ones expire, draws new ones and settles which
// are primary.
func (g *Guards) Update(v *View, now time.Time, rng *rand.Rand) {
	g.view, g.pathless = v, nil
	for _, s := range g.sample {
		g.look(s, now, rng)
	}
	over := g.expire(now)
	g.settle()
	before := g.revision
	g.extend(now, rng, over)
	if g.revision != before {
		g.settle()
	}
	g.forget(now)
	g.updateSecond(now)
}

// look finds a guard in the new consensus.
func (g *Guards) look(s *guard, now time.Time, rng *rand.Rand) {
	r := g.rules()
	if s.dated {
		s.expires, s.dated = s.expires.add(lifetime(r, rng)), false
		g.revision++
	}
	if most := stampOf(now).add(r.LifeMost); s.expires > most { // the clock was wrong when it was drawn
		s.expires = most
		g.revision++
	}
	s.node = g.view.find(s.id)
	s.fit = s.node >= 0 && g.view.mayGuard(s.node)
	if s.fit == (s.unlisted == 0) {
		return
	}
	if s.unlisted = 0; !s.fit {
		s.unlisted = backdate(now, time.Duration(r.UnlistedLimit)*day/unlistedFuzz, rng)
	}
	g.revision++
}

// lifetime draws how many days a guard stays in the sample.
func lifetime(r *rules.Guards, rng *rand.Rand) int {
	return r.LifeLeast + rng.IntN(max(1, r.LifeMost-r.LifeLeast+1))
}

// end is when a listed guard's time is over: at the end of its life, but not
// before it has been in use for a while.
func (g *Guards) end(s *guard) stamp {
	if s.confirmed == 0 {
		return s.expires
	}
	return max(s.expires, s.confirmed.add(g.rules().ConfirmedLife))
}

// expire drops guards that have been unlisted or in the sample for too long. It
// returns how many were dropped for their age.
func (g *Guards) expire(now time.Time) (over int) {
	at := stampOf(now)
	g.drop(func(s *guard) bool {
		if s.unlisted != 0 && at > s.unlisted.add(g.rules().UnlistedLimit) {
			return true
		}
		if at > g.end(s) {
			over++
			return true
		}
		return false
	})
	return over
}

// drop removes the guards that gone selects, from all sets.
func (g *Guards) drop(gone func(*guard) bool) {
	var dropped []*guard
	for _, s := range g.sample {
		if gone(s) {
			dropped = append(dropped, s)
		}
	}
	if len(dropped) == 0 {
		return
	}
	is := func(s *guard) bool { return slices.Contains(dropped, s) }
	g.sample = slices.DeleteFunc(g.sample, is)
	g.primary = slices.DeleteFunc(g.primary, is)
	g.attempts = slices.DeleteFunc(g.attempts, func(a *Attempt) bool { return is(a.guard) })
	g.revision++
}

// settle works out who stands aside and which guards are primary: of those that
// are listed the confirmed ones first, then the others, both in the order of
// sampling (Tor's proposal 310), no two of which may not be in one path.
func (g *Guards) settle() {
	g.setAside()
	g.primary = g.primary[:0]
	for _, confirmed := range []bool{true, false} {
		for _, s := range g.sample {
			if len(g.primary) < g.rules().Primary && s.listed() && (s.confirmed != 0) == confirmed && !g.clashes(s) {
				g.primary = append(g.primary, s)
			}
		}
	}
}

// clashes reports whether the guard may not be in one path with a primary one.
func (g *Guards) clashes(s *guard) bool {
	return slices.ContainsFunc(g.primary, func(p *guard) bool {
		_, bad := g.view.conflict(s.node, p.node)
		return bad
	})
}

// ranked calls yield with the listed guards in the order in which they are to
// be tried, the primary ones first.
func (g *Guards) ranked(yield func(*guard) bool) {
	for _, s := range g.primary {
		if !yield(s) {
			return
		}
	}
	for _, confirmed := range []bool{true, false} {
		for _, s := range g.sample {
			if s.listed() && (s.confirmed != 0) == confirmed && !slices.Contains(g.primary, s) && !yield(s) {
				return
			}
		}
	}
}

// backdate returns a time up to fuzz before now, in whole seconds.
func backdate(now time.Time, fuzz time.Duration, rng *rand.Rand) stamp {
	return stampOf(now.Add(-time.Duration(rng.Int64N(int64(fuzz)))))
}
