package path

import (
	"math/rand/v2"
	"slices"
	"time"
)

// extend draws guards into the sample until enough of them are of use. A
// network with few guards is sampled whole. over of the places are of guards
// whose time was over; what is drawn for any other reason replaces guards that
// failed, and failing guards is what an attacker can bring about: see [Guards.old].
func (g *Guards) extend(now time.Time, rng *rand.Rand, over int) {
	r := g.rules()
	total := g.view.guards.len()
	limit := min(max(total*r.SamplePermille/1000, r.Sample), max(r.SampleMost, r.Sample), maxSample)
	whole := total <= r.Sample
	usable := 0
	for _, s := range g.sample {
		if s.listed() && s.reach() != Unreachable {
			usable++
		}
	}
	first := g.filled == 0
	if g.sample == nil {
		g.sample = make([]*guard, 0, min(r.Sample, limit))
	}
	perCohort := r.PerCohort
	for whole || usable < r.Sample && len(g.sample) < limit {
		within := func(perCohort int) func(int32) bool {
			allowed := func(n int32) bool { return !g.holds(n) && !g.crowded(n, perCohort, g.sample) }
			if !first && over == 0 {
				return g.old(allowed)
			}
			return allowed
		}
		node, ok := g.view.guards.draw(rng, within(perCohort))
		if !ok && !g.view.guards.any(within(maxSample)) {
			break
		}
		if !ok { // where few cohorts have guards each gets an even share of the sample
			perCohort++
			continue
		}
		s := &guard{id: g.view.nodes[node].relay.ID, node: node, fit: true}
		s.expires = stampOf(now).add(lifetime(r, rng))
		g.sample = append(g.sample, s)
		g.revision++
		usable++
		over = max(0, over-1)
	}
	if g.filled == 0 && len(g.sample) > 0 {
		g.filled = max(1, dayOf(now))
		g.revision++
	}
	g.trim()
}

// old leaves of the allowed guards those that were listed when the sample was
// first filled, as long as they hold half of all guards' shares: who comes with
// new relays and then knocks out the old ones waits until clients' guards expire.
func (g *Guards) old(allowed func(int32) bool) func(int32) bool {
	v := g.view
	if 2*v.listedBy(g.filled) < v.guards.total() {
		return allowed
	}
	return func(n int32) bool {
		first := v.nodes[n].relay.FirstListed
		return !first.IsZero() && dayOf(first) <= g.filled && allowed(n)
	}
}

// holds reports whether a relay of the view is in the sample.
func (g *Guards) holds(n int32) bool {
	return slices.ContainsFunc(g.sample, func(s *guard) bool { return s.node == n })
}

// crowded reports whether the relay, added to these guards, would make more of
// one group than the rules allow.
func (g *Guards) crowded(n int32, perCohort int, among []*guard) bool {
	r, x := g.rules(), &g.view.nodes[n].groups
	var subnet, family, cohort, as, tree int
	for _, s := range among {
		if s.node < 0 || s.aside || s.node == n {
			continue
		}
		y := &g.view.nodes[s.node].groups
		subnet += count(!g.view.options.SameSubnet && shared(x.nets, y.nets))
		family += count(shared(x.families, y.families) || x.sameGroup(y))
		cohort += count(x.cohort != 0 && x.cohort == y.cohort)
		as += count(x.as != 0 && x.as == y.as)
		tree += count(x.sameTree(y))
	}
	return subnet >= r.PerSubnet || family >= r.PerFamily || cohort >= perCohort || as >= r.PerAS || tree >= r.PerVoucher
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// setAside applies the bounds to the sample as it stands: groups become known,
// and relays come back, after they were sampled. Guards that carried traffic
// stay, and keep out others; of the rest the later one stands aside. Cohorts are
// left out: the day of a first listing does not change.
func (g *Guards) setAside() {
	kept := make([]*guard, 0, maxSample)
	for _, confirmed := range []bool{true, false} {
		for _, s := range g.sample {
			if (s.confirmed != 0) != confirmed {
				continue
			}
			s.aside = false
			if s.node < 0 {
				continue
			}
			if !confirmed && g.crowded(s.node, maxSample, kept) {
				s.aside = true
				continue
			}
			kept = append(kept, s)
		}
	}
}

// trim holds the sample of a small network, whose relays may come and go at
// any rate, to its limit: the guards longest unlisted go first.
func (g *Guards) trim() {
	for len(g.sample) > maxSample {
		var oldest *guard
		for _, s := range g.sample {
			if s.unlisted != 0 && (oldest == nil || s.unlisted < oldest.unlisted) {
				oldest = s
			}
		}
		if oldest == nil {
			oldest = g.sample[len(g.sample)-1]
		}
		g.drop(func(s *guard) bool { return s == oldest })
	}
}
