package admission

import (
	"bytes"

	"tunic/directory"
	"tunic/directory/rules"
)

// maxChain is the longest chain of vouchers that is followed: the bound of the
// parameter vouch_depth.
const maxChain = 16

// Roots returns for each relay that was vouched for the operator at the root of
// its chain of vouchers, by the smallest of its families, and zero for all
// others. An operator with a relay that served Vouch.Age days and that nobody
// vouched for is a root; so is one whose relays nobody vouched for, or that is
// not known. Where vouchers go in a circle each voucher is the root of those it
// vouched for.
func Roots(relays []Relay, r *rules.Rules) []directory.Digest {
	ops := operatorsOf(relays)
	above := ops.above(relays, r)
	roots := make([]directory.Digest, len(relays))
	for i := range relays {
		if by := relays[i].Voucher; by != (directory.Digest{}) {
			roots[i] = ops.root(by, above)
		}
	}
	return roots
}

// above returns the family that vouched for each operator, zero for roots. Of
// several it is the smallest, so that the order of relays does not matter.
func (o *operators) above(relays []Relay, r *rules.Rules) []directory.Digest {
	above := make([]directory.Digest, o.n)
	stands := make([]bool, o.n)
	for i := range relays {
		n, by := o.of[i], relays[i].Voucher
		switch {
		case n == none:
		case by == directory.Digest{}:
			stands[n] = stands[n] || relays[i].Age >= r.Vouch.Age
		case above[n] == directory.Digest{} || bytes.Compare(by[:], above[n][:]) < 0:
			above[n] = by
		}
	}
	for n, own := range stands {
		if own {
			above[n] = directory.Digest{}
		}
	}
	return above
}

// root follows the chain that begins with a voucher of family by.
func (o *operators) root(by directory.Digest, above []directory.Digest) directory.Digest {
	first := by
	for range maxChain {
		n := o.byFamily(by)
		if n == none {
			return by
		}
		if above[n] == (directory.Digest{}) {
			return o.name[n]
		}
		by = above[n]
	}
	if n := o.byFamily(first); n != none { // a circle
		return o.name[n]
	}
	return first
}
