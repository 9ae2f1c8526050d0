// Package weigh says what share of each position of a path a relay gets: its
// weight times what its age lets it carry, times the position weights, cut where
// a group of relays would hold more of a position than its cap. All of it is
// integer arithmetic in a fixed order, so that anyone can replay it from the
// votes. It knows relays as package admission does, and nothing of how they got
// in.
//
// Specification: docs/protocol.md, "Shares of positions".
package weigh

import (
	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/rules"
)

// Weigh returns the share of each relay in each position, and the position
// weights that they rest on. A relay's share does not depend on the order of the
// relays. Relays that are not Running and Valid have none. today is the day
// judged, counted from 1970.
func Weigh(relays []admission.Relay, r *rules.Rules, today int) ([]directory.Shares, directory.PositionWeights) {
	result := Explain(relays, r, today)
	return result.Shares, result.Weights
}

// A Cut is a group that held more of a position than its cap.
type Cut struct {
	Position  directory.Position
	Dimension rules.Dimension
	Group     string // a range, an AS, a country, a family's digest, a day
	From, To  uint64 // the sum of its shares before the caps and after all of them
}

// A Result is what Weigh returns, and why.
type Result struct {
	Shares  []directory.Shares
	Weights directory.PositionWeights
	Cuts    []Cut // by position, dimension and From, the greatest first

	// By directory.Position. Uncapped: nobody could carry it by the rules, so
	// neither ages nor caps apply. Unsettled: its caps contradict each other, and
	// not all of them hold.
	Uncapped, Unsettled [3]bool
}

// weighing is the work of one call: the relays that can have a share.
type weighing struct {
	relays  []admission.Relay
	rules   *rules.Rules
	today   int
	cohorts grouping
}

// Explain is Weigh, with the caps that cut.
func Explain(relays []admission.Relay, r *rules.Rules, today int) Result {
	res := Result{Shares: make([]directory.Shares, len(relays))}
	w, index := tableOf(relays, r, today)
	same := w.groupings()
	base := w.base()
	w.capBase(base, same)
	res.Weights = w.positionWeights(base)
	for p, shares := range w.carries(base, res.Weights) {
		at := directory.Position(p)
		if isZero(shares) {
			res.Uncapped[p] = w.anyway(shares, at, res.Weights)
		} else {
			cuts, settled := w.capPosition(shares, at, same)
			res.Cuts, res.Unsettled[p] = append(res.Cuts, cuts...), !settled
		}
		for i, share := range shares {
			res.Shares[index[i]][p] = share
		}
	}
	return res
}

// tableOf returns the work for the relays that are Running and Valid, and where
// in relays each of them stands.
func tableOf(relays []admission.Relay, r *rules.Rules, today int) (*weighing, []int) {
	w, index := &weighing{rules: r, today: today}, make([]int, 0, len(relays))
	w.relays = make([]admission.Relay, 0, len(relays))
	for i := range relays {
		if relays[i].Flags.Has(directory.Running | directory.Valid) {
			w.relays, index = append(w.relays, relays[i]), append(index, i)
		}
	}
	w.cohorts = w.byCohort()
	return w, index
}

func isZero(shares []uint64) bool {
	for _, s := range shares {
		if s != 0 {
			return false
		}
	}
	return true
}
