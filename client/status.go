package client

import (
	"net/netip"
	"time"

	"tunic/client/path"
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

// Status describes the client at this moment.
func (c *Client) Status() Status {
	phase, problem := c.status.now()
	s := Status{Phase: phase, Percent: phase.Percent(), Problem: problem, Network: c.netfile.Name,
		Read: c.read.Load(), Written: c.written.Load()}
	for _, l := range c.net.links() {
		s.Links = append(s.Links, LinkStatus{Peer: l.ID, Read: l.Read, Written: l.Written})
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Waiting = len(c.pool.waiters)
	s.Consensus = c.consensusStatus(now)
	for _, g := range c.guards.List() {
		s.Guards = append(s.Guards, c.guardStatus(g))
	}
	for _, e := range c.pool.entries {
		s.Circuits = append(s.Circuits, e.describe(now))
	}
	return s
}

func (c *Client) consensusStatus(now time.Time) ConsensusStatus {
	if c.view == nil {
		return ConsensusStatus{NextFetch: c.nextFetch}
	}
	k := c.view.Consensus()
	return ConsensusStatus{ValidAfter: k.ValidAfter, FreshUntil: k.FreshUntil, ValidUntil: k.ValidUntil,
		Expired: !now.Before(k.ValidUntil), Relays: len(k.Relays), NextFetch: c.nextFetch}
}

func (c *Client) guardStatus(g path.GuardInfo) GuardStatus {
	s := GuardStatus{ID: g.ID, State: g.Reach.String(), Primary: g.Primary, Confirmed: !g.Confirmed.IsZero(), RetryAt: g.RetryAt}
	if !g.Listed {
		s.State = "unlisted"
	}
	if c.view != nil {
		if r := c.view.Consensus().Relay(g.ID); r != nil {
			s.Nickname = r.Nickname
		}
	}
	return s
}

func (e *entry) describe(now time.Time) CircuitStatus {
	s := CircuitStatus{ID: e.id, Hops: e.hops(), Created: e.started, State: e.stage.String()}
	if e.stage != open {
		return s
	}
	s.Streams = e.circuit.Streams()
	switch {
	case !e.fresh(now):
		s.State = "closing"
	case e.claimed:
		s.State = "used"
	default:
		s.State = "clean"
	}
	return s
}

func (s stage) String() string { return [...]string{"building", "waiting", "open", "gone"}[s] }
