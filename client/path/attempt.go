package path

import (
	"math/rand/v2"
	"slices"
	"time"

	"tunic/directory/keys"
)

// An Attempt is one try to build a circuit, or to reach the directory, through
// a guard. [Guards.Failed] or [Guards.Done] ends it, at the latest when the
// circuit takes its first stream; before that [Guards.Reached] may say that the
// guard answered.
type Attempt struct {
	guard   *guard
	started time.Time
	stage   stage
	unfit   []*guard // better ones that have no path for this need
}

type stage uint8

const (
	trying  stage = iota // the guard has not answered yet
	reached              // the first hop is open
	ended
)

// Guard returns the identity of the attempt's guard.
func (a *Attempt) Guard() keys.RelayID { return a.guard.id }

// choose returns the guard for an attempt and the better ones that were passed
// over because fit refused them; it returns nil if fit refuses all that the draw
// budget leaves. Unreachable and slow guards are passed over as long as others
// are left. Of several guards in use at once one is drawn evenly.
func (g *Guards) choose(now time.Time, rng *rand.Rand, fit func(*guard) bool) (*guard, []*guard) {
	var unfit []*guard
	refused := func(s *guard) bool {
		if !g.may(s, now) || slices.Contains(unfit, s) {
			return true
		}
		if fit(s) {
			return false
		}
		unfit = append(unfit, s)
		return true
	}
	if s := g.oneOf(rng, func(s *guard) bool { return g.usable(s, now) && !g.slow(s, now) && !refused(s) }); s != nil {
		return s, unfit
	}
	if g.view != nil && g.first(func(s *guard) bool { return !g.may(s, now) }) == nil { // there may be more
		before := len(g.sample)
		g.extend(now, rng, 0)
		if g.settle(); len(g.sample) > before {
			return g.choose(now, rng, fit)
		}
	}
	if s := g.first(func(s *guard) bool { return g.usable(s, now) && !refused(s) }); s != nil {
		return s, unfit
	}
	// Nothing is left: what was known about reachability is void.
	again := g.first(func(s *guard) bool { return !refused(s) })
	if again == nil {
		return nil, unfit
	}
	g.pathless = unfit
	for _, s := range g.sample {
		if s.reach() == Unreachable {
			s.contact.reach = Untried
		}
	}
	return again, unfit
}

// oneOf returns one of the first guards by rank that ok admits, as many as the
// rules have in use at once; those after the first must be primary. It returns
// nil if ok admits none.
func (g *Guards) oneOf(rng *rand.Rand, ok func(*guard) bool) (chosen *guard) {
	k := 0
	for s := range g.ranked {
		if k > 0 && (k >= g.rules().Use || !slices.Contains(g.primary, s)) {
			break
		}
		if ok(s) {
			if k++; k == 1 || rng.IntN(k) == 0 {
				chosen = s
			}
		}
	}
	return chosen
}

// first returns the first guard by rank that ok admits, or nil.
func (g *Guards) first(ok func(*guard) bool) *guard {
	for s := range g.ranked {
		if ok(s) {
			return s
		}
	}
	return nil
}

// usable reports whether the guard is not known to be unreachable, or its time
// for another try has come. Primary guards are tried again by [Guards.Probe]
// alone, so that no request waits for one that is still down.
func (g *Guards) usable(s *guard, now time.Time) bool {
	if s.reach() != Unreachable {
		return true
	}
	return !slices.Contains(g.primary, s) && !now.Before(s.contact.retryAt)
}

// slow reports whether an attempt at the guard has gone unanswered for long,
// and nothing else has been heard of the guard meanwhile.
func (g *Guards) slow(s *guard, now time.Time) bool {
	if s.contact != nil && now.Sub(s.contact.answered) < SlowAfter {
		return false
	}
	return slices.ContainsFunc(g.attempts, func(a *Attempt) bool {
		return a.guard == s && a.stage == trying && now.Sub(a.started) >= SlowAfter
	})
}

func (g *Guards) begin(s *guard, unfit []*guard, now time.Time) *Attempt {
	if len(g.attempts) >= MaxAttempts {
		g.Done(g.attempts[0])
	}
	a := &Attempt{guard: s, started: now, unfit: unfit}
	g.attempts = append(g.attempts, a)
	return a
}

// Directory begins an attempt to reach a guard for the directory: one of the
// first primaries at random, else the next guard that is of use. It returns
// nil when there is no guard at all.
func (g *Guards) Directory(now time.Time, rng *rand.Rand) *Attempt {
	var candidates []*guard
	for _, s := range g.primary[:min(len(g.primary), numDirectory)] {
		if s.reach() != Unreachable && !g.slow(s, now) {
			candidates = append(candidates, s)
		}
	}
	if len(candidates) > 0 {
		return g.begin(candidates[rng.IntN(len(candidates))], nil, now)
	}
	s, _ := g.choose(now, rng, func(*guard) bool { return true })
	if s == nil {
		return nil
	}
	return g.begin(s, nil, now)
}

