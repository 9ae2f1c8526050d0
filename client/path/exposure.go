package path

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// An Exposure bounds what one set of relays, such as all of one operator, can see
// of a client in a year if the consensus stays as it is.
type Exposure struct {
	Guard, Exit float64 // the set's share of each position
	Held        bool    // a guard that carries, or may carry, the client's traffic is of the set
	Apart       bool    // no path has both a guard and an exit of the set
	Year        float64 // bound on the probability of a circuit whose guard and exit are of the set
}

// Expose computes the exposure of a client to the relays that in selects, as
// their places in the consensus. held is the guards that it may use already, as
// [Guards.Opened] lists them, none for one that begins today; circuits is how many
// it builds in a year.
//
// The bound: in a year the draw budget opens at most NewPerYear guards, in the
// order in which they were sampled, whatever an attacker does to others. One is
// of the set with at most the probability share ÷ (1 − x), where x is at most what
// the guards before it keep out of the sample: for each dimension with a bound,
// as many of its largest groups as those can fill. Of the circuits through a
// guard of the set one has an exit of it with at most the probability exit share
// ÷ (1 − y), where y is the largest share of exits that one guard keeps out of its
// paths. It holds while guards do not leave the sample before their turn; each
// that does makes x that of one place more.
func (v *View) Expose(in func(node int32) bool, circuits int, held []keys.RelayID) Exposure {
	return v.newBounds().expose(in, circuits, held)
}

// bounds are what of a consensus exposures to all groups have in common.
type bounds struct {
	v      *View
	beside []float64 // x, by how many guards were sampled before
	kept   float64   // y
}

func (v *View) newBounds() *bounds { return &bounds{v, v.crowding(), v.kept()} }

func (b *bounds) expose(in func(int32) bool, circuits int, held []keys.RelayID) Exposure {
	v := b.v
	guards, share := v.membersOf(directory.AsGuard, in)
	exits, exitShare := v.membersOf(directory.AsExit, in)
	e := Exposure{Guard: share, Exit: exitShare}
	for _, id := range held {
		if n := v.find(id); n >= 0 && in(n) {
			e.Held = true
			guards = append(guards, n)
		}
	}
	e.Apart = !slices.ContainsFunc(guards, func(a int32) bool {
		return slices.ContainsFunc(exits, func(b int32) bool {
			_, bad := v.conflict(a, b)
			return !bad
		})
	})
	if e.Apart {
		return e
	}
	e.Year = b.guard(share)
	if e.Held {
		e.Year = 1
	}
	e.Year *= ever(exitShare/max(1-b.kept, exitShare), circuits)
	return e
}

// ever is the probability of something that happens with probability p in each
// of n tries.
func ever(p float64, n int) float64 { return -math.Expm1(float64(n) * math.Log1p(-p)) }

// guard bounds the probability that one of a year's new guards is of a set with
// that share.
func (b *bounds) guard(share float64) float64 {
	if b.v.rules.Guards.NewPerYear == 0 && share > 0 {
		return 1 // no budget: an attacker may have the client walk its whole sample
	}
	spared := 1.0
	for _, x := range b.beside {
		spared *= 1 - share/max(1-x, share, math.SmallestNonzeroFloat64)
	}
	return 1 - spared
}

// membersOf returns the relays of a set that are drawn for a position, and their
// share of it.
func (v *View) membersOf(p directory.Position, in func(int32) bool) (list []int32, share float64) {
	var sum, all float64
	for i := range v.nodes {
		if !v.draws(p, int32(i)) {
			continue
		}
		w := float64(v.nodes[i].shares[p])
		all += w
		if in(int32(i)) {
			list, sum = append(list, int32(i)), sum+w
		}
	}
	return list, sum / max(all, 1)
}

// draws reports whether a relay is drawn for a position.
func (v *View) draws(p directory.Position, i int32) bool {
	n := &v.nodes[i]
	return n.running && n.shares[p] > 0 && (p != directory.AsGuard || v.mayGuard(i)) && (p != directory.AsExit || exits(n.relay))
}

// A grouping returns the groups of a relay in one dimension, numbered from 1.
type grouping func(n int32) []uint64

func (v *View) bySubnet(n int32) (list []uint64) {
	for _, net := range v.nodes[n].nets {
		list = append(list, net+1)
	}
	return list
}

func (v *View) byAS(n int32) []uint64 { return []uint64{uint64(v.nodes[n].as)} }

func (v *View) byCohort(n int32) []uint64 { return []uint64{uint64(v.nodes[n].cohort)} }

// byOperator groups relays that families, proved or inferred, or vouchers tie,
// directly or through others.
func (v *View) byOperator() grouping {
	parent := map[uint32]uint32{}
	root := func(f uint32) uint32 {
		for parent[f] != 0 {
			f = parent[f]
		}
		return f
	}
	ties := func(n *node) []uint32 {
		return slices.DeleteFunc(append(slices.Clone(n.families), n.inferred, n.tree), func(f uint32) bool { return f == 0 })
	}
	for i := range v.nodes {
		list := ties(&v.nodes[i])
		for _, f := range list {
			if a, b := root(list[0]), root(f); a != b {
				parent[b] = a
			}
		}
	}
	return func(n int32) []uint64 {
		list := ties(&v.nodes[n])
		if len(list) == 0 {
			return nil
		}
		return []uint64{uint64(root(list[0]))}
	}
}

