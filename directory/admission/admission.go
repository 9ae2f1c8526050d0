// Package admission decides, as pure functions over what votes say, which
// relays a network takes: how many of one address, range and provider, how old
// a relay counts as, and whom vouchers let in sooner. Packages below it find
// groups ([tunic/directory/admission/detect]) and share out the weights
// ([tunic/directory/admission/weigh]). It knows no clock, no disk and no
// network, so that authorities, auditors and the simulator run the same code.
//
// Specification: docs/protocol.md, "Limits of admission", "Ages", "Vouchers".
package admission

import (
	"net/netip"

	"tunic/directory"
	"tunic/directory/keys"
)

// A Relay is what admission and weights go by: what a vote or a tally says of
// one relay.
type Relay struct {
	ID          keys.RelayID
	Addrs       []netip.Addr
	AS          uint32             // 0: not known
	Country     string             // two capital letters, "": not known
	Family      []directory.Digest // families that it proved, ascending
	Group       directory.Digest   // the family that was inferred for it, zero: none
	Voucher     directory.Digest   // the family that vouched for it, zero: none
	First       int                // day on which it was first listed, counted from 1970
	Age         int                // days that it was listed and running
	Flags       directory.Flags
	Exits       bool   // its policy allows some port, whatever its flags
	Weight      uint64 // kB/s
	Quarantined bool
}
