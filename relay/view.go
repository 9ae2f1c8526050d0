package relay

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell/link"
	"tunic/cell/work"
	"tunic/circuit"
	"tunic/circuit/congestion"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

// A viewer is what the relay knows of the network: the network file, and the
// newest consensus of its source. A relay that the newest one leaves out is known
// until the one that listed it last expires: clients may go on with that.
type viewer struct {
	network *directory.Network
	source  atomic.Pointer[mirror.Source]
	seen    atomic.Pointer[directory.Bundle] // that the rest is made from
	turned  func()                           // told when seen has changed; nil: nobody; fixed

	mu     sync.Mutex // guards what follows
	byAddr map[netip.Addr]work.Class
	former map[keys.RelayID]former
}

// A former is a relay that the newest consensus does not list.
type former struct {
	directory.Relay
	until time.Time // valid-until of the last consensus that listed it
}

// current returns the newest consensus, nil if there is none.
func (v *viewer) current() *directory.Bundle {
	b := (*v.source.Load()).Current()
	if v.seen.Load() != b && v.turn(b) && v.turned != nil {
		v.turned()
	}
	return b
}

// turn takes up b as the newest consensus, and reports whether it was not yet.
func (v *viewer) turn(b *directory.Bundle) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.seen.Load()
	if old == b {
		return false
	}
	v.byAddr = addressClasses(v.network, b)
	v.former = leftOut(v.former, old, b)
	v.seen.Store(b)
	return true
}

// leftOut returns who was listed by old, or before, and is not by b.
func leftOut(before map[keys.RelayID]former, old, b *directory.Bundle) map[keys.RelayID]former {
	out := make(map[keys.RelayID]former)
	if b == nil {
		return out
	}
	for id, f := range before {
		if f.until.After(b.Consensus.ValidAfter) && b.Consensus.Relay(id) == nil {
			out[id] = f
		}
	}
	if old == nil {
		return out
	}
	for i := range old.Consensus.Relays {
		if r := &old.Consensus.Relays[i]; b.Consensus.Relay(r.ID) == nil && old.Consensus.ValidUntil.After(b.Consensus.ValidAfter) {
			out[r.ID] = former{*r, old.Consensus.ValidUntil}
		}
	}
	return out
}

// circuitParams returns the parameters of circuits that begin now: the consensus', or
// the default while there is none.
func (r *Relay) circuitParams() circuit.Params {
	p := r.params
	if b := r.view.current(); b != nil {
		p.Congestion = congestion.FromConsensus(b.Consensus.Param)
	}
	return p
}

// usable returns the newest consensus if it is still to be believed, else nil.
func (v *viewer) usable(now time.Time) *directory.Consensus {
	b := v.current()
	if b == nil {
		return nil
	}
	if _, err := b.Consensus.Usable(v.network, now); err != nil {
		return nil
	}
	return b.Consensus
}

// relay returns what the network knows of id, nil if nothing.
func (v *viewer) relay(id keys.RelayID, now time.Time) *directory.Relay {
	c := v.usable(now)
	if c == nil {
		return nil
	}
	if r := c.Relay(id); r != nil {
		return r
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if f, ok := v.former[id]; ok && now.Before(f.until) {
		return &f.Relay
	}
	return nil
}

// classify says which share of the relay's resources a proven peer may use.
func (v *viewer) classify(id keys.RelayID) work.Class {
	switch {
	case v.network.Authority(id) != nil:
		return work.Authority
	case v.relay(id, time.Now()) != nil:
		return work.Relay
	}
	return work.Stranger
}

// reclassify has links counted by what their peers are in the newest consensus. It
// is called on any goroutine, maybe a link's reader, so that it starts one.
func (r *Relay) reclassify() { r.spawn(r.pool.Reclassify) }

// classOf says what the peer of l is by the newest consensus; the link itself knows
// what it was when the link was made.
func (r *Relay) classOf(l *link.Link) work.Class {
	id, _, proven := l.Peer()
	if !proven {
		return work.Stranger
	}
	return r.view.classify(id)
}

// classifyAddr guesses a peer's class before it has proven anything, so that a
// flood from elsewhere does not fill what relays and authorities need.
func (v *viewer) classifyAddr(a netip.Addr) work.Class {
	v.current()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.byAddr[a.Unmap()]
}

func addressClasses(n *directory.Network, b *directory.Bundle) map[netip.Addr]work.Class {
	m := make(map[netip.Addr]work.Class)
	if b != nil {
		for i := range b.Consensus.Relays {
			for _, a := range b.Consensus.Relays[i].Addrs {
				m[a.Addr().Unmap()] = work.Relay
			}
		}
	}
	for _, auth := range n.Authorities {
		for _, a := range auth.Addrs {
			m[a.Addr().Unmap()] = work.Authority
		}
	}
	return m
}

// target returns how to reach id, from the consensus or the network file and
// nothing else: who asks for an EXTEND names an identity and chooses no address.
func (v *viewer) target(id keys.RelayID, now time.Time) (link.Target, bool) {
	if r := v.relay(id, now); r != nil {
		return link.Target{ID: r.ID, Key: r.LinkKey, Addrs: r.Addrs, Versions: r.LinkVersions.List()}, true
	}
	if a := v.network.Authority(id); a != nil {
		return authorityTarget(a), true
	}
	return link.Target{}, false
}

func authorityTarget(a *directory.Authority) link.Target {
	return link.Target{ID: a.ID, Key: a.LinkKey, Addrs: a.Addrs}
}
