package relay

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit"
	"tunic/directory/keys"
)

// A Peer is a neighbour of this relay in circuits of clients: what anyone who
// runs a relay can see. It is shown only to an operator who asked for addresses.
type Peer struct {
	ID       keys.RelayID   `json:"id"` // zero if nothing was proven
	Proven   bool           `json:"proven"`
	Dialled  bool           `json:"dialled"` // this relay opened the link
	Address  netip.AddrPort `json:"address"`
	Circuits int            `json:"circuits"`
}

// peers returns the neighbours that circuits come from and go to.
func (s *hops) peers() []Peer {
	circuits := map[*link.Link]int{}
	s.mu.Lock()
	all := make([]*circuit.Hop, 0, len(s.all))
	for h := range s.all {
		if h.Kind() == circuit.KindTransit {
			all = append(all, h)
		}
	}
	s.mu.Unlock()
	for _, h := range all {
		circuits[h.Link()]++
		if next := h.Next(); next != nil {
			circuits[next]++
		}
	}
	var peers []Peer
	for l, n := range circuits {
		id, _, proven := l.Peer()
		peers = append(peers, Peer{ID: id, Proven: proven, Dialled: l.Dialled(), Address: l.RemoteAddr(), Circuits: n})
	}
	slices.SortFunc(peers, func(a, b Peer) int { return a.Address.Compare(b.Address) })
	return peers
}

// destination is what is remembered of a stream's request: nothing, unless the
// operator asked for addresses.
func (r *Relay) destination(req cell.BeginRequest) string {
	if !r.cfg.ShowAddresses {
		return ""
	}
	return net.JoinHostPort(req.Host, strconv.Itoa(int(req.Port)))
}

// destinations returns those of the open streams.
func (t *streams) destinations() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for _, o := range t.all {
		all = append(all, o.destination)
	}
	slices.Sort(all)
	return all
}