// sums returns the shares of a position that the groups of a dimension have,
// greatest first.
func (v *View) sums(p directory.Position, by grouping) []float64 {
	var all float64
	sums := map[uint64]float64{}
	for i := range v.nodes {
		if !v.draws(p, int32(i)) {
			continue
		}
		w := float64(v.nodes[i].shares[p])
		all += w
		for _, group := range by(int32(i)) {
			if group != 0 {
				sums[group] += w
			}
		}
	}
	list := slices.Sorted(maps.Values(sums))
	slices.Reverse(list)
	for i := range list {
		list[i] /= all
	}
	return list
}

// pairs joins each two of the sums: a relay with two addresses is in two ranges.
func pairs(sums []float64) (joined []float64) {
	for i, s := range sums {
		if i%2 == 0 {
			joined = append(joined, 0)
		}
		joined[i/2] += s
	}
	return joined
}

// crowding bounds the share of guards that those before one in the sample keep
// out of it, for as many places as the budget opens in a year: themselves, and in
// each dimension the largest groups that they can fill.
func (v *View) crowding() []float64 {
	type dimension struct {
		sums  []float64
		bound int
	}
	r := &v.rules.Guards
	dims := []dimension{
		{v.sums(directory.AsGuard, func(n int32) []uint64 { return []uint64{uint64(n) + 1} }), 1},
		{v.sums(directory.AsGuard, v.byOperator()), min(r.PerFamily, r.PerVoucher)},
		{v.sums(directory.AsGuard, v.byAS), r.PerAS},
		{v.sums(directory.AsGuard, v.byCohort), r.PerCohort},
	}
	if !v.options.SameSubnet {
		dims = append(dims, dimension{pairs(v.sums(directory.AsGuard, v.bySubnet)), r.PerSubnet})
	}
	beside := make([]float64, r.NewPerYear)
	for k := 1; k < len(beside); k++ {
		beside[k] = beside[k-1]
		for _, d := range dims {
			if i := k/d.bound - 1; k%d.bound == 0 && i < len(d.sums) {
				beside[k] += d.sums[i]
			}
		}
		beside[k] = min(1, beside[k])
	}
	return beside
}

// kept bounds the share of exits that one guard keeps out of its paths: the
// largest group of each kind whose relays are kept apart.
func (v *View) kept() (y float64) {
	kinds := [][]float64{v.sums(directory.AsExit, v.byOperator())}
	if !v.options.SameSubnet {
		kinds = append(kinds, pairs(v.sums(directory.AsExit, v.bySubnet)))
	}
	if v.sameAS {
		kinds = append(kinds, v.sums(directory.AsExit, v.byAS))
	}
	for _, sums := range kinds {
		if len(sums) > 0 {
			y += sums[0]
		}
	}
	return min(1, y)
}

// A GroupExposure is the exposure to one group that is known as such.
type GroupExposure struct {
	By   rules.Dimension
	Name string
	Exposure
}

// Groups lists a client's exposure to the groups that a path may have two relays
// of, the greatest first: cohorts and countries, and where the network's rules do
// not keep them apart, ASes. To families, inferred groups, vouchers' and ranges of
// addresses there is none: no path has two of their relays.
func (v *View) Groups(circuits int, held []keys.RelayID) []GroupExposure {
	members := map[rules.Dimension]map[string]map[int32]bool{rules.ByCohort: {}, rules.ByCountry: {}, rules.ByAS: {}}
	note := func(by rules.Dimension, name string, n int32) {
		if members[by][name] == nil {
			members[by][name] = map[int32]bool{}
		}
		members[by][name][n] = true
	}
	for i := range v.nodes {
		n := &v.nodes[i]
		if n.cohort != 0 {
			note(rules.ByCohort, v.cohortName(n.cohort), int32(i))
		}
		if n.relay.Country != "" {
			note(rules.ByCountry, n.relay.Country, int32(i))
		}
		if n.as != 0 && !v.sameAS {
			note(rules.ByAS, fmt.Sprint("AS", n.as), int32(i))
		}
	}
	var list []GroupExposure
	b := v.newBounds()
	for by, groups := range members {
		for name, in := range groups {
			if e := b.expose(func(n int32) bool { return in[n] }, circuits, held); e.Year > 0 {
				list = append(list, GroupExposure{by, name, e})
			}
		}
	}
	slices.SortFunc(list, func(a, b GroupExposure) int {
		return cmp.Or(cmp.Compare(b.Year, a.Year), cmp.Compare(a.By, b.By), cmp.Compare(a.Name, b.Name))
	})
	return list
}
