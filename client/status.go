package client

import (
	"net/netip"
	"sync"
	"time"

	"tunic/client/path"
	"tunic/directory"
	"tunic/directory/keys"
)

// Status is what a client tells its user about itself. It holds no destination.
type Status struct {
	Phase     Phase            `json:"phase"`
	Percent   int              `json:"percent"`
	Problem   string           `json:"problem,omitempty"` // the last thing that stood in the way, while it does
	Network   string           `json:"network"`
	Consensus ConsensusStatus  `json:"consensus"`
	Guards    []GuardStatus    `json:"guards"`
	Draws     DrawStatus       `json:"draws"`
	Exposure  []ExposureStatus `json:"exposure,omitempty"` // the greatest ones, the greatest first
	Circuits  []CircuitStatus  `json:"circuits"`
	Links     []LinkStatus     `json:"links"`
	Waiting   int              `json:"waiting"` // requests without a circuit yet
	Read      uint64           `json:"read"`    // bytes of streams, from the network
	Written   uint64           `json:"written"` // and into it
}

// ConsensusStatus describes the consensus in use; all zero if there is none.
type ConsensusStatus struct {
	ValidAfter time.Time `json:"valid_after,omitzero"`
	FreshUntil time.Time `json:"fresh_until,omitzero"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
	Expired    bool      `json:"expired,omitempty"` // beyond ValidUntil, within the grace
	Relays     int       `json:"relays"`
	Relaxed    []string  `json:"relaxed,omitempty"` // rules that it relaxes
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
	Expires   time.Time    `json:"expires,omitzero"` // when another takes its place, at the earliest
	// Kept says that the relay would not be chosen as a guard today, and carries
	// circuits for some days more because it has until now.
	Kept       bool              `json:"kept,omitempty"`
	Quarantine *QuarantineStatus `json:"quarantine,omitempty"`
	Groups     GroupStatus       `json:"groups"`
}

// QuarantineStatus is why a relay is in quarantine.
type QuarantineStatus struct {
	Code  string    `json:"code"`
	Until time.Time `json:"until"`
}

// GroupStatus is what a relay has in common with others. No circuit has two
// relays of one family, inferred group, voucher or subnet, nor, in a network of
// full size, of one AS.
type GroupStatus struct {
	Families []string       `json:"families,omitempty"`
	Inferred string         `json:"inferred,omitempty"` // the group that it was found to behave as one with
	Voucher  string         `json:"voucher,omitempty"`  // the family that vouched for it
	Subnets  []netip.Prefix `json:"subnets,omitempty"`
	AS       uint32         `json:"as,omitempty"`
	Country  string         `json:"country,omitempty"`
	Cohort   string         `json:"cohort,omitempty"` // first day of the epoch in which it was first listed
}

// DrawStatus is how many guards were newly used, or passed over, and how many
// may be; a limit of 0 is none.
type DrawStatus struct {
	Day        int       `json:"day"`
	Month      int       `json:"month"`
	Year       int       `json:"year"`
	DayLimit   int       `json:"day_limit"`
	MonthLimit int       `json:"month_limit"`
	YearLimit  int       `json:"year_limit"`
	HeldUntil  time.Time `json:"held_until,omitzero"` // no circuit before, unless a known guard returns
}

// ExposureStatus is what one group of relays may see of this client in a year, if
// it is one hand: a bound on the probability that it has the guard and the exit of
// one circuit.
type ExposureStatus struct {
	By    string  `json:"by"` // cohort, country, as
	Name  string  `json:"name"`
	Guard float64 `json:"guard"` // its share of the guards
	Exit  float64 `json:"exit"`  // and of the exits
	Held  bool    `json:"held"`  // one of the client's guards is of the group
	Year  float64 `json:"year"`
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
	view, revision, held := c.describe(&s, time.Now())
	s.Exposure = c.exposed.of(view, revision, held)
	return s
}

// describe fills in what the lock guards, and returns what exposures follow from.
func (c *Client) describe(s *Status, now time.Time) (*path.View, uint64, []keys.RelayID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Waiting = len(c.pool.waiters)
	s.Consensus = c.consensusStatus(now)
	s.Draws = DrawStatus(c.guards.Budget(now))
	for _, g := range c.guards.List() {
		s.Guards = append(s.Guards, c.guardStatus(g))
	}
	for _, e := range c.pool.entries {
		s.Circuits = append(s.Circuits, e.describe(now))
	}
	return c.view, c.guards.Revision(), c.guards.Opened()
}

func (c *Client) consensusStatus(now time.Time) ConsensusStatus {
	if c.view == nil {
		return ConsensusStatus{NextFetch: c.nextFetch}
	}
	k := c.view.Consensus()
	return ConsensusStatus{ValidAfter: k.ValidAfter, FreshUntil: k.FreshUntil, ValidUntil: k.ValidUntil,
		Expired: !now.Before(k.ValidUntil), Relays: len(k.Relays), Relaxed: k.Relaxed, NextFetch: c.nextFetch}
}

func (c *Client) guardStatus(g path.GuardInfo) GuardStatus {
	s := GuardStatus{ID: g.ID, State: g.Reach.String(), Primary: g.Primary, Confirmed: !g.Confirmed.IsZero(), RetryAt: g.RetryAt,
		Expires: g.Expires, Kept: g.Listed && !g.Fit}
	if !g.Listed {
		s.State = "unlisted"
	}
	if c.view == nil {
		return s
	}
	r := c.view.Consensus().Relay(g.ID)
	if r == nil {
		return s
	}
	s.Nickname = r.Nickname
	if q := r.Quarantine; q.Code != "" {
		s.Quarantine = &QuarantineStatus{q.Code, q.Until}
	}
	s.Groups = groupsOf(r)
	s.Groups.Cohort = g.Cohort
	return s
}

// groupsOf names what a relay has in common with others.
func groupsOf(r *directory.Relay) GroupStatus {
	name := func(d directory.Digest) string {
		if d.IsZero() {
			return ""
		}
		return d.String()
	}
	s := GroupStatus{Inferred: name(r.Group), Voucher: name(r.Voucher), AS: r.AS, Country: r.Country}
	for _, f := range r.Family {
		s.Families = append(s.Families, f.String())
	}
	for _, a := range r.Addrs {
		s.Subnets = append(s.Subnets, directory.Subnet(a.Addr()))
	}
	return s
}

const (
	// yearlyCircuits is how many circuits a client is taken to use in a year: one
	// after the other, each for as long as it takes new streams.
	yearlyCircuits = int(365 * 24 * time.Hour / maxDirtiness)
	maxExposures   = 5 // our choice: listed
)

// exposed is what the greatest exposures are, worked out once for each state of
// the guards under one consensus: with many relays that takes a while.
type exposed struct {
	mu       sync.Mutex // guards what follows
	view     *path.View
	revision uint64
	list     []ExposureStatus
}

// of returns the greatest exposures of a client with these guards.
func (x *exposed) of(view *path.View, revision uint64, held []keys.RelayID) []ExposureStatus {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.view == view && x.revision == revision || view == nil {
		return x.list
	}
	x.view, x.revision, x.list = view, revision, nil
	for _, e := range view.Groups(yearlyCircuits, held) {
		if len(x.list) == maxExposures {
			break
		}
		x.list = append(x.list, ExposureStatus{By: e.By.String(), Name: e.Name, Guard: e.Guard, Exit: e.Exit, Held: e.Held, Year: e.Year})
	}
	return x.list
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
