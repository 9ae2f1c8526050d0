package directory

// WeightScale is the unit of position weights: a relay whose position weight is
// WeightScale counts with all of its bandwidth.
const WeightScale = 10_000 // fixed by docs/protocol.md, "Position weights"

// maxWeightSum is the greatest sum of bandwidth that position weights are
// computed from: products with WeightScale and the small factors of the cases
// stay inside an int64. MaxRelays relays of MaxWeight stay below.
const maxWeightSum = 1 << 46

const _ = uint(maxWeightSum - MaxRelays*MaxWeight - 4) // does not compile otherwise

// PositionWeights say how much of the bandwidth of each class of relays serves
// each position, so that no position runs short: W, position, class. Positions
// are g (guard), m (middle), e (exit); classes are g (Guard only), e (Exit
// only), d (both), m (neither). The zero value is none: plain bandwidth counts.
type PositionWeights struct {
	Wgg, Wmg, Wee, Wme, Wgd, Wmd, Wed uint32
}

// A Position in a path.
type Position uint8

// The positions.
const (
	AsGuard Position = iota
	AsMiddle
	AsExit
)

// weighing is the arithmetic of one computation. Division truncates.
type weighing struct {
	g, m, e, d                        int64 // sums of the classes: Guard only, neither, Exit only, both
	wgg, wmg, wee, wme, wgd, wmd, wed int64
}

// Weights computes position weights from the sums of bandwidth of the classes:
// Guard only, neither, Exit only, both; each at least 1. It returns the zero
// value when a weight lies outside 0…WeightScale or the weights of a class do
// not add up to WeightScale, less at most 1 for rounding.
func Weights(g, m, e, d uint64) PositionWeights {
	for _, n := range []uint64{g, m, e, d} {
		if n < 1 || n > maxWeightSum {
			return PositionWeights{}
		}
	}
	if g+m+e+d > maxWeightSum {
		return PositionWeights{}
	}
	w := weighing{g: int64(g), m: int64(m), e: int64(e), d: int64(d)}
	w.compute()
	if !w.sound() {
		return PositionWeights{}
	}
	return PositionWeights{
		Wgg: uint32(w.wgg), Wmg: uint32(w.wmg), Wee: uint32(w.wee), Wme: uint32(w.wme),
		Wgd: uint32(w.wgd), Wmd: uint32(w.wmd), Wed: uint32(w.wed),
	}
}

// compute chooses the case: neither Guard nor Exit is scarce (less than a third
// of all), both are, or one is.
func (w *weighing) compute() {
	total := w.g + w.m + w.e + w.d
	scarceG, scarceE := 3*w.g < total, 3*w.e < total
	switch {
	case !scarceG && !scarceE:
		w.noneScarce()
	case scarceG && scarceE && min(w.e, w.g)+w.d < max(w.e, w.g):
		w.bothScarceLittleShared()
	case scarceG && scarceE:
		w.bothScarce()
		if !w.sound() {
			w.bothScarceFallback()
		}
	case scarceG:
		w.guardScarce(3*(w.g+w.d) < total)
	default:
		w.exitScarce(3*(w.e+w.d) < total)
	}
}

const s = int64(WeightScale) // S in the specification

// noneScarce is case 1.
func (w *weighing) noneScarce() {
	w.wgd, w.wmd, w.wed = s/3, s/3, s/3
	w.wee = s * (w.e + w.g + w.m) / (3 * w.e)
	w.wme = s - w.wee
	w.wmg = s * (2*w.g - w.e - w.m) / (3 * w.g)
	w.wgg = s - w.wmg
}

// bothScarceLittleShared is case 2a: those that could do both serve the scarcer.
func (w *weighing) bothScarceLittleShared() {
	w.wgg, w.wee = s, s
	if w.e < w.g {
		w.wed = s
	} else {
		w.wgd = s
	}
}

