package weigh

import (
	"tunic/directory"
	"tunic/directory/admission"
)

// unit is what shares are multiplied by, against truncation: a share of a relay
// that carries all of its weight w in a position is 1000·w. It is also the unit
// of permille, so that weight times permille needs no division.
const unit = 1000

// A figure that a relay's weight is multiplied with: permille of ramps twice, and
// a position weight. All of it fits 64 bits.
const _ = uint64(1<<64 - 1 - directory.MaxWeight*unit*1000*directory.WeightScale)

// ramps returns what permille of its weight a relay of that age may carry in
// each position; nowhere more than as a middle.
func (w *weighing) ramps(x *admission.Relay) [3]uint64 {
	days := w.rules.AgeOf(x.Age)
	if x.Voucher != (directory.Digest{}) {
		days = days * 1000 / w.rules.Vouch.SpeedUp
	}
	var ramps [3]uint64
	for p, ramp := range w.rules.Ramps {
		ramps[p] = uint64(ramp.At(days))
	}
	middle := ramps[directory.AsMiddle]
	return [3]uint64{min(ramps[directory.AsGuard], middle), middle, min(ramps[directory.AsExit], middle)}
}

// weight is a relay's own, as far as it counts.
func (w *weighing) weight(x *admission.Relay) uint64 {
	weight := min(x.Weight, directory.MaxWeight) * unit
	if x.Quarantined {
		weight = weight / 1000 * uint64(w.rules.Detection.Weight)
	}
	return weight
}

// classOf returns the flags that position weights go by.
func classOf(x *admission.Relay) directory.Flags {
	if x.Quarantined {
		return 0
	}
	return x.Flags & (directory.Guard | directory.Exit)
}

// fit reports whether a relay may stand in a position at all.
func fit(x *admission.Relay, p directory.Position) bool {
	switch p {
	case directory.AsGuard:
		return !x.Quarantined && x.Flags.Has(directory.Guard)
	case directory.AsExit:
		return !x.Quarantined && x.Exits
	}
	return true
}

// base returns what each relay carries altogether: its weight as far as its age
// lets it be a middle.
func (w *weighing) base() []uint64 {
	base := make([]uint64, len(w.relays))
	for i := range w.relays {
		x := &w.relays[i]
		base[i] = w.weight(x) * w.ramps(x)[directory.AsMiddle] / 1000
	}
	return base
}

// positionWeights are those of the sums of base, each from 1; of plain weights
// where everybody is too young to carry anything.
func (w *weighing) positionWeights(base []uint64) directory.PositionWeights {
	if isZero(base) {
		base = make([]uint64, len(base))
		for i := range base {
			base[i] = w.weight(&w.relays[i])
		}
	}
	var guard, middle, exit, both uint64
	for i := range w.relays {
		switch classOf(&w.relays[i]) {
		case directory.Guard:
			guard += base[i]
		case directory.Exit:
			exit += base[i]
		case directory.Guard | directory.Exit:
			both += base[i]
		default:
			middle += base[i]
		}
	}
	return directory.Weights(guard/unit+1, middle/unit+1, exit/unit+1, both/unit+1)
}

// carries splits base up among the positions. What a relay's age does not let it
// carry as a guard it is offered as a middle.
func (w *weighing) carries(base []uint64, pw directory.PositionWeights) [3][]uint64 {
	var shares [3][]uint64
	for p := range shares {
		shares[p] = make([]uint64, len(base))
	}
	for i := range w.relays {
		x := &w.relays[i]
		ramps := w.ramps(x)
		if base[i] == 0 || ramps[directory.AsMiddle] == 0 {
			continue
		}
		part := func(p directory.Position, ramp uint64) uint64 {
			return base[i] * ramp * pw.Of(p, classOf(x)) / (ramps[directory.AsMiddle] * directory.WeightScale)
		}
		shares[directory.AsMiddle][i] = part(directory.AsMiddle, ramps[directory.AsMiddle])
		if fit(x, directory.AsGuard) {
			now := part(directory.AsGuard, ramps[directory.AsGuard])
			shares[directory.AsGuard][i] = now
			shares[directory.AsMiddle][i] += part(directory.AsGuard, ramps[directory.AsMiddle]) - now
		}
		if fit(x, directory.AsExit) {
			shares[directory.AsExit][i] = part(directory.AsExit, ramps[directory.AsExit])
		}
	}
	return shares
}

// anyway fills the shares of a position that nobody may carry by ages and
// weights: there everybody fit for it counts by position weight and weight, or if
// that gives nothing by weight, or all alike. A network in which everybody is new
// works so. It reports whether there is anybody.
func (w *weighing) anyway(shares []uint64, p directory.Position, pw directory.PositionWeights) bool {
	for _, share := range []func(x *admission.Relay) uint64{
		func(x *admission.Relay) uint64 { return w.weight(x) * pw.Of(p, classOf(x)) / directory.WeightScale },
		w.weight,
		func(*admission.Relay) uint64 { return unit },
	} {
		total := uint64(0)
		for i := range w.relays {
			if x := &w.relays[i]; fit(x, p) {
				shares[i] = share(x)
				total += shares[i]
			}
		}
		if total > 0 {
			return true
		}
	}
	return false
}
