package path

import (
	"math"
	"testing"
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
	if w.len() != members || len(w.spare) != 1 {
		t.Fatalf("%d members, %d spare", w.len(), len(w.spare))
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

func TestWheelTakesWhatWeighsNothingLast(t *testing.T) {
	var w wheel
	w.add(0, 0)
	w.add(1, 5)
	w.add(2, 0)
	rng := seeded(1)
	for range 100 {
		if i, ok := w.draw(rng, func(int32) bool { return true }); !ok || i != 1 {
			t.Fatalf("drew %d", i)
		}
	}
	var counts [3]int
	for range 1000 {
		i, ok := w.draw(rng, func(i int32) bool { return i != 1 })
		if !ok {
			t.Fatal("drew nothing")
		}
		counts[i]++
	}
	if counts[0] < 400 || counts[2] < 400 {
		t.Errorf("drew %v", counts)
	}
	if _, ok := w.draw(rng, func(int32) bool { return false }); ok {
		t.Error("drew a member that is not allowed")
	}
	if _, ok := new(wheel).draw(rng, func(int32) bool { return true }); ok {
		t.Error("drew from an empty wheel")
	}
}