// Probe begins an attempt at a primary guard that was unreachable and whose
// time for another try has come; it returns nil if there is none. A client
// probes at [Guards.NextProbe], so that a guard that returns is used again.
func (g *Guards) Probe(now time.Time) *Attempt {
	for _, s := range g.primary {
		if s.reach() == Unreachable && !now.Before(s.contact.retryAt) && !g.probed(s) {
			return g.begin(s, nil, now)
		}
	}
	return nil
}

// NextProbe returns when [Guards.Probe] has something to do next; ok is false
// when no primary guard is unreachable.
func (g *Guards) NextProbe() (at time.Time, ok bool) {
	for _, s := range g.primary {
		if s.reach() == Unreachable && !g.probed(s) && (!ok || s.contact.retryAt.Before(at)) {
			at, ok = s.contact.retryAt, true
		}
	}
	return at, ok
}

func (g *Guards) probed(s *guard) bool {
	return slices.ContainsFunc(g.attempts, func(a *Attempt) bool { return a.guard == s && a.stage == trying })
}

// Reached says that the guard answered: its link is open, and the first hop if
// one was asked for.
func (g *Guards) Reached(a *Attempt, now time.Time) {
	if a.stage != trying {
		return
	}
	a.stage = reached
	*a.guard.tried() = contact{reach: Reachable, answered: now}
	if down := !g.success.IsZero() && now.Sub(g.success) > internetDown; down && !slices.Contains(g.primary, a.guard) {
		for _, s := range g.primary { // it was the network: the primaries get their chance first
			if s.reach() == Unreachable {
				s.contact.reach = Untried
			}
		}
	}
	g.success = now
}

// Failed says that the guard itself could not be reached, or refused the first
// hop, and ends the attempt. After [Guards.Reached] it is the same as
// [Guards.Done]: what goes wrong further out is not the guard's fault.
func (g *Guards) Failed(a *Attempt, now time.Time, rng *rand.Rand) {
	if a.stage == trying {
		g.blame(a.guard, now, rng)
	}
	g.Done(a)
}

// Done ends an attempt without blame: its circuit may be used, or is given up.
func (g *Guards) Done(a *Attempt) {
	a.stage = ended
	if i := slices.Index(g.attempts, a); i >= 0 {
		g.attempts = slices.Delete(g.attempts, i, i+1)
	}
}

// Usable reports whether a finished circuit may carry traffic. One through a
// primary guard may at once; one through another waits until every primary is
// unreachable and no better guard is reachable or, for a while, being tried.
// Guards that have no path for the circuit's need are not waited for.
//
// Where there is a draw budget, a guard that would be newly used waits like one
// that is not primary: to spend a draw takes more than a better guard's slowness.
func (g *Guards) Usable(a *Attempt, now time.Time) bool {
	if !g.may(a.guard, now) {
		return false
	}
	fresh := g.limited() && !a.guard.opened && a.guard.confirmed == 0
	if slices.Contains(g.primary, a.guard) && !fresh {
		return true
	}
	better := 0
	for s := range g.ranked {
		if s == a.guard {
			return true
		}
		if slices.Contains(a.unfit, s) || !g.may(s, now) {
			continue
		}
		untried := s.reach() == Untried && slices.Contains(g.primary, s)
		if untried || s.reach() == Reachable || g.active(s, now) {
			if better++; better >= g.rules().Use {
				return false
			}
		}
	}
	return true // no longer listed, but the circuit stands
}

// active reports whether a young attempt at the guard is under way.
func (g *Guards) active(s *guard, now time.Time) bool {
	return slices.ContainsFunc(g.attempts, func(a *Attempt) bool {
		return a.guard == s && now.Sub(a.started) < attemptPatience
	})
}

// Exhausted reports whether every guard that may be used is known to be
// unreachable, but for those that no path goes through: nobody tries them.
func (g *Guards) Exhausted(now time.Time) bool {
	return g.first(func(s *guard) bool {
		return g.may(s, now) && g.usable(s, now) && !slices.Contains(g.pathless, s)
	}) == nil
}

// Preferred reports whether a new circuit might go through the attempt's guard:
// it is well, as far as is known, and no better ones are known to be reachable.
// Unused circuits through other guards can be replaced.
func (g *Guards) Preferred(a *Attempt, now time.Time) bool {
	better := 0
	for s := range g.ranked {
		well := s.reach() != Unreachable && !g.slow(s, now)
		if s == a.guard {
			return well && g.may(s, now)
		}
		if well && s.reach() == Reachable && g.may(s, now) && !slices.Contains(a.unfit, s) {
			if better++; better >= g.rules().Use {
				return false
			}
		}
	}
	return false
}

// May reports whether the circuit's guard may carry traffic. A circuit that was
// [Guards.Usable] loses that when another is used and takes the last of the draw
// budget.
func (g *Guards) May(a *Attempt, now time.Time) bool { return g.may(a.guard, now) }

// Used says that the guard carries its user's traffic, which confirms it. It
// reports whether it is the first time.
func (g *Guards) Used(a *Attempt, now time.Time, rng *rand.Rand) bool {
	s := a.guard
	if s.confirmed != 0 || !slices.Contains(g.sample, s) {
		return false
	}
	g.open(s, now)
	s.confirmed = backdate(now, time.Duration(g.rules().ConfirmedLife)*day/fuzz, rng)
	g.revision++
	g.settle()
	return true
}
