package directory

import "net/netip"

// A Policy says to which addresses and ports an exit connects: the first rule
// that matches decides, and what no rule matches is rejected. The zero Policy
// rejects everything. Private addresses are refused apart from it: see Private.
type Policy struct{ Rules []Rule }

// A Rule accepts or rejects a range of ports on a range of addresses.
type Rule struct {
	Accept bool
	Family Family       // which addresses, when Prefix is not valid
	Prefix netip.Prefix // masked; not valid: all of Family
	Ports  PortRange
}

// A Family is a set of address families.
type Family uint8

// The address families.
const (
	IPv4 Family = 1 << iota
	IPv6
)

// A PortRange is the ports from First to Last, 1 ≤ First ≤ Last.
type PortRange struct{ First, Last uint16 }

// AcceptAll returns the policy accept *:*.
func AcceptAll() Policy { panic("unwritten") }

// ParsePolicy reads rules, one a line, as operators write them: "accept
// ADDRESS:PORTS" or "reject ADDRESS:PORTS". ADDRESS is *, *4, *6, an IPv4
// address or prefix, or an IPv6 address or prefix in brackets; PORTS is *, a
// port, or FIRST-LAST.
func ParsePolicy(lines []string) (Policy, error) { panic("unwritten") }

// ParseRule reads one rule.
func ParseRule(s string) (Rule, error) { panic("unwritten") }

// String returns the rule's canonical form.
func (r Rule) String() string { panic("unwritten") }

// Allows reports whether the policy lets an exit connect to a. It unmaps a's
// address. Private is asked separately.
func (p Policy) Allows(a netip.AddrPort) bool { panic("unwritten") }

// RejectsAll reports whether the policy accepts nothing.
func (p Policy) RejectsAll() bool { panic("unwritten") }

// Summary returns, for each family, the ports that the policy accepts for
// nearly all public addresses: those that it rejects for at most 2²⁵ IPv4
// addresses, and for at most the same share of the IPv6 ones.
func (p Policy) Summary() (v4, v6 PortSummary) { panic("unwritten") }

// A PortSummary is a set of ports as sorted ranges that neither touch nor
// overlap. The zero PortSummary is empty. It is not changed once made.
type PortSummary struct{ ranges []PortRange }

// ParsePortSummary reads what String returns.
func ParsePortSummary(s string) (PortSummary, error) { panic("unwritten") }

// String returns the ranges separated by commas, such as 80,443,8000-8100; *
// is all ports and - none.
func (s PortSummary) String() string { panic("unwritten") }

// Allows reports whether port is in the set.
func (s PortSummary) Allows(port uint16) bool { panic("unwritten") }

// Empty reports whether no port is in the set.
func (s PortSummary) Empty() bool { return len(s.ranges) == 0 }

// Ranges returns a copy of the ranges.
func (s PortSummary) Ranges() []PortRange { panic("unwritten") }
