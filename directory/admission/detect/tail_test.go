package detect

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// slowTail sums the probabilities of 0 to k-1 in 300-bit arithmetic and
// subtracts; size is a whole number, so that nothing but multiplication is
// needed.
func slowTail(k int, mean float64, size int) float64 {
	f := func(x float64) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(x) }
	p := f(0).Quo(f(mean), f(0).Add(f(mean), f(float64(size))))
	q := f(0).Sub(f(1), p)
	term := f(1)
	for range size {
		term.Mul(term, q)
	}
	rest := f(1)
	for x := range k {
		rest.Sub(rest, term)
		term.Mul(term, p)
		term.Mul(term, f(float64(x+size)))
		term.Quo(term, f(float64(x+1)))
	}
	mantissa := new(big.Float)
	e := rest.MantExp(mantissa)
	m, _ := mantissa.Float64()
	return math.Log2(m) + float64(e)
}

func TestTailIsTheSlowSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 60).Draw(t, "size")
		mean := math.Exp2(rapid.Float64Range(-12, 9).Draw(t, "log mean"))
		k := rapid.IntRange(1, 400).Draw(t, "k")
		want := slowTail(k, mean, size)
		if want < -380 {
			t.Skip("beyond the sum's digits")
		}
		if got := log2Tail(k, mean, float64(size)); math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
			t.Fatalf("log2Tail(%d, %g, %d) = %g, want %g", k, mean, size, got, want)
		}
	})
}

// poissonTail sums from k on.
func poissonTail(k int, mean float64) float64 {
	l, _ := math.Lgamma(float64(k + 1))
	term, sum := 1.0, 0.0
	for x := k; term > 1e-18*sum; x++ {
		sum += term
		term *= mean / float64(x+1)
	}
	return (float64(k)*math.Log(mean)-mean-l)/math.Ln2 + math.Log2(sum)
}

func TestTailOfGreatSizeIsPoissons(t *testing.T) {
	for _, c := range []struct {
		k    int
		mean float64
	}{{20, 6.4}, {1, 0.003}, {50, 40}, {900, 700}} {
		want := poissonTail(c.k, c.mean)
		if got := log2Tail(c.k, c.mean, math.Inf(1)); math.Abs(got-want) > 1e-2 {
			t.Errorf("log2Tail(%d, %g, inf) = %g, want %g", c.k, c.mean, got, want)
		}
	}
	if got := math.Exp2(log2Tail(20, 6.4, math.Inf(1))); got > 2e-5 || got < 5e-6 {
		t.Errorf("20 arrivals where 6.4 are usual: %g, want about 1e-5", got)
	}
}

func TestTailAtTheEdges(t *testing.T) {
	if got := log2Tail(0, 3, 2); got != 0 {
		t.Errorf("at least none: %g", got)
	}
	if got := log2Tail(1, 0, 2); !math.IsInf(got, -1) {
		t.Errorf("of mean 0: %g", got)
	}
	for _, k := range []int{1, 7, 50_000} {
		for _, mean := range []float64{1e-9, 1, 1e6} {
			for _, size := range []float64{1e-3, 1, 1e7} {
				if got := log2Tail(k, mean, size); math.IsNaN(got) || got > 0 {
					t.Errorf("log2Tail(%d, %g, %g) = %g", k, mean, size, got)
				}
			}
		}
	}
}
