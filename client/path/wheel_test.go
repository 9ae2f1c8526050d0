package path

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// chiSquare is the statistic of counts against weights.
func chiSquare(counts []int, weights []float64) float64 {
	n, sum := 0, 0.0
	for i := range counts {
		n += counts[i]
		sum += weights[i]
	}
	x := 0.0
	for i := range counts {
		want := float64(n) * weights[i] / sum
		x += (float64(counts[i]) - want) * (float64(counts[i]) - want) / want
	}
	return x
}

// limit is what a statistic of k classes exceeds once in a thousand seeds, by
// the approximation of Wilson and Hilferty.
func limit(k int) float64 {
	d := float64(k - 1)
	return d * math.Pow(1-2/(9*d)+3.09*math.Sqrt(2/(9*d)), 3)
}

// Drawing by rejection and drawing by an exact sum are one distribution,
// however little the rules leave.
func TestWheelDrawsByWeight(t *testing.T) {
	const members = 100
	var w wheel
	for i := range int32(members) {
		w.add(i, uint64(i*i))
	}
	w.finish()
	if w.len() != members-1 {
		t.Fatalf("%d members", w.len())
	}
	for _, every := range []int32{1, 2, 7, 33} {
		rng := seeded(uint64(every))
		allowed := func(i int32) bool { return i%every == 1%every }
		var counts []int
		var weights []float64
		index := map[int32]int{}
		for i := range int32(members) {
			if i > 0 && allowed(i) {
				index[i] = len(counts)
				counts, weights = append(counts, 0), append(weights, float64(i*i))
			}
		}
		exact := append([]int(nil), counts...)
		for range 100_000 {
			if i, ok := w.draw(rng, allowed); ok {
				counts[index[i]]++
			}
			if i, ok := w.drawExact(rng, allowed); ok {
				exact[index[i]]++
			}
		}
		if x := chiSquare(counts, weights); x > limit(len(counts)) {
			t.Errorf("every %d: chi square %.1f, limit %.1f", every, x, limit(len(counts)))
		}
		if x := chiSquare(exact, weights); x > limit(len(counts)) {
			t.Errorf("every %d, exact: chi square %.1f, limit %.1f", every, x, limit(len(counts)))
		}
	}
}

// What weighs nothing is never drawn, not even alone; and the guide leads to the
// right member wherever the weights put it.
func TestWheelNeverTakesWhatWeighsNothing(t *testing.T) {
	var w wheel
	w.add(0, 0)
	w.add(1, 5)
	w.add(2, 0)
	w.finish()
	rng := seeded(1)
	for range 100 {
		if i, ok := w.draw(rng, func(int32) bool { return true }); !ok || i != 1 {
			t.Fatalf("drew %d", i)
		}
	}
	for _, allowed := range []func(int32) bool{func(i int32) bool { return i != 1 }, func(int32) bool { return false }} {
		if i, ok := w.draw(rng, allowed); ok {
			t.Errorf("drew %d", i)
		}
	}
	var empty wheel
	empty.finish()
	if _, ok := empty.draw(rng, func(int32) bool { return true }); ok {
		t.Error("drew from an empty wheel")
	}
}

func TestGuideFindsEveryMember(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var w wheel
		for i, weight := range rapid.SliceOfN(rapid.SampledFrom([]uint64{0, 1, 2, 3, 1000, 1 << 40, maxShare, math.MaxUint64}), 1, 200).Draw(rt, "weights") {
			w.add(int32(i), weight)
		}
		w.finish()
		if len(w.guide) > 4*max(1, w.len()) {
			rt.Fatalf("a guide of %d entries for %d members", len(w.guide), w.len())
		}
		for i, node := range w.members {
			for _, x := range []uint64{w.sums[i] - 1, w.sums[i] - w.weight(i)} {
				if got := w.at(x); got != node {
					rt.Fatalf("at %d: member %d, want %d", x, got, node)
				}
			}
		}
	})
}
