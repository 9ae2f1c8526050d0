package path

import (
	"encoding/binary"
	"slices"
	"time"

	"tunic/directory"
)

// groups are what a relay has in common with others, as numbers that compare
// within one view; 0 is none.
type groups struct {
	nets     []uint64 // its /16s and /32s
	families []uint32 // that it proved
	inferred uint32   // the family that was inferred for it
	tree     uint32   // the family at the root of the chain of vouchers that let it in
	as       uint32
	cohort   int32 // the epoch in which it was first listed
}

// A numbering gives numbers, from 1, to the digests of families.
type numbering map[directory.Digest]uint32

func (n numbering) of(d directory.Digest) uint32 {
	if d == (directory.Digest{}) {
		return 0
	}
	if _, ok := n[d]; !ok {
		n[d] = uint32(len(n) + 1)
	}
	return n[d]
}

// maxVouchers bounds the chain of vouchers that is followed: more than any
// network allows.
const maxVouchers = 16

// group notes what each relay has in common with others.
func (v *View) group() {
	names := numbering{}
	parents := parentsOf(v.consensus.Relays)
	for i := range v.nodes {
		n := &v.nodes[i]
		r := n.relay
		n.nets = netsOf(r)
		for _, f := range r.Family {
			n.families = append(n.families, names.of(f))
		}
		n.inferred, n.as = names.of(r.Group), r.AS
		root := r.Voucher
		for range maxVouchers {
			up := parents[root]
			if up == (directory.Digest{}) {
				break
			}
			root = up
		}
		n.tree = names.of(root)
		n.cohort = v.cohort(r)
	}
}

// parentsOf returns for each family all of whose relays were let in by vouchers
// the smallest family that vouched. One with a relay that nobody vouched for
// stands by itself, so that vouching for a stranger's relay binds nobody else.
func parentsOf(relays []directory.Relay) map[directory.Digest]directory.Digest {
	parents, free := map[directory.Digest]directory.Digest{}, map[directory.Digest]bool{}
	for i := range relays {
		r := &relays[i]
		for _, f := range r.Family {
			if r.Voucher == (directory.Digest{}) {
				free[f] = true
				continue
			}
			if p, ok := parents[f]; !ok || slices.Compare(r.Voucher[:], p[:]) < 0 {
				parents[f] = r.Voucher
			}
		}
	}
	for f := range free {
		delete(parents, f)
	}
	return parents
}

// cohort returns the epoch of a relay's first listing as the caps on shares count
// it, apart for those that somebody vouched for; 0 if the day is not known, or the
// relay has served so long that it says nothing any more.
func (v *View) cohort(r *directory.Relay) int32 {
	if r.FirstListed.IsZero() || r.Age >= v.rules.CohortAge {
		return 0
	}
	return 2*(dayOf(r.FirstListed)/int32(v.rules.EpochDays)+1) + int32(count(r.Voucher != directory.Digest{}))
}

// cohortName names an epoch by its first day.
func (v *View) cohortName(c int32) string {
	first := int64(c/2-1) * int64(v.rules.EpochDays)
	name := time.Unix(first*int64(day/time.Second), 0).UTC().Format(dayLayout)
	if c%2 == 1 {
		name += " vouched"
	}
	return name
}

// dayOf counts the days from 1970, in UTC.
func dayOf(t time.Time) int32 { return int32(t.Unix() / int64(day/time.Second)) }

// netsOf returns the /16 of each IPv4 address and the /32 of each IPv6 one.
func netsOf(r *directory.Relay) []uint64 {
	var nets []uint64
	for _, ap := range r.Addrs {
		var id uint64
		if a := ap.Addr().Unmap(); a.Is4() {
			b := a.As4()
			id = uint64(binary.BigEndian.Uint16(b[:]))
		} else {
			b := a.As16()
			id = 1<<32 | uint64(binary.BigEndian.Uint32(b[:]))
		}
		if !slices.Contains(nets, id) {
			nets = append(nets, id)
		}
	}
	return nets
}

// conflict returns the rule by which two relays may not be in one path.
func (v *View) conflict(a, b int32) (Rule, bool) {
	if a == b {
		return RuleSame, true
	}
	x, y := &v.nodes[a], &v.nodes[b]
	switch {
	case shared(x.families, y.families):
		return RuleFamily, true
	case x.sameGroup(&y.groups):
		return RuleGroup, true
	case x.sameTree(&y.groups):
		return RuleVoucher, true
	case !v.options.SameSubnet && shared(x.nets, y.nets):
		return RuleSubnet, true
	case v.sameAS && x.as != 0 && x.as == y.as:
		return RuleAS, true
	}
	return 0, false
}

// sameGroup reports whether both are of one inferred family, or one is of the
// family that was inferred for the other.
func (x *groups) sameGroup(y *groups) bool {
	return x.inferred != 0 && (x.inferred == y.inferred || slices.Contains(y.families, x.inferred)) ||
		y.inferred != 0 && slices.Contains(x.families, y.inferred)
}

// sameTree reports whether one operator's vouchers let both in, or one is that
// operator's own.
func (x *groups) sameTree(y *groups) bool {
	return x.tree != 0 && (x.tree == y.tree || slices.Contains(y.families, x.tree)) ||
		y.tree != 0 && slices.Contains(x.families, y.tree)
}

// shared reports whether two short lists have a member in common.
func shared[T comparable](a, b []T) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}
