package directory

import (
	"net/netip"
	"slices"
	"time"

	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Relays in votes and consensus"
	// MaxRelays is the most relays of a vote or consensus.
	MaxRelays = 50_000
	// MaxNickname is the longest nickname.
	MaxNickname = 19
	// MaxWeight is the greatest weight, kB/s.
	MaxWeight = 1_000_000_000
	// MaxFamilies is the most families of a relay.
	MaxFamilies = 8
)

// A Relay is what the consensus says about one relay: all that choosing a path
// and extending a circuit need.
type Relay struct {
	ID           keys.RelayID
	Nickname     string
	Addrs        []netip.AddrPort // one IPv4 address, then at most one IPv6
	LinkKey      keys.LinkPublic
	CircuitKey   keys.CircuitPublic
	LinkVersions Versions // handshake versions of links that it answers
	HopVersions  Versions // of hop handshakes
	Flags        Flags
	Weight       uint64      // kB/s
	Ports        PortSummary // what it connects to as an exit, IPv4
	Ports6       PortSummary // and IPv6
	Family       []Digest    // families that it proved to belong to, ascending
	FirstListed  time.Time   // the day on which it was first listed, zero if not known
	Age          int         // days that it was listed and running
	AS           uint32      // number of the autonomous system of its first address, 0 if not known
	Country      string      // of its first address, two capital letters, "" if not known
	Group        Digest      // the family that was inferred for it, zero if none
	Voucher      Digest      // the family that vouched for it, zero if none
	Quarantine   Quarantine  // zero if it is in none
	Shares       Shares      // what it counts in each position; in a consensus only
}

// SameFamily reports whether two relays share a family, or are one.
func (r *Relay) SameFamily(o *Relay) bool {
	if r.ID == o.ID {
		return true
	}
	for _, f := range r.Family {
		if slices.Contains(o.Family, f) {
			return true
		}
	}
	return false
}

// SameSubnet reports whether two relays share an IPv4 /16 or an IPv6 /32.
func (r *Relay) SameSubnet(o *Relay) bool {
	for _, a := range r.Addrs {
		for _, b := range o.Addrs {
			if Subnet(a.Addr()) == Subnet(b.Addr()) {
				return true
			}
		}
	}
	return false
}

// Subnet returns the range whose relays never share a circuit: the IPv4 /16 or
// the IPv6 /32 that a, which it unmaps, lies in.
func Subnet(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is4() {
		bits = 16
	}
	p, _ := a.Prefix(bits) // the invalid address has the invalid prefix
	return p
}

// encodeFacts appends the lines that a relay's descriptor alone determines.
func (r *Relay) encodeFacts(w *writer) {
	if !isName(r.Nickname, MaxNickname, "") {
		w.fail("nickname")
	}
	if !validRelayAddrs(r.Addrs) {
		w.fail("addresses")
	}
	for _, a := range r.Addrs {
		w.keyword("address").address(a).end()
	}
	w.keyword("keys").binary(r.LinkKey[:]).binary(r.CircuitKey[:]).end()
	w.keyword("versions").versions(r.LinkVersions).versions(r.HopVersions).end()
	w.ports("ports", r.Ports)
	w.ports("ports6", r.Ports6)
	if len(r.Family) > 0 {
		if len(r.Family) > MaxFamilies || !strictly(r.Family, compareDigest) {
			w.fail("family")
		}
		w.keyword("family")
		for _, f := range r.Family {
			w.binary(f[:])
		}
		w.end()
	}
}

// readFacts reads what encodeFacts writes.
func (r *Relay) readFacts(in *reader) {
	r.Addrs = in.addresses()
	link, circuit := in.two(in.take("keys"), "keys")
	in.binary(r.LinkKey[:], link, "keys")
	in.binary(r.CircuitKey[:], circuit, "keys")
	link, circuit = in.two(in.take("versions"), "versions")
	r.LinkVersions, r.HopVersions = in.versions(link), in.versions(circuit)
	r.Ports, r.Ports6 = in.ports("ports"), in.ports("ports6")
	if in.at("family") {
		r.Family = in.families(in.take("family"))
	}
}

// readHead reads the first line of an entry.
func (r *Relay) readHead(in *reader) {
	id, nickname := in.two(in.take("relay"), "relay")
	in.binary(r.ID[:], id, "relay")
	if !isName(nickname, MaxNickname, "") {
		in.fail("nickname")
	}
	r.Nickname = cloned(nickname)
}

// encodeHead writes the first line of an entry.
func (r *Relay) encodeHead(w *writer) {
	w.keyword("relay").binary(r.ID[:]).text(r.Nickname).end()
}
