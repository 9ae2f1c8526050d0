package path

import (
	"math/rand/v2"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// maxSecond bounds the second-layer guards: twice the most that the rules can
// set, since those that are down keep their place beside their replacement.
const maxSecond = 32

// A second is a second-layer guard: the only relays that stand between the
// guard and the rest of paths whose far end an attacker may have built at will,
// so that it takes weeks rather than minutes until one of the attacker's is next
// to the guard (Tor's proposal 333).
type second struct {
	id      keys.RelayID
	expires stamp
	node    int32 // -1: not listed
}

// updateSecond finds the second-layer guards in a new consensus and lets old ones
// go. One that is down keeps its place until its time is over.
func (g *Guards) updateSecond(now time.Time) {
	for _, s := range g.second {
		s.node = g.view.find(s.id)
	}
	before := len(g.second)
	g.second = slices.DeleteFunc(g.second, func(s *second) bool { return stampOf(now) > s.expires })
	if len(g.second) != before {
		g.revision++
	}
}

// extendSecond draws second-layer guards, by their shares as middles and with the
// bounds of the guards' sample, until enough are listed.
func (g *Guards) extendSecond(now time.Time, rng *rand.Rand) {
	r := g.rules()
	listed := 0
	members := make([]*guard, 0, maxSecond)
	for _, s := range g.second {
		listed += count(s.node >= 0)
		members = append(members, &guard{node: s.node})
	}
	for listed < r.Layer2 && len(g.second) < 2*r.Layer2 {
		node, ok := g.view.middles.draw(rng, func(n int32) bool {
			return !slices.ContainsFunc(g.second, func(s *second) bool { return s.node == n }) && !g.crowded(n, r.PerCohort, members)
		})
		if !ok {
			return
		}
		s := &second{id: g.view.nodes[node].relay.ID, node: node, expires: stampOf(now) + secondLife(r.Layer2Least, r.Layer2Most, rng)}
		g.second, members = append(g.second, s), append(members, &guard{node: node})
		g.revision++
		listed++
	}
}

// secondLife is the greater of two draws between two numbers of hours, in
// seconds: most live long, and nobody can tell which is about to go.
func secondLife(least, most int, rng *rand.Rand) stamp {
	hour := int64(time.Hour / time.Second)
	span := max(1, int64(most-least)*hour+1)
	return stamp(int64(least)*hour + max(rng.Int64N(span), rng.Int64N(span)))
}

// SelectVia draws a path whose middle is a second-layer guard and whose last
// relay is any that goes with the two, drawn by its share as a middle, and begins
// an attempt with its guard: for onion services, whose last hop serves no port.
// The need's exits and middles to avoid are avoided; its port does not matter.
// v must be what g was updated with last.
func (v *View) SelectVia(g *Guards, n Need, now time.Time, rng *rand.Rand) (Path, *Attempt, error) {
	g.updateSecond(now)
	g.extendSecond(now, rng)
	var via, last int32
	fit := func(s *guard) (ok bool) {
		via, last, ok = g.completeVia(s.node, n, rng)
		return ok
	}
	s, unfit := g.choose(now, rng, fit)
	if s == nil || !fit(s) {
		return Path{}, nil, v.refusalVia(g, n, now, rng)
	}
	return Path{v.nodes[s.node].relay, v.nodes[via].relay, v.nodes[last].relay}, g.begin(s, unfit, now), nil
}

// completeVia draws a second-layer guard, evenly, and a last relay.
func (g *Guards) completeVia(guard int32, n Need, rng *rand.Rand) (via, last int32, ok bool) {
	v := g.view
	for _, i := range rng.Perm(len(g.second)) {
		via = g.second[i].node
		if via < 0 || slices.Contains(n.NotMiddle, g.second[i].id) {
			continue
		}
		if _, bad := v.conflict(guard, via); bad {
			continue
		}
		last, ok = v.middles.draw(rng, func(m int32) bool {
			_, bad := v.conflict(guard, m)
			_, worse := v.conflict(via, m)
			return !bad && !worse && !slices.Contains(n.NotExit, v.nodes[m].relay.ID)
		})
		if ok {
			return via, last, true
		}
	}
	return 0, 0, false
}

// refusalVia says why there is no path through the second layer: because only a
// guard that the draw budget does not allow has one, or else how many relays each
// rule leaves as its middle.
func (v *View) refusalVia(g *Guards, n Need, now time.Time, rng *rand.Rand) error {
	held := g.first(func(s *guard) bool {
		if g.may(s, now) {
			return false
		}
		_, _, ok := g.completeVia(s.node, n, rng)
		return ok
	})
	if held != nil {
		return &BudgetError{g.renewal(held, now)}
	}
	c := counter{v: v, left: v.running()}
	c.note(RuleRunning)
	c.keep(RuleShare, func(x int32) bool { return v.nodes[x].shares[directory.AsMiddle] > 0 })
	c.keep(RuleLayer, func(x int32) bool {
		return slices.ContainsFunc(g.second, func(s *second) bool { return s.node == x })
	})
	if s := g.first(func(s *guard) bool { return g.may(s, now) }); s != nil {
		c.apart(s.node)
	}
	return &NoPathError{Position: Middle, Left: c.counts}
}
