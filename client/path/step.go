package path

import (
	"math/rand/v2"
	"slices"
	"time"

	"tunic/directory/keys"
)

// For simulations. A client's guards can change at four times only:
//
//   - at [Guards.NextEvent], when something expires or the draw budget has room;
//   - with a consensus in which one of the relays in its sample comes, goes, wins
//     or loses the flag Guard or its share, or changes its groups: [Guards.Sample]
//     says which relays those are;
//   - when one of them can be reached no longer, or again;
//   - when it is used ([Guards.Carry]).
//
// So a simulation of 100,000 clients keeps for each relay a list of the clients
// that hold it, wakes those whose relays changed and those whose event is due,
// calls [Guards.Update] with the view of the day and [Guards.Carry] for each, and
// draws the circuits of all others through the guard that they had, with
// [View.Through] or by the sums of [View.Exits]. What decides is the code that a
// client runs: Carry does what the client does with attempts. Guards that were
// not woken hold on to the view of their last Update, so that a simulation which
// makes a view a day lets go of old ones by waking everybody now and then.

// maxSteps bounds the attempts of one [Guards.Carry]: all of a sample fail once,
// and all once more after their times for another try.
const maxSteps = 2 * (maxSample + 1)

// Carry returns the guard that carries traffic at this moment, as a client finds
// it: guards are tried by rank until one is up, those that are not are blamed,
// and the one found is used, which confirms it and may take of the draw budget.
// ok is false when the budget, or every guard's being down, leaves none.
func (g *Guards) Carry(now time.Time, rng *rand.Rand, up func(keys.RelayID) bool) (id keys.RelayID, ok bool) {
	for p := g.Probe(now); p != nil; p = g.Probe(now) {
		g.answer(p, now, rng, up)
		g.Done(p)
	}
	for range maxSteps {
		s, unfit := g.choose(now, rng, func(*guard) bool { return true })
		if s == nil {
			return keys.RelayID{}, false
		}
		a := g.begin(s, unfit, now)
		if g.answer(a, now, rng, up) && g.Usable(a, now) {
			g.Used(a, now, rng)
			g.Done(a)
			return s.id, true
		}
		g.Done(a)
		if g.Exhausted(now) {
			return keys.RelayID{}, false
		}
	}
	return keys.RelayID{}, false
}

func (g *Guards) answer(a *Attempt, now time.Time, rng *rand.Rand, up func(keys.RelayID) bool) bool {
	if !up(a.Guard()) {
		g.Failed(a, now, rng)
		return false
	}
	g.Reached(a, now)
	return true
}

// First returns the guard that the next circuit would go through by what is
// known now, without beginning one. With several guards in use at once it is the
// first of them.
func (g *Guards) First(now time.Time) (id keys.RelayID, ok bool) {
	s := g.first(func(s *guard) bool { return g.may(s, now) && g.usable(s, now) && !g.slow(s, now) })
	if s == nil {
		return keys.RelayID{}, false
	}
	return s.id, true
}

// Sample calls yield with the relays in the sample, in the order of sampling.
func (g *Guards) Sample(yield func(keys.RelayID) bool) {
	for _, s := range g.sample {
		if !yield(s.id) {
			return
		}
	}
}

// Holds reports whether a relay is in the sample.
func (g *Guards) Holds(id keys.RelayID) bool {
	return slices.ContainsFunc(g.sample, func(s *guard) bool { return s.id == id })
}

// NextEvent returns when something changes by the passing of time alone: a
// guard's life is over, one has been unlisted for too long, or the draw budget
// has room for a guard that it keeps the client from. Retries of guards that are
// down are no events: their coming back is news from outside. The zero time is
// never.
func (g *Guards) NextEvent(now time.Time) time.Time {
	var next stamp
	sooner := func(s stamp) {
		if next == 0 || s < next {
			next = s
		}
	}
	for _, s := range g.sample {
		sooner(g.end(s) + 1)
		if s.unlisted != 0 {
			sooner(s.unlisted.add(g.rules().UnlistedLimit) + 1)
		}
	}
	if until, held := g.Held(now); held {
		sooner(stampOf(until))
	}
	return next.time()
}

// Find returns a relay's place in the consensus, for [View.Through] and
// [View.Exits]; ok is false when it is not listed as running and valid.
func (v *View) Find(id keys.RelayID) (node int32, ok bool) {
	node = v.find(id)
	return node, node >= 0
}

// Through draws a path for the need through a guard, by its place in the
// consensus. ok is false when there is none. It allocates nothing.
func (v *View) Through(guard int32, n Need, rng *rand.Rand) (p Path, ok bool) {
	exit, middle, ok := v.complete(guard, v.exitWheel(destination{n.Port, n.Family}), n, rng)
	if !ok {
		return Path{}, false
	}
	return Path{v.nodes[guard].relay, v.nodes[middle].relay, v.nodes[exit].relay}, true
}

// Exits calls yield with each exit that goes with the guard for the need, and
// its share: the exact distribution of exits, but for those that no middle goes
// with. It takes a walk over all exits.
func (v *View) Exits(guard int32, n Need, yield func(node int32, share uint64) bool) {
	w := v.exitWheel(destination{n.Port, n.Family})
	for i, x := range w.members {
		if _, bad := v.conflict(guard, x); !bad && !slices.Contains(n.NotExit, v.nodes[x].relay.ID) && !yield(x, w.weight(i)) {
			return
		}
	}
}