// bothScarce is case 2b.
func (w *weighing) bothScarce() {
	w.wgg, w.wmg = s, 0
	w.wee = s * (w.e - w.g + w.m) / w.e
	w.wme = s * (w.g - w.m) / w.e
	w.wed = s * (w.d - 2*w.e + 4*w.g - 2*w.m) / (3 * w.d)
	w.wmd = (s - w.wed) / 2
	w.wgd = w.wmd
}

// bothScarceFallback is case 2b where its first try fails.
func (w *weighing) bothScarceFallback() {
	w.wgg, w.wmg, w.wee, w.wme = s, 0, s, 0
	w.wed = s * (w.d - 2*w.e + w.g + w.m) / (3 * w.d)
	w.wmd = max(0, s*(w.d-2*w.m+w.g+w.e)/(3*w.d))
	w.wgd = s - w.wed - w.wmd
}

// guardScarce is case 3, Guard scarce: 3a when Guard and both together still
// are, else 3b.
func (w *weighing) guardScarce(still bool) {
	w.wgg, w.wmg = s, 0
	if still {
		w.wgd = s
		if w.e >= w.m {
			w.wme = s * (w.e - w.m) / (2 * w.e)
		}
		w.wee = s - w.wme
		return
	}
	w.wgd = s * (w.d - 2*w.g + w.e + w.m) / (3 * w.d)
	w.wmd = (s - w.wgd) / 2
	w.wed = w.wmd
	w.wee = s * (w.e + w.m) / (2 * w.e)
	w.wme = s - w.wee
}

// exitScarce is case 3, Exit scarce.
func (w *weighing) exitScarce(still bool) {
	w.wee, w.wme = s, 0
	if still {
		w.wed = s
		if w.g >= w.m {
			w.wmg = s * (w.g - w.m) / (2 * w.g)
		}
		w.wgg = s - w.wmg
		return
	}
	w.wed = s * (w.d - 2*w.e + w.g + w.m) / (3 * w.d)
	w.wmd = (s - w.wed) / 2
	w.wgd = w.wmd
	w.wgg = s * (w.g + w.m) / (2 * w.g)
	w.wmg = s - w.wgg
}

// sound reports whether each weight is one and each class adds up, as far as
// division can.
func (w *weighing) sound() bool {
	for _, x := range []int64{w.wgg, w.wmg, w.wee, w.wme, w.wgd, w.wmd, w.wed} {
		if x < 0 || x > s {
			return false
		}
	}
	for _, sum := range []int64{w.wgg + w.wmg, w.wee + w.wme, w.wgd + w.wmd + w.wed} {
		if sum > s || sum < s-1 {
			return false
		}
	}
	return true
}

// WeightsOf computes position weights from relays; each sum starts at 1.
func WeightsOf(relays []Relay) PositionWeights {
	g, m, e, d := uint64(1), uint64(1), uint64(1), uint64(1)
	for i := range relays {
		r := &relays[i]
		switch r.Flags & (Guard | Exit) {
		case Guard:
			g += r.Weight
		case Exit:
			e += r.Weight
		case Guard | Exit:
			d += r.Weight
		default:
			m += r.Weight
		}
	}
	return Weights(g, m, e, d)
}

// IsZero reports whether there are no weights.
func (w PositionWeights) IsZero() bool { return w == PositionWeights{} }

// Of returns the weight of a relay with these flags in position p, out of
// WeightScale. Without weights it is WeightScale. Whether the relay may stand in
// that position at all is not asked.
func (w PositionWeights) Of(p Position, f Flags) uint64 {
	if w.IsZero() {
		return WeightScale
	}
	guard, exit := f.Has(Guard), f.Has(Exit)
	switch {
	case p == AsGuard && guard && exit:
		return uint64(w.Wgd)
	case p == AsGuard: // Wgm is Wgg
		return uint64(w.Wgg)
	case p == AsExit && guard: // Weg is Wed
		return uint64(w.Wed)
	case p == AsExit: // Wem is Wee
		return uint64(w.Wee)
	case guard && exit:
		return uint64(w.Wmd)
	case guard:
		return uint64(w.Wmg)
	case exit:
		return uint64(w.Wme)
	}
	return WeightScale // Wmm
}
