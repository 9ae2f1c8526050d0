package relay

import (
	"net/netip"
	"time"

	"tunic/cell/link"
	"tunic/directory/keys"
)

// Status is what an operator may see of a relay. It names a client or a
// destination only under [Config.ShowAddresses].
type Status struct {
	ID        keys.RelayID     `json:"id"`
	Nickname  string           `json:"nickname"`
	Started   time.Time        `json:"started"`
	Listen    []netip.AddrPort `json:"listen"`
	Addresses []netip.AddrPort `json:"addresses"` // published, or to be
	// Reachable says what the last test of a link from outside showed; see
	// Problem for what to do.
	Reachable bool      `json:"reachable"`
	Problem   string    `json:"problem,omitempty"`  // why the relay is not published, in words for the operator
	Published time.Time `json:"published,omitzero"` // of the newest descriptor that an authority took; zero: none
	Accepted  int       `json:"accepted"`           // authorities that took it

	Consensus time.Time `json:"consensus,omitzero"` // valid-after of the newest one; zero: none
	Listed    bool      `json:"listed"`             // the relay is in it
	// Twin says that it is there at another address than this process published:
	// another one seems to run with the same keys.
	Twin   bool   `json:"twin,omitempty"`
	Flags  string `json:"flags"`
	Weight uint64 `json:"weight"` // kB/s

	Links        []link.LinkInfo   `json:"links"`
	MaxLinks     int               `json:"max_links"`
	Circuits     int               `json:"circuits"`
	Streams      int               `json:"streams"` // open at this exit
	MaxStreams   int               `json:"max_streams"`
	DirStreams   int               `json:"directory_streams"`
	Read         uint64            `json:"read"` // bytes of links since the start
	Written      uint64            `json:"written"`
	Rate         int64             `json:"rate"` // bytes/s; 0: no limit
	Burst        int64             `json:"burst"`
	Observed     uint64            `json:"observed"`               // bytes/s, as the descriptor says
	Handshakes   uint64            `json:"handshakes"`             // of hops, answered
	Refused      map[string]uint64 `json:"refused"`                // what was refused, by cause
	Peers        []Peer            `json:"peers,omitempty"`        // neighbours in circuits; only with ShowAddresses
	Destinations []string          `json:"destinations,omitempty"` // of open streams; only with ShowAddresses

	ExitReasons map[string]uint64 `json:"exit_reasons"` // how streams of this exit began, by END reason; "connected" for success
}

// Status returns the relay's present state.
func (r *Relay) Status() Status {
	now := time.Now()
	b := r.bandwidth.Load()
	s := Status{
		ID: r.id, Nickname: r.cfg.Nickname, Started: r.started, Listen: r.listening(),
		Links: r.pool.Links(), MaxLinks: r.pool.MaxLinks(), Circuits: r.hops.len(),
		Streams: r.streams.len(), MaxStreams: r.streams.limit(), DirStreams: r.dirs.Streams(),
		Read: r.read.gauge.Total(), Written: r.write.gauge.Total(),
		Rate: b.rate, Burst: b.burst, Observed: observed(r.read, r.write, now),
		Handshakes: r.counts.handshakes.Load(), Refused: r.counts.refusals(), ExitReasons: make(map[string]uint64),
	}
	if n := r.pool.Stats().Malformed; n > 0 {
		s.Refused[linkProtocol] = n
	}
	if r.cfg.ShowAddresses {
		s.Peers, s.Destinations = r.hops.peers(), r.streams.destinations()
	}
	s.Addresses, s.Reachable, s.Problem, s.Published, s.Accepted = r.publish.stand()
	s.Twin = r.publish.hasTwin()
	if c := r.consensus(); c != nil {
		s.Consensus = c.ValidAfter
		if e := c.Relay(r.id); e != nil {
			s.Listed, s.Flags, s.Weight = true, e.Flags.String(), e.Weight
		}
	}
	if r.exit != nil {
		for reason, n := range r.exit.Counts() {
			name := "connected"
			if reason != 0 {
				name = reason.String()
			}
			s.ExitReasons[name] = n
		}
	}
	return s
}
