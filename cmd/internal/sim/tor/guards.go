// Package tor keeps guards as Tor's present client does (guard-spec, proposals
// 271, 291, 310; two guards in use, as the live parameters have it), a day at a
// time and in little memory, as the rival that tunic is measured by. It knows
// relays as numbers.
//
// Specification: docs/sybil.md, "Rivals".
package tor

import (
	"math/rand/v2"
	"sort"
)

const ( // guard-spec and the live parameters
	filtered      = 20 // guards in the sample that are listed
	maxSample     = 60
	maxShare      = 5 // a fifth of all guards at most
	primaries     = 3
	inUse         = 2
	lifetime      = 120 // days in the sample,
	confirmedStay = 60  // and since confirmed
	unlistedStay  = 20
	lifetimeFuzz  = 12 // days by which dates are set back
	unlistedFuzz  = 4
)

// A Day is what guards are drawn from on a day.
type Day struct {
	Number int
	listed []bool // by node: may be a guard
	nodes  []int32
	sums   []float64
	down   func(node int32) bool
}

// NewDay prepares the guards of a day: nodes and their chances, of all the
// numbers there are. down says which the attacker makes unreachable; nil: none.
func NewDay(number, all int, nodes []int32, chance []float64, down func(node int32) bool) *Day {
	d := &Day{Number: number, listed: make([]bool, all), down: down}
	sum := 0.0
	for k, i := range nodes {
		if chance[k] > 0 {
			sum += chance[k]
			d.nodes, d.sums = append(d.nodes, i), append(d.sums, sum)
			d.listed[i] = true
		}
	}
	return d
}

// Draw returns a guard by chance.
func (d *Day) Draw(rng *rand.Rand) int32 {
	x := rng.Float64() * d.sums[len(d.sums)-1]
	return d.nodes[min(sort.Search(len(d.sums), func(i int) bool { return d.sums[i] > x }), len(d.nodes)-1)]
}

const none = -1 << 15

// A member of the sample. Days are those that would be stored: set back.
type member struct {
	node                         int32
	sampled, confirmed, unlisted int16
}

// Guards are one client's.
type Guards struct {
	sample  []member // in the order of sampling
	primary [primaries]int32
	count   int8  // of primaries
	due     int32 // the next day on which something expires
	begun   bool
	Used    int // guards that ever carried traffic
}

// Step brings the guards to a day and uses them. rng is asked for only when
// something is to be drawn.
func (g *Guards) Step(d *Day, rng func() *rand.Rand) {
	if !g.begun || int32(d.Number) >= g.due || g.listingChanged(d) {
		g.begun = true
		g.update(d, rng())
	}
	if d.down == nil {
		return
	}
	use, n := g.InUse(d, nil)
	for _, p := range use[:n] {
		g.confirm(p, d, rng)
	}
}

// listingChanged reports whether a guard left the consensus or came back.
func (g *Guards) listingChanged(d *Day) bool {
	for i := range g.sample {
		if m := &g.sample[i]; d.listed[m.node] != (m.unlisted == none) {
			return true
		}
	}
	return false
}

func (g *Guards) update(d *Day, rng *rand.Rand) {
	now := int16(d.Number)
	kept := g.sample[:0]
	for _, m := range g.sample {
		switch listed := d.listed[m.node]; {
		case listed:
			m.unlisted = none
		case m.unlisted == none:
			m.unlisted = now - int16(rng.IntN(unlistedFuzz))
		}
		if expiry(&m) > now {
			kept = append(kept, m)
		}
	}
	g.sample = kept
	g.extend(d, rng)
	g.settle()
	for _, p := range g.primary[:min(int(g.count), inUse)] {
		if d.down == nil {
			g.confirm(p, d, func() *rand.Rand { return rng })
		}
	}
	g.due = 1 << 30
	for i := range g.sample {
		g.due = min(g.due, int32(expiry(&g.sample[i])))
	}
}

// expiry is the day on which a member is dropped if nothing else happens to it.
func expiry(m *member) int16 {
	end := m.sampled + lifetime + 1
	if m.confirmed != none {
		end = max(end, m.confirmed+confirmedStay+1)
	}
	if m.unlisted != none {
		end = min(end, m.unlisted+unlistedStay+1)
	}
	return end
}

// extend draws guards until enough are listed.
func (g *Guards) extend(d *Day, rng *rand.Rand) {
	listed := 0
	for i := range g.sample {
		if g.sample[i].unlisted == none {
			listed++
		}
	}
	most := min(maxSample, max(len(d.nodes)/maxShare, filtered))
	for tries := 0; listed < min(filtered, len(d.nodes)) && len(g.sample) < most && tries < 10_000; tries++ {
		node := d.Draw(rng)
		if !g.has(node) {
			g.sample = append(g.sample, member{node, int16(d.Number - rng.IntN(lifetimeFuzz)), none, none})
			listed++
		}
	}
}

func (g *Guards) has(node int32) bool {
	for i := range g.sample {
		if g.sample[i].node == node {
			return true
		}
	}
	return false
}

// settle works out the primary guards: the first that are listed, confirmed ones
// before others, both in the order of sampling.
func (g *Guards) settle() {
	g.count = 0
	for _, confirmed := range []bool{true, false} {
		for i := range g.sample {
			m := &g.sample[i]
			if g.count < primaries && m.unlisted == none && (m.confirmed != none) == confirmed {
				g.primary[g.count] = m.node
				g.count++
			}
		}
	}
}

// confirm notes that a guard carries traffic.
func (g *Guards) confirm(node int32, d *Day, rng func() *rand.Rand) {
	for i := range g.sample {
		m := &g.sample[i]
		if m.node == node && m.confirmed == none {
			m.confirmed = int16(d.Number - rng().IntN(confirmedStay/5))
			g.due = min(g.due, int32(expiry(m)))
			g.Used++
		}
	}
}

// InUse returns the guards among which circuits of the day are dealt evenly: the
// first two primaries that are reachable and not refused, for such conflicts as
// with the exit; where no primary is left, the next guard of the sample.
func (g *Guards) InUse(d *Day, refused func(node int32) bool) (use [inUse]int32, n int) {
	fit := func(node int32) bool {
		return (d.down == nil || !d.down(node)) && (refused == nil || !refused(node))
	}
	for _, p := range g.primary[:g.count] {
		if n < inUse && fit(p) {
			use[n] = p
			n++
		}
	}
	for i := 0; n == 0 && i < len(g.sample); i++ {
		if m := &g.sample[i]; m.unlisted == none && fit(m.node) {
			use[n] = m.node
			n++
		}
	}
	return use, n
}

// Primary returns the primary guards.
func (g *Guards) Primary() []int32 { return g.primary[:g.count] }
