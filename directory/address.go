package directory

import (
	"fmt"
	"net/netip"
	"slices"
)

// privatePrefixes are the ranges that are not of the public internet, or that
// translate to other addresses. Fixed by docs/protocol.md, "Private addresses".
var privatePrefixes = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' translators
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"), // measurements
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/8"),           // loopback, unspecified, IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"),   // translated IPv4 (NAT64)
	netip.MustParsePrefix("64:ff9b:1::/48"), // the same, local
	netip.MustParsePrefix("2001::/32"),      // Teredo: holds IPv4 addresses
	netip.MustParsePrefix("2002::/16"),      // 6to4: holds IPv4 addresses
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("ff00::/8"),
}

// Private reports whether a is an address that exits and clients refuse, and
// that no descriptor of a public network may name. It unmaps a; an invalid
// address is private.
func Private(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return true
	}
	for _, p := range privatePrefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// PrivatePrefixes returns the ranges that Private answers for, IPv4 first.
func PrivatePrefixes() []netip.Prefix { return slices.Clone(privatePrefixes[:]) }

// parseAddr reads an address with a port in its one form: no zone, no IPv4
// address written as IPv6, no port 0.
func parseAddr(s string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(s)
	var again [64]byte
	if err != nil || !validAddr(a) || string(a.AppendTo(again[:0])) != s {
		return netip.AddrPort{}, fmt.Errorf("%w: address", ErrMalformed) // err would echo it
	}
	return a, nil
}

// validAddr reports whether a can stand in a document: something to dial, in
// its plain form.
func validAddr(a netip.AddrPort) bool {
	ip := a.Addr()
	return a.IsValid() && a.Port() != 0 && ip.Zone() == "" && !ip.Is4In6() &&
		!ip.IsUnspecified() && !ip.IsMulticast()
}

// validRelayAddrs reports whether a relay can have these addresses: one of
// IPv4, so that every relay can reach every other, then at most one of IPv6.
func validRelayAddrs(addrs []netip.AddrPort) bool {
	switch {
	case len(addrs) < 1 || len(addrs) > 2:
		return false
	case !validAddr(addrs[0]) || !addrs[0].Addr().Is4():
		return false
	}
	return len(addrs) == 1 || validAddr(addrs[1]) && addrs[1].Addr().Is6()
}
