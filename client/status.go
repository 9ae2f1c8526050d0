package client

import (
	"net/netip"
	"time"

	"tunic/directory/keys"
)

// Status is what a client tells its user about itself. It holds no destination.
type Status struct {
	Phase     Phase           `json:"phase"`
	Percent   int             `json:"percent"`
	Problem   string          `json:"problem,omitempty"` // the last thing that stood in the way, while it does
	Network   string          `json:"network"`
	Consensus ConsensusStatus `json:"consensus"`
	Guards    []GuardStatus   `json:"guards"`
	Circuits  []CircuitStatus `json:"circuits"`
	Links     []LinkStatus    `json:"links"`
	Waiting   int             `json:"waiting"` // requests without a circuit yet
	Read      uint64          `json:"read"`    // bytes of streams, from the network
	Written   uint64          `json:"written"` // and into it
}

// ConsensusStatus describes the consensus in use; all zero if there is none.
type ConsensusStatus struct {
	ValidAfter time.Time `json:"valid_after,omitzero"`
	FreshUntil time.Time `json:"fresh_until,omitzero"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
	Expired    bool      `json:"expired,omitempty"` // beyond ValidUntil, within the grace
	Relays     int       `json:"relays"`
	NextFetch  time.Time `json:"next_fetch,omitzero"`
}

// GuardStatus describes one guard, in the order of preference.
type GuardStatus struct {
	ID        keys.RelayID `json:"id"`
	Nickname  string       `json:"nickname,omitempty"`
	State     string       `json:"state"` // untried, reachable, unreachable, unlisted
	Primary   bool         `json:"primary"`
	Confirmed bool         `json:"confirmed"` // has carried traffic
	RetryAt   time.Time    `json:"retry_at,omitzero"`
}

// CircuitStatus describes one circuit.
type CircuitStatus struct {
	ID      uint64    `json:"id"`
	State   string    `json:"state"` // building, waiting, clean, used, closing
	Hops    []Hop     `json:"hops"`
	Created time.Time `json:"created"`
	Streams int       `json:"streams"`
}

// A Hop is one relay of a circuit, as the consensus knows it.
type Hop struct {
	ID       keys.RelayID     `json:"id"`
	Nickname string           `json:"nickname"`
	Addrs    []netip.AddrPort `json:"addrs"`
}

// LinkStatus describes one link.
type LinkStatus struct {
	Peer    keys.RelayID `json:"peer"`
	Read    uint64       `json:"read"` // bytes
	Written uint64       `json:"written"`
}
