package weigh

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// none is the group of a relay that is in none.
const none = -1

// slackBits is how little a group may hold too much without being cut again: one
// part in 2^20. Truncation leaves such differences, and to chase them would take
// a round for each.
const slackBits = 20

// Fill cuts the shares of one dimension, in place: no group holds more than p/q
// of what is left of all. of has the group of each share, below groups, or -1
// for none. A group that holds too much is cut to the level at which it holds
// just its part of the rest and of what all groups cut hold together, and each
// share in it in proportion. Division truncates. Nothing changes if nothing
// would be left but groups that were cut: if all are young, for example.
//
// Fill reports whether it changed anything. Shares sum up to less than 2^63, and
// p and q are less than 2^32. The cap of a dimension is raised first where groups
// are few, which Fill does not do. Specification: docs/protocol.md, "Shares of
// positions".
func Fill(shares []uint64, of []int32, groups int, p, q uint64) bool {
	var f filler
	f.sum(shares, of, groups)
	return len(f.cut(shares, of, p, q)) > 0
}

// A filler is the memory that filling needs.
type filler struct {
	total uint64   // of all
	loose int      // shares in no group
	sums  []uint64 // by group
	order []int32  // groups with a share; the greatest first once there was something to cut
	isCut []bool   // by group
}

// raised returns the cap that counts: at least twice an even part, 2/n for n
// groups. Else there would be hardly anybody to take what is cut, and a relay of
// next to no weight could have most of a position of which the others are in
// few groups.
func (f *filler) raised(p, q uint64, outside loners) (uint64, uint64) {
	n := uint64(len(f.order))
	if outside == asOne {
		n += uint64(min(f.loose, 1))
	} else {
		n += uint64(f.loose)
	}
	if 2*q > p*n {
		return 2, n
	}
	return p, q
}

// loners says how relays in no group count among groups.
type loners uint8

const (
	asMany loners = iota // each by itself: it has no family, no voucher
	asOne                // together: what they belong to is not known
)

// cut is Fill for shares that were summed up; it returns the groups that it cut,
// good until the next call.
func (f *filler) cut(shares []uint64, of []int32, p, q uint64) []int32 {
	if p >= q || !f.someExceeds(p, q) {
		return nil
	}
	slices.SortFunc(f.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(f.sums[b], f.sums[a]), cmp.Compare(a, b))
	})
	k, level := f.level(p, q)
	if level == 0 {
		return nil
	}
	f.scale(shares, of, f.order[:k], level)
	return f.order[:k]
}

// sum adds up the groups and lists those with a share.
func (f *filler) sum(shares []uint64, of []int32, groups int) {
	f.sums = slices.Grow(f.sums[:0], groups)[:groups]
	clear(f.sums)
	f.total, f.loose = 0, 0
	for i, w := range shares {
		f.total += w
		if of[i] == none {
			f.loose += int(min(w, 1))
			continue
		}
		f.sums[of[i]] += w
	}
	f.order = f.order[:0]
	for g, s := range f.sums {
		if s > 0 {
			f.order = append(f.order, int32(g))
		}
	}
}

func (f *filler) someExceeds(p, q uint64) bool {
	level := scaled(f.total, p, q)
	for _, g := range f.order {
		if exceeds(f.sums[g], level) {
			return true
		}
	}
	return false
}

func exceeds(sum, level uint64) bool { return sum > level && sum-level > level>>slackBits }

// level returns how many of the greatest groups are cut, and to what; to 0 if
// there would be nothing else left.
func (f *filler) level(p, q uint64) (k int, level uint64) {
	rest := f.total
	for {
		// A group is cut only if it is more than p/(q-kp) of the rest, that it is
		// part of: then p < q-kp, and the next divisor is not 0 either.
		level = scaled(rest, p, q-uint64(k)*p)
		if k == len(f.order) || !exceeds(f.sums[f.order[k]], level) {
			break
		}
		rest -= f.sums[f.order[k]]
		k++
	}
	return k, level
}

// scale cuts each share in the groups that are cut.
func (f *filler) scale(shares []uint64, of []int32, cut []int32, level uint64) {
	f.isCut = slices.Grow(f.isCut[:0], len(f.sums))[:len(f.sums)]
	clear(f.isCut)
	for _, g := range cut {
		f.isCut[g] = true
	}
	for i, g := range of {
		if g != none && f.isCut[g] {
			shares[i] = scaled(shares[i], level, f.sums[g])
		}
	}
}

// scaled returns x·p/q, truncated, through 128 bits, or the greatest number where
// that is more.
func scaled(x, p, q uint64) uint64 {
	hi, lo := bits.Mul64(x, p)
	if hi >= q {
		return math.MaxUint64 // more than any sum: nothing exceeds it
	}
	quo, _ := bits.Div64(hi, lo, q)
	return quo
}
