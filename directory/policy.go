package directory

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const ( // fixed by docs/protocol.md, "Exit policies"
	// MaxRules is the most rules of a policy.
	MaxRules = 128
	// MaxPortRanges is the most ranges of a summary of ports.
	MaxPortRanges = 128
)

// A Policy says to which addresses and ports an exit connects: the first rule
// that matches decides, and what no rule matches is rejected. The zero Policy
// rejects everything. Private addresses are refused apart from it: see Private.
type Policy struct{ Rules []Rule }

// A Rule accepts or rejects a range of ports on a range of addresses.
type Rule struct {
	Accept bool
	Prefix netip.Prefix // masked; not valid: all addresses of Family
	Family Family       // which addresses, when Prefix is not valid
	Ports  PortRange
}

// A Family is a set of address families.
type Family uint8

// The address families.
const (
	IPv4 Family = 1 << iota
	IPv6
)

// AcceptAll returns the policy accept *:*.
func AcceptAll() Policy {
	return Policy{Rules: []Rule{{Accept: true, Family: IPv4 | IPv6, Ports: AllPorts}}}
}

// ParsePolicy reads rules, one a string, as operators write them: see ParseRule.
func ParsePolicy(lines []string) (Policy, error) {
	if len(lines) > MaxRules {
		return Policy{}, fmt.Errorf("%w: more than %d rules", ErrMalformed, MaxRules)
	}
	var p Policy
	for i, line := range lines {
		r, err := ParseRule(line)
		if err != nil {
			return Policy{}, fmt.Errorf("rule %d: %w", i+1, err)
		}
		p.Rules = append(p.Rules, r)
	}
	return p, nil
}

// ParseRule reads a rule, "accept ADDRESS:PORTS" or "reject ADDRESS:PORTS".
// ADDRESS is * (all), *4, *6, an IPv4 address or prefix, or an IPv6 address or
// prefix in brackets; PORTS is * (all), a port, or FIRST-LAST. A prefix is
// masked; the error does not echo s.
func ParseRule(s string) (Rule, error) {
	verb, target, _ := strings.Cut(s, " ")
	colon := strings.LastIndexByte(target, ':')
	if verb != "accept" && verb != "reject" || colon < 0 {
		return Rule{}, fmt.Errorf("%w: want accept or reject, a space, ADDRESS:PORTS", ErrMalformed)
	}
	r := Rule{Accept: verb == "accept"}
	var err error
	if r.Prefix, r.Family, err = parseRange(target[:colon]); err != nil {
		return Rule{}, err
	}
	if r.Ports, err = parsePorts(target[colon+1:]); err != nil {
		return Rule{}, err
	}
	return r, nil
}

// parseRange reads the addresses of a rule.
func parseRange(s string) (netip.Prefix, Family, error) {
	switch s {
	case "*":
		return netip.Prefix{}, IPv4 | IPv6, nil
	case "*4":
		return netip.Prefix{}, IPv4, nil
	case "*6":
		return netip.Prefix{}, IPv6, nil
	}
	inner, bracket := strings.CutPrefix(s, "[")
	if bracket {
		var closed bool
		if inner, closed = strings.CutSuffix(inner, "]"); !closed {
			return netip.Prefix{}, 0, fmt.Errorf("%w: bracket without end", ErrMalformed)
		}
	}
	p, err := netip.ParsePrefix(inner)
	if a, e := netip.ParseAddr(inner); e == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil || p.Addr().Is4In6() || p.Addr().Is6() != bracket {
		return netip.Prefix{}, 0, fmt.Errorf("%w: range of addresses", ErrMalformed)
	}
	if p.Bits() == 0 { // *4 and *6 are the one form
		return netip.Prefix{}, familyOf(p.Addr()), nil
	}
	return p.Masked(), 0, nil
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// String returns the rule's canonical form.
func (r Rule) String() string { return string(r.appendTo(nil)) }

func (r Rule) appendTo(b []byte) []byte {
	if r.Accept {
		b = append(b, "accept "...)
	} else {
		b = append(b, "reject "...)
	}
	switch {
	case r.Prefix.IsValid() && r.Prefix.Addr().Is4():
		b = r.Prefix.AppendTo(b)
	case r.Prefix.IsValid():
		b = append(r.Prefix.AppendTo(append(b, '[')), ']')
	case r.Family == IPv4:
		b = append(b, "*4"...)
	case r.Family == IPv6:
		b = append(b, "*6"...)
	default:
		b = append(b, '*')
	}
	return r.Ports.appendTo(append(b, ':'))
}

// valid reports whether the rule is one that ParseRule can return.
func (r Rule) valid() bool {
	if !r.Ports.valid() {
		return false
	}
	if !r.Prefix.IsValid() {
		return r.Prefix == netip.Prefix{} && r.Family != 0 && r.Family&^(IPv4|IPv6) == 0
	}
	return r.Family == 0 && r.Prefix.Bits() > 0 && !r.Prefix.Addr().Is4In6() && r.Prefix == r.Prefix.Masked()
}

// matches reports whether the rule's addresses hold a, which is unmapped.
func (r Rule) matches(a netip.Addr) bool {
	if r.Prefix.IsValid() {
		return r.Prefix.Contains(a)
	}
	return r.Family&familyOf(a) != 0
}

// Allows reports whether the policy lets an exit connect to a. It unmaps a's
// address. Private is asked separately.
func (p Policy) Allows(a netip.AddrPort) bool {
	ip := a.Addr().Unmap().WithZone("")
	if !ip.IsValid() || a.Port() == 0 {
		return false
	}
	for _, r := range p.Rules {
		if r.Ports.Contains(a.Port()) && r.matches(ip) {
			return r.Accept
		}
	}
	return false
}

// RejectsAll reports whether the policy has no rule that accepts anything.
func (p Policy) RejectsAll() bool {
	return !slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Accept })
}

// Strings returns the rules in canonical form.
func (p Policy) Strings() []string {
	s := make([]string, len(p.Rules))
	for i, r := range p.Rules {
		s[i] = r.String()
	}
	return s
}
