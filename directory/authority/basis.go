package authority

import (
	"time"

	"tunic/directory"
	"tunic/directory/rules"
)

// A basis is what an authority judges relays by in one vote: the newest
// consensus that it holds, which the others hold as well, or nearly all.
type basis struct {
	rules   *rules.Rules
	relaxed []string
	random  directory.Digest
	day     int // of the period that is voted for, counted from 1970
}

// judgedBy returns the newest consensus, nil if none is known, and the basis for
// a period.
func (g *registry) judgedBy(validAfter time.Time) (*directory.Consensus, basis) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.newest, g.basis(validAfter)
}

// basis returns that for a period. The registry's lock is held.
func (g *registry) basis(validAfter time.Time) basis {
	b := basis{day: dayNumber(validAfter)}
	params := g.params
	if g.newest != nil {
		b.relaxed, b.random, params = g.newest.Relaxed, g.newest.Random, g.newest.Params
	} else {
		b.relaxed = rules.Relaxed(g.network, params, len(g.relays), validAfter)
	}
	b.rules = rulesAt(g.network, params, b.relaxed, len(g.relays), validAfter)
	return b
}

// rulesAt returns the rules of a network of so many relays at a time. Where relays may share a
// subnet, all of them may share one address.
func rulesAt(n *directory.Network, params []directory.Param, relaxed []string, relays int, at time.Time) *rules.Rules {
	r := rules.Of(params, relaxed, relays, at.Sub(n.Timing.Start))
	if n.SameSubnet {
		r.LiftAddresses()
	}
	return r
}
