package exit

import (
	"net/netip"
	"slices"
	"time"

	"tunic/directory"
)

// Allows reports whether this exit connects to d: the policy accepts it, and d
// is neither a private or special address nor one of this machine. Those are
// allowed where the network has private_addresses, or where the rule that
// accepts them names them: its prefix lies within the special range, or, for
// an address of this machine, is that address alone. A wildcard names nothing.
func (e *Exit) Allows(d netip.AddrPort) bool {
	d = netip.AddrPortFrom(d.Addr().Unmap(), d.Port())
	if !d.IsValid() || d.Port() == 0 || d.Addr().Zone() != "" {
		return false
	}
	p := e.policy.Load()
	rule, ok := decides(p, d)
	if !ok || !rule.Accept {
		return false
	}
	return e.config.Private || !e.guarded(d.Addr()) || e.names(rule, d.Addr())
}

// guarded reports whether a wildcard does not open a.
func (e *Exit) guarded(a netip.Addr) bool {
	return directory.Private(a) || e.own.has(a, time.Now())
}

// names reports whether an operator who wrote rule meant the guarded address a.
func (e *Exit) names(rule directory.Rule, a netip.Addr) bool {
	if !rule.Prefix.IsValid() || !rule.Prefix.Contains(a) {
		return false
	}
	if rule.Prefix.IsSingleIP() {
		return true
	}
	if e.own.has(a, time.Now()) {
		return false
	}
	return slices.ContainsFunc(directory.PrivatePrefixes(), func(p netip.Prefix) bool {
		return p.Bits() <= rule.Prefix.Bits() && p.Contains(rule.Prefix.Addr())
	})
}

// decides returns the first rule that matches d.
func decides(p *directory.Policy, d netip.AddrPort) (directory.Rule, bool) {
	for _, r := range p.Rules {
		if d.Port() < r.Ports.First || d.Port() > r.Ports.Last {
			continue
		}
		if r.Prefix.IsValid() && r.Prefix.Contains(d.Addr()) || !r.Prefix.IsValid() && r.Family&familyOf(d.Addr()) != 0 {
			return r, true
		}
	}
	return directory.Rule{}, false
}

func familyOf(a netip.Addr) directory.Family {
	if a.Is4() {
		return directory.IPv4
	}
	return directory.IPv6
}

// mayReach reports whether the policy accepts a port at any address of a family:
// a name need not be looked up where it does not.
func (e *Exit) mayReach(port uint16, family directory.Family) bool {
	for _, r := range e.policy.Load().Rules {
		if port < r.Ports.First || port > r.Ports.Last {
			continue
		}
		whole := !r.Prefix.IsValid() && r.Family&family != 0
		part := r.Prefix.IsValid() && familyOf(r.Prefix.Addr()) == family
		if r.Accept && (whole || part) {
			return true
		}
		if !r.Accept && whole {
			return false
		}
	}
	return false
}

// mayResolve reports whether a RESOLVED message may speak of a: guarded
// addresses only where the network has private_addresses or a rule names them.
func (e *Exit) mayResolve(a netip.Addr) bool {
	if e.config.Private || !e.guarded(a) {
		return true
	}
	return slices.ContainsFunc(e.policy.Load().Rules, func(r directory.Rule) bool {
		return r.Accept && e.names(r, a)
	})
}
