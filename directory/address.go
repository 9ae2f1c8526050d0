package directory

import "net/netip"

// Private reports whether a is an address that exits and clients refuse: not of
// the public internet, or a translated form of another address. It unmaps a.
func Private(a netip.Addr) bool { panic("unwritten") }

// PrivatePrefixes returns the ranges that Private answers for, IPv4 first.
func PrivatePrefixes() []netip.Prefix { panic("unwritten") }
