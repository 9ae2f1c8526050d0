package directory

import (
	"net/netip"
	"time"

	"tunic/directory/keys"
)

// A Network is what the network file says: all that a new user needs to be
// handed. It is not changed after ParseNetwork.
type Network struct {
	Name             string
	PrivateAddresses bool // a test network: private addresses are allowed everywhere
	SameSubnet       bool // relays of one /16 or /32 may share a circuit
	Timing           Timing
	Authorities      []Authority
	Fallbacks        []Fallback
}

// An Authority of the network.
type Authority struct {
	Name    string
	ID      keys.RelayID
	LinkKey keys.LinkPublic
	NoteKey keys.NotePublic // zero: only a certificate names it
	Addrs   []netip.AddrPort
}

// A Fallback is a mirror to start from.
type Fallback struct {
	ID      keys.RelayID
	LinkKey keys.LinkPublic
	Addrs   []netip.AddrPort
}

// ParseNetwork reads a network file.
func ParseNetwork(b []byte) (*Network, error) { panic("unwritten") }

// Encode returns the network file, with comments for its reader.
func (n *Network) Encode() ([]byte, error) { panic("unwritten") }

// Digest is what binds handshakes and documents to the network: of its name and
// its authorities' identities, in the order of the file. Link keys, addresses
// and timing may change without making it another network.
func (n *Network) Digest() Digest { panic("unwritten") }

// Authority returns the authority with that identity, nil if there is none.
func (n *Network) Authority(id keys.RelayID) *Authority { panic("unwritten") }

// Majority is the least number of authorities that is more than half.
func (n *Network) Majority() int { return len(n.Authorities)/2 + 1 }

// VoteRounds is f+1 for f = ⌊(n-1)/2⌋ authorities that may lie.
func (n *Network) VoteRounds() int { return (len(n.Authorities)-1)/2 + 1 }

// Round returns the i-th round of the timeline, from 0.
func (n *Network) Round(i int64) Round { panic("unwritten") }

// RoundAt returns the round whose consensus is fresh at now: the last with
// ValidAfter not after now. There is none before Start.
func (n *Network) RoundAt(now time.Time) (Round, bool) { panic("unwritten") }

// NextRound returns the first round whose ValidAfter is after now.
func (n *Network) NextRound(now time.Time) Round { panic("unwritten") }

// NextVote returns the first round whose votes leave at or after now: the next
// that an authority that starts at now can take part in from its beginning.
func (n *Network) NextVote(now time.Time) Round { panic("unwritten") }

// RoundOf returns the round that begins at exactly validAfter.
func (n *Network) RoundOf(validAfter time.Time) (Round, bool) { panic("unwritten") }
