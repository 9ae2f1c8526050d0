package weigh

import (
	"cmp"
	"slices"

	"tunic/directory"
)

// maxRounds is how often the caps of all dimensions are applied at most: a later
// one can make a group of an earlier one hold too much again. One to three
// rounds are usual.
const maxRounds = 32 // fixed by docs/protocol.md, "Shares of positions"

// A capping applies the caps of some dimensions to the shares of one position.
type capping struct {
	groupings []grouping
	caps      []uint64 // permille, one per grouping
	fill      filler
	first     []map[int32]uint64 // by grouping: of groups that were cut, what they held at first
}

// add takes a grouping with its cap.
func (c *capping) add(g grouping, permille int) {
	c.groupings = append(c.groupings, g)
	c.caps = append(c.caps, uint64(permille))
	c.first = append(c.first, nil)
}

// apply cuts until nothing changes, and reports whether it came to that. It does
// not where caps contradict each other: in a network of three ranges, say, where
// one of them has all that is not of one country.
func (c *capping) apply(shares []uint64) bool {
	for range maxRounds {
		changed := false
		for i := range c.groupings {
			changed = c.one(i, shares) || changed
		}
		if !changed {
			return true
		}
	}
	return false
}

// one applies one grouping's cap.
func (c *capping) one(i int, shares []uint64) bool {
	g := &c.groupings[i]
	c.fill.sum(shares, g.of, g.n)
	p, q := c.fill.raised(c.caps[i], 1000, g.outside)
	cut := c.fill.cut(shares, g.of, p, q)
	for _, k := range cut {
		if c.first[i] == nil {
			c.first[i] = map[int32]uint64{}
		}
		if _, ok := c.first[i][k]; !ok {
			c.first[i][k] = c.fill.sums[k]
		}
	}
	return len(cut) > 0
}

// cuts lists the groups that were cut, as of these shares.
func (c *capping) cuts(p directory.Position, shares []uint64) []Cut {
	var all []Cut
	for i := range c.groupings {
		if c.first[i] == nil {
			continue
		}
		g := &c.groupings[i]
		c.fill.sum(shares, g.of, g.n)
		for k, from := range c.first[i] {
			all = append(all, Cut{p, g.dimension, g.text(k), from, c.fill.sums[k]})
		}
	}
	slices.SortFunc(all, func(a, b Cut) int {
		return cmp.Or(cmp.Compare(a.Dimension, b.Dimension), cmp.Compare(b.From, a.From), cmp.Compare(a.Group, b.Group))
	})
	return all
}

// capBase applies the base caps: a group that is cut anyway is not to tilt the
// position weights first.
func (w *weighing) capBase(base []uint64, same []grouping) {
	var c capping
	for _, g := range same {
		if permille := w.rules.BaseCaps[g.dimension]; permille > 0 {
			c.add(g, permille)
		}
	}
	c.apply(base)
}

// capPosition applies the caps of one position. It returns what they cut, and
// whether they settled.
func (w *weighing) capPosition(shares []uint64, p directory.Position, same []grouping) ([]Cut, bool) {
	var c capping
	for _, g := range append(slices.Clone(same), w.byYoung(p), w.cohorts) {
		c.add(g, w.rules.Caps[g.dimension][p])
	}
	settled := c.apply(shares)
	return c.cuts(p, shares), settled
}
