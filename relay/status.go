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
	ID        keys.RelayID
	Nickname  string
	Started   time.Time
	Listen    []netip.AddrPort
	Addresses []netip.AddrPort // published, or to be
	// Reachable says what the last test of a link from outside showed; see
	// Problem for what to do.
	Reachable bool
	Problem   string    // "" if none: why the relay is not published, in words for the operator
	Published time.Time // of the newest descriptor that an authority took; zero: none
	Accepted  int       // authorities that took it

	Consensus time.Time // valid-after of the newest one; zero: none
	Listed    bool      // the relay is in it
	Flags     string
	Weight    uint64 // kB/s

	Links        []link.LinkInfo
	Circuits     int
	Streams      int // open at this exit
	DirStreams   int
	Read         uint64 // bytes of links since the start
	Written      uint64
	Rate, Burst  int64             // bytes/s and bytes; 0: no limit
	Observed     uint64            // bytes/s, as the descriptor says
	Handshakes   uint64            // of hops, answered
	Refused      map[string]uint64 // what was refused, by cause
	Peers        []Peer            // neighbours in circuits; only with ShowAddresses
	Destinations []string          // of open streams; only with ShowAddresses

	ExitReasons map[string]uint64 // how streams of this exit began, by END reason; "connected" for success
}

// Status returns the relay's present state.
func (r *Relay) Status() Status {
	now := time.Now()
	b := r.bandwidth.Load()
	s := Status{
		ID: r.id, Nickname: r.cfg.Nickname, Started: r.started, Listen: r.listening(),
		Links: r.pool.Links(), Circuits: r.hops.len(), Streams: r.streams.len(), DirStreams: r.dirs.Streams(),
		Read: r.read.total.Load(), Written: r.write.total.Load(),
		Rate: b.rate, Burst: b.burst, Observed: observed(r.read, r.write, now),
		Handshakes: r.counts.handshakes.Load(), Refused: r.counts.refusals(), ExitReasons: make(map[string]uint64),
	}
	if r.cfg.ShowAddresses {
		s.Peers, s.Destinations = r.hops.peers(), r.streams.destinations()
	}
	s.Addresses, s.Reachable, s.Problem, s.Published, s.Accepted = r.publish.stand()
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
