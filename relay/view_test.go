package relay

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell/work"
	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/mirror"
)

// changing is a source that a test sets.
type changing struct {
	b atomic.Pointer[directory.Bundle]
}

func (c *changing) Current() *directory.Bundle { return c.b.Load() }

func TestView(t *testing.T) {
	nw := directorytest.New(3)
	src := new(changing)
	v := &viewer{network: nw.Network, byAddr: addressClasses(nw.Network, nil)}
	var s mirror.Source = src
	v.source.Store(&s)
	relays := nw.Relays(5)
	gone := relays[2]
	now := directorytest.Epoch.Add(time.Minute)

	if v.relay(gone.ID, now) != nil {
		t.Error("a relay is known without a consensus")
	}
	if _, ok := v.target(gone.ID, now); ok {
		t.Error("a target without a consensus")
	}
	if got, ok := v.target(nw.Authorities[1].ID, now); !ok || got.Key != nw.Authorities[1].LinkKey {
		t.Error("no target for an authority")
	}
	if c := v.classifyAddr(nw.Authorities[1].Addrs[0].Addr()); c != work.Authority {
		t.Errorf("an authority's address is a %v's", c)
	}

	first, h := nw.Sign(t, nw.Consensus(0, relays), nil)
	src.b.Store(first)
	if got, ok := v.target(gone.ID, now); !ok || got.Key != gone.LinkKey || got.Addrs[0] != gone.Addrs[0] || len(got.Versions) != 1 {
		t.Errorf("target %+v, %v", got, ok)
	}
	if c := v.classifyAddr(netip.MustParseAddr("::ffff:" + gone.Addrs[0].Addr().String())); c != work.Relay {
		t.Errorf("a relay's address is a %v's", c)
	}
	if c := v.classifyAddr(netip.MustParseAddr("203.0.113.1")); c != work.Stranger {
		t.Errorf("a stranger's address is a %v's", c)
	}

	// Left out of the next, it is known until the first expires.
	rest := append(append([]directory.Relay(nil), relays[:2]...), relays[3:]...)
	for i := range int64(4) {
		next, n := nw.Sign(t, nw.Consensus(i+1, rest), h)
		src.b.Store(next)
		h = n
		now = next.Consensus.ValidAfter.Add(time.Minute)
		if known := v.relay(gone.ID, now) != nil; known != now.Before(first.Consensus.ValidUntil) {
			t.Errorf("after %d rounds without it: known %v", i+1, known)
		}
		if v.relay(relays[0].ID, now) == nil {
			t.Errorf("after %d rounds: one that is listed is not known", i+1)
		}
	}
	if n := len(v.former); n != 0 {
		t.Errorf("%d relays remembered that nobody uses", n)
	}
	if c := v.classifyAddr(gone.Addrs[0].Addr()); c != work.Stranger {
		t.Errorf("the address of one left out is a %v's", c)
	}
	// A consensus that is too old to use is none.
	if v.relay(relays[0].ID, now.Add(100*time.Hour)) != nil {
		t.Error("known from a consensus that has expired")
	}
}
