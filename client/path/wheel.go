package path

import (
	"math/rand/v2"
	"sort"
)

// maxRejections is our choice: draws from the whole wheel before the exact
// sum over the allowed members is worked out. Rejection draws from the same
// distribution; it only gets slow where the rules leave next to nothing.
const maxRejections = 16

// A wheel draws members in proportion to their weights, by prefix sums: one
// random number and one binary search a draw.
type wheel struct {
	members []int32  // indices of nodes whose weight is not 0
	sums    []uint64 // sums[i]: the weights of members[0] to members[i]
	spare   []int32  // eligible nodes of weight 0: taken when nothing else is left
}

func (w *wheel) add(node int32, weight uint64) {
	if weight == 0 {
		w.spare = append(w.spare, node)
		return
	}
	var sum uint64
	if n := len(w.sums); n > 0 {
		sum = w.sums[n-1]
	}
	w.members = append(w.members, node)
	w.sums = append(w.sums, sum+weight)
}

func (w *wheel) len() int { return len(w.members) + len(w.spare) }

func (w *wheel) weight(i int) uint64 {
	if i == 0 {
		return w.sums[0]
	}
	return w.sums[i] - w.sums[i-1]
}

// draw returns a member among those that allowed admits, in proportion to the
// weights; ok is false when it admits none. Members of weight 0 are drawn
// evenly, and only when no other is admitted.
func (w *wheel) draw(rng *rand.Rand, allowed func(int32) bool) (node int32, ok bool) {
	if n := len(w.sums); n > 0 {
		total := w.sums[n-1]
		for range maxRejections {
			x := rng.Uint64N(total)
			node := w.members[sort.Search(n, func(i int) bool { return w.sums[i] > x })]
			if allowed(node) {
				return node, true
			}
		}
		if node, ok := w.drawExact(rng, allowed); ok {
			return node, true
		}
	}
	return drawEvenly(w.spare, rng, allowed)
}

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

// drawEvenly keeps each admitted node with probability 1/k, k counting them.
func drawEvenly(nodes []int32, rng *rand.Rand, allowed func(int32) bool) (node int32, ok bool) {
	k := 0
	for _, n := range nodes {
		if !allowed(n) {
			continue
		}
		if k++; rng.IntN(k) == 0 {
			node, ok = n, true
		}
	}
	return node, ok
}
