package tor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// rising is a day on which n guards count as their number plus one.
func rising(number, n int) *Day {
	nodes, chance := make([]int32, n), make([]float64, n)
	for i := range nodes {
		nodes[i], chance[i] = int32(i), float64(i+1)
	}
	return NewDay(number, n, nodes, chance, nil)
}

// The first guard of a sample in its order is drawn by weight (proposal 310); to
// draw it evenly from the sample, as once, favours small guards.
func TestFirstPrimaryIsDrawnByWeight(t *testing.T) {
	const n, clients = 40, 20_000
	rng := rand.New(rand.NewPCG(1, 2))
	d := rising(0, n)
	var first, evenly [n]float64
	for range clients {
		var g Guards
		g.Step(d, func() *rand.Rand { return rng })
		first[g.Primary()[0]]++
		evenly[g.sample[rng.IntN(len(g.sample))].node]++
	}
	chi := func(counts [n]float64) (sum float64) {
		for i, c := range counts {
			want := clients * float64(i+1) / (n * (n + 1) / 2)
			sum += (c - want) * (c - want) / want
		}
		return sum
	}
	if x := chi(first); x > 72 { // 39 degrees of freedom: exceeded with probability 0.001
		t.Errorf("chi-square of the first guard: %.1f", x)
	}
	if x := chi(evenly); x < 500 {
		t.Errorf("chi-square of an even choice: %.1f: the bias is gone", x)
	}
}

// A used guard lasts 108 to 120 days where none leaves.
func TestGuardsLast(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var g Guards
		begun := int32(-1)
		for day := range 130 {
			g.Step(rising(day, 500), func() *rand.Rand { return rng })
			p := g.Primary()[0]
			if begun < 0 {
				begun = p
			}
			if p != begun {
				if day < lifetime-lifetimeFuzz || day > lifetime+1 {
					t.Fatalf("the first guard lasted %d days", day)
				}
				break
			}
			if day == 129 {
				t.Fatal("the first guard stays")
			}
		}
	}
}

// Picks until the attacker is found with probability one half: proposals 247 and
// 292, for 1, 2 and 4 guards each.
func TestRotationTable(t *testing.T) {
	for guards, want := range map[int][3]int{1: {69, 14, 7}, 2: {35, 7, 4}, 4: {18, 4, 2}} {
		for i, share := range []float64{0.01, 0.05, 0.10} {
			n := math.Log(0.5) / (float64(guards) * math.Log(1-share))
			if got := int(math.Ceil(n - 1e-9)); got != want[i] {
				t.Errorf("%d guards, %v: %d picks, want %d", guards, share, got, want[i])
			}
		}
	}
	// By the code: fresh clients, each a pick of two guards.
	rng := rand.New(rand.NewPCG(5, 6))
	nodes, chance := make([]int32, 1000), make([]float64, 1000)
	for i := range nodes {
		nodes[i], chance[i] = int32(i), 1
	}
	d := NewDay(0, len(nodes), nodes, chance, nil)
	found, picks := 0, 0
	for range 4000 {
		bad := false
		for range 7 {
			var g Guards
			g.Step(d, func() *rand.Rand { return rng })
			use, n := g.InUse(d, nil)
			for _, x := range use[:n] {
				bad = bad || x < 50
			}
		}
		picks++
		if bad {
			found++
		}
	}
	if share := float64(found) / float64(picks); math.Abs(share-(1-math.Pow(0.95, 14))) > 0.03 {
		t.Errorf("seven picks of two guards among which 5 %% are bad: %v", share)
	}
}

// A guard that is knocked out is passed over, and used again when it is back.
func TestKnockedOutGuardsComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	draw := func() *rand.Rand { return rng }
	var g Guards
	g.Step(rising(0, 300), draw)
	first := g.Primary()[0]
	d := rising(1, 300)
	d.down = func(x int32) bool { return x == first }
	g.Step(d, draw)
	use, n := g.InUse(d, nil)
	if n != 2 || use[0] == first || use[1] == first {
		t.Fatalf("in use: %v", use[:n])
	}
	d = rising(2, 300)
	g.Step(d, draw)
	if use, _ := g.InUse(d, nil); use[0] != first {
		t.Errorf("in use: %v, not %d again", use, first)
	}
}
