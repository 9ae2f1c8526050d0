package directory

import (
	"time"

	"tunic/directory/keys"
)

// A Consensus is what the authorities agreed on for one period. It is not
// changed once made.
type Consensus struct {
	Method     uint8
	Network    string // the network's name
	NetworkID  Digest
	ValidAfter time.Time
	FreshUntil time.Time
	ValidUntil time.Time
	Previous   Digest // of the consensus before it, zero if none
	Votes      []VoteRef
	Params     []Param
	Weights    PositionWeights
	Relays     []Relay // ascending by ID
}

// A VoteRef names a vote that the consensus was computed from.
type VoteRef struct {
	Author keys.RelayID
	Digest Digest
}

// Encode returns the consensus as a document.
func (c *Consensus) Encode() ([]byte, error) { panic("unwritten") }

// ParseConsensus reads a consensus. It is not signed by itself: OpenBundle
// verifies before it parses.
func ParseConsensus(b []byte) (*Consensus, error) { panic("unwritten") }

// Relay returns the entry of the relay with that identity, nil if there is none.
func (c *Consensus) Relay(id keys.RelayID) *Relay { panic("unwritten") }

// Param returns the value of a parameter, or def when the consensus has none,
// brought into min…max.
func (c *Consensus) Param(name string, def, min, max int64) int64 { panic("unwritten") }

// Usable reports whether a client may use the consensus at now. warn: it has
// expired, but within the grace of 24 further periods.
func (c *Consensus) Usable(n *Network, now time.Time) (warn bool, err error) { panic("unwritten") }
