package detect

import "math"

// maxSize is the size from which on a negative binomial counts as Poisson's.
const maxSize = 1e7

// log2Tail returns log2 of the probability that a negative binomial count of
// the given mean and size (variance = mean + mean²/size) is at least k. It is
// the regularised incomplete beta function I_p(k, size) with p = mean/(mean +
// size), computed by its continued fraction on the side where that converges.
// k = 0 gives 0; a mean of 0 gives -Inf for every other k.
func log2Tail(k int, mean, size float64) float64 {
	if k <= 0 {
		return 0
	}
	if mean <= 0 {
		return math.Inf(-1)
	}
	size = min(size, maxSize)
	a, b := float64(k), size
	p, q := mean/(mean+size), size/(mean+size)
	if p < (a+1)/(a+b+2) {
		return (betaFront(a, b, p, q) + math.Log(betaFraction(a, b, p)) - math.Log(a)) / math.Ln2
	}
	below := math.Exp(betaFront(b, a, q, p)) * betaFraction(b, a, q) / b
	return math.Log1p(-min(below, 1)) / math.Ln2
}

// betaFront is ln(p^a q^b / B(a, b)).
func betaFront(a, b, p, q float64) float64 {
	return a*math.Log(p) + b*math.Log(q) - logBeta(a, b)
}

// logBeta is ln B(a, b). Where one argument is much the greater, the difference
// of the two large log-gammas would lose its digits; Stirling's series keeps
// them.
func logBeta(a, b float64) float64 {
	if a > b {
		a, b = b, a
	}
	la, _ := math.Lgamma(a)
	if b < 100 {
		lb, _ := math.Lgamma(b)
		lab, _ := math.Lgamma(a + b)
		return la + lb - lab
	}
	// lnΓ(b) - lnΓ(a+b), term by term.
	return la - (b-0.5)*math.Log1p(a/b) - a*math.Log(a+b) + a + stirling(b) - stirling(a+b)
}

// stirling is the remainder of Stirling's formula for lnΓ(x), x ≥ 100.
func stirling(x float64) float64 {
	y := 1 / (x * x)
	return (1.0/12 - y*(1.0/360-y/1260)) / x
}

const ( // our choice
	fractionSteps   = 20_000 // far beyond the √max(a, b) steps that are needed
	fractionEpsilon = 1e-15
)

// betaFraction is the continued fraction of the incomplete beta function, by
// Lentz's method.
func betaFraction(a, b, x float64) float64 {
	const tiny = 1e-300
	nonzero := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/nonzero(1-(a+b)*x/(a+1))
	h := d
	for i := 1; i <= fractionSteps; i++ {
		m := float64(i)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d, c = 1/nonzero(1+even*d), nonzero(1+even/c)
		h *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d, c = 1/nonzero(1+odd*d), nonzero(1+odd/c)
		step := d * c
		h *= step
		if math.Abs(step-1) < fractionEpsilon {
			break
		}
	}
	return h
}
