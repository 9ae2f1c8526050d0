// Package weigh says what share of each position of a path a relay gets: its
// weight times what its age lets it carry, times the position weights, cut where
// a group of relays would hold more of a position than its cap. All of it is
// integer arithmetic in a fixed order, so that anyone can replay it from the
// votes. It knows relays as package admission does, and nothing of how they got
// in.
//
// Specification: docs/protocol.md, "Shares".
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
	Shares   []directory.Shares
	Weights  directory.PositionWeights
	Cuts     []Cut   // by position, dimension and From, the greatest first
	Uncapped [3]bool // positions, by directory.Position, that nobody may carry by the rules: neither ages nor caps apply
}

// Explain is Weigh, with the caps that cut.
func Explain(relays []admission.Relay, r *rules.Rules, today int) Result {
	res := Result{Shares: make([]directory.Shares, len(relays))}
	for i := range relays {
		x := &relays[i]
		if !x.Flags.Has(directory.Running | directory.Valid) {
			continue
		}
		res.Shares[i][directory.AsMiddle] = x.Weight * 1000
		if x.Flags.Has(directory.Guard) && !x.Quarantined {
			res.Shares[i][directory.AsGuard] = x.Weight * 1000
		}
		if x.Exits && !x.Quarantined {
			res.Shares[i][directory.AsExit] = x.Weight * 1000
		}
	}
	return res
}
