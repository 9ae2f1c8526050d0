package directory

import (
	"net/netip"
	"time"

	"tunic/directory/keys"
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
	FirstListed  time.Time   // the day of its first consensus
}

// SameFamily reports whether two relays share a family, or are one.
func (r *Relay) SameFamily(o *Relay) bool { panic("unwritten") }

// SameSubnet reports whether two relays share an IPv4 /16 or an IPv6 /32.
func (r *Relay) SameSubnet(o *Relay) bool { panic("unwritten") }
