package directory

import (
	"time"

	"tunic/directory/keys"
)

// A Vote is one authority's view of the network for one period.
type Vote struct {
	Network    Digest
	Author     keys.RelayID
	Signing    keys.Certificate // the author's identity's, for the key that signs the vote
	ValidAfter time.Time        // the period voted for
	Published  time.Time
	Methods    Versions // consensus methods that the author supports
	Known      Flags    // flags that the author votes on at all
	Params     []Param
	Previous   *History // the newest majority-signed checkpoint that the author holds, nil if none
	Entries    []VoteEntry

	digest Digest
}

// A VoteEntry is what one authority says of one relay.
type VoteEntry struct {
	Relay                // Weight is the weight claimed, FirstListed when this authority first listed it
	Published  time.Time // of the descriptor
	Descriptor Digest
	Unknown    Flags  // flags on which the author has no opinion for this relay
	Measured   uint64 // kB/s, 0 if not measured
}

// A Param is a consensus parameter.
type Param struct {
	Name  string
	Value int64
}

// Sign returns the vote as a document, signed with the key that v.Signing certifies.
func (v *Vote) Sign(k *keys.SigningKey) ([]byte, error) { panic("unwritten") }

// ParseVote verifies and reads a vote of network n.
func ParseVote(b []byte, n *Network) (*Vote, error) { panic("unwritten") }

// Digest returns the digest of the document that v was parsed from.
func (v *Vote) Digest() Digest { return v.digest }

// Facts returns the lines of the entry that come from the relay's descriptor
// alone, digest and time of publication among them: equal in the votes of all
// honest authorities that hold the same descriptor. A tally counts them as one.
func (e *VoteEntry) Facts() string { panic("unwritten") }
