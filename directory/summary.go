package directory

import (
	"net/netip"
	"slices"
)

const ( // fixed by docs/protocol.md, "Exit policies"
	// maxRejected4 is how many public IPv4 addresses a policy may reject on a
	// port that counts as accepted: two /8s.
	maxRejected4 = 1 << 25
	// maxRejected6 is the same for IPv6, counted in /64s: the same share, 2⁻⁷,
	// of 2000::/3, as 2²⁵ is of all IPv4 addresses.
	maxRejected6 = 1 << (61 - 7)
)

var (
	all4 = netip.MustParsePrefix("0.0.0.0/0")
	all6 = netip.MustParsePrefix("2000::/3") // what is assigned of IPv6
)

// Summary returns, for each family, the ports that the policy accepts for
// nearly all public addresses: those that it rejects for at most 2²⁵ IPv4
// addresses, and for at most the same share of the IPv6 ones. Private addresses
// do not count.
func (p Policy) Summary() (v4, v6 PortSummary) {
	return p.summary(all4, 32, maxRejected4), p.summary(all6, 64, maxRejected6)
}

// summary asks, for every range of ports on which the same rules apply, how
// much of space is rejected, in units of prefixes of the given length.
func (p Policy) summary(space netip.Prefix, unit int, limit uint64) (s PortSummary) {
	edges := p.edges()
	for i := range len(edges) - 1 {
		r := PortRange{uint16(edges[i]), uint16(edges[i+1] - 1)}
		if p.rejected(r.First, space, unit) <= limit {
			s.add(r)
		}
	}
	return s
}

// edges returns the ports at which the rules that apply change, from 1 to 65536.
func (p Policy) edges() []int {
	edges := []int{1, 65536}
	for _, r := range p.Rules {
		edges = append(edges, int(r.Ports.First), int(r.Ports.Last)+1)
	}
	slices.Sort(edges)
	return slices.Compact(edges)
}

// rejected returns how many units of space the policy rejects on port. Prefixes
// lie inside each other or apart, so that what the rules so far decide is a
// list of prefixes that lie apart.
func (p Policy) rejected(port uint16, space netip.Prefix, unit int) (sum uint64) {
	decided := make([]netip.Prefix, 0, len(privatePrefixes)+len(p.Rules)+1)
	for _, q := range privatePrefixes {
		_, decided = settle(decided, q, space, unit)
	}
	settleRule := func(accept bool, q netip.Prefix) {
		var units uint64
		units, decided = settle(decided, q, space, unit)
		if !accept {
			sum += units
		}
	}
	for _, r := range p.Rules {
		switch {
		case !r.Ports.Contains(port):
		case r.Prefix.IsValid():
			settleRule(r.Accept, r.Prefix)
		case r.Family&familyOf(space.Addr()) != 0:
			settleRule(r.Accept, space)
		}
	}
	settleRule(false, space) // what no rule matches
	return sum
}

// settle adds q to what is decided and returns how many units of space it
// decided anew.
func settle(decided []netip.Prefix, q, space netip.Prefix, unit int) (uint64, []netip.Prefix) {
	if q.Addr().Is4() != space.Addr().Is4() || q.Bits() > unit || !q.Overlaps(space) {
		return 0, decided // of the other family, or too small to count
	}
	if q.Bits() < space.Bits() {
		q = space
	}
	units := uint64(1) << (unit - q.Bits())
	kept := decided[:0]
	for i, d := range decided {
		switch {
		case !d.Overlaps(q):
			kept = append(kept, d)
		case d.Bits() <= q.Bits(): // q lies in d; nothing is dropped before it
			return 0, decided
		default:
			units -= 1 << (unit - decided[i].Bits())
		}
	}
	return units, append(kept, q)
}

func (p Policy) summarise() *policySummary {
	v4, v6 := p.Summary()
	return &policySummary{v4, v6}
}

// fits reports whether the summaries stay within what a vote holds.
func (s *policySummary) fits() bool {
	return len(s.v4.ranges) <= MaxPortRanges && len(s.v6.ranges) <= MaxPortRanges
}
