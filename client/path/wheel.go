package path

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// maxRejections is our choice: draws from the whole wheel before the exact
// sum over the allowed members is worked out. Rejection draws from the same
// distribution; it only gets slow where the rules leave next to nothing.
const maxRejections = 16

// A wheel draws members in exact proportion to their weights: by prefix sums,
// and a guide that says where in them to look, so that a draw takes one random
// number and a step or two. It draws nothing before finish.
type wheel struct {
	members []int32  // indices of nodes, none of weight 0
	sums    []uint64 // sums[i]: the weights of members[0] to members[i]
	guide   []int32  // guide[k]: the first member whose sum is above k << shift
	shift   uint
}

func (w *wheel) add(node int32, weight uint64) {
	if weight == 0 {
		return
	}
	w.members = append(w.members, node)
	w.sums = append(w.sums, w.total()+min(weight, maxShare))
}

// finish makes the guide: about two entries a member.
func (w *wheel) finish() {
	n := len(w.sums)
	if n == 0 {
		return
	}
	last := w.total() - 1
	w.shift = uint(max(0, bits.Len64(last)-bits.Len(uint(n))-1))
	w.guide = make([]int32, last>>w.shift+1)
	i := int32(0)
	for k := range w.guide {
		for w.sums[i] <= uint64(k)<<w.shift {
			i++
		}
		w.guide[k] = i
	}
}

func (w *wheel) len() int { return len(w.members) }

func (w *wheel) total() uint64 {
	if len(w.sums) == 0 {
		return 0
	}
	return w.sums[len(w.sums)-1]
}

func (w *wheel) weight(i int) uint64 {
	if i == 0 {
		return w.sums[0]
	}
	return w.sums[i] - w.sums[i-1]
}

// at returns the member at a point of the sums.
func (w *wheel) at(x uint64) int32 {
	i := w.guide[x>>w.shift]
	for w.sums[i] <= x {
		i++
	}
	return w.members[i]
}

// draw returns a member among those that allowed admits, in proportion to the
// weights; ok is false when it admits none.
func (w *wheel) draw(rng *rand.Rand, allowed func(int32) bool) (node int32, ok bool) {
	total := w.total()
	if total == 0 {
		return 0, false
	}
	for range maxRejections {
		if node := w.at(rng.Uint64N(total)); allowed(node) {
			return node, true
		}
	}
	return w.drawExact(rng, allowed)
}

// any reports whether allowed admits a member.
func (w *wheel) any(allowed func(int32) bool) bool { return slices.ContainsFunc(w.members, allowed) }

// drawExact sums the weights of the admitted members first.
func (w *wheel) drawExact(rng *rand.Rand, allowed func(int32) bool) (int32, bool) {
	var total uint64
	for i, node := range w.members {
		if allowed(node) {
			total += w.weight(i)
		}
	}
	if total == 0 {
		return 0, false
	}
	x := rng.Uint64N(total)
	for i, node := range w.members {
		if !allowed(node) {
			continue
		}
		if weight := w.weight(i); x >= weight {
			x -= weight
			continue
		}
		return node, true
	}
	return 0, false
}
