package authority

import (
	"container/heap"
	"context"
	"net/netip"
	"slices"
	"time"

	"tunic/cell/link"
	"tunic/directory"
	"tunic/directory/keys"
)

const ( // our choice
	maxProbes = 32 // tests at once; 50,000 relays in 20 minutes take 42 a second, each well below one
	maxAsked  = 8  // tests at once that relays ask for: they delay none of the others
)

// tester makes a fresh link to a relay and closes it: link.Pool.Test.
type tester func(ctx context.Context, t link.Target) (time.Duration, error)

// probe is a test that is due.
type probe struct {
	id       keys.RelayID
	key      keys.LinkPublic
	addrs    []netip.AddrPort // each must answer
	versions []uint8
}

// run tests every address; all must answer with the relay's identity.
func (p *probe) run(ctx context.Context, test tester, limit time.Duration) bool {
	for _, addr := range p.addrs {
		ctx, cancel := context.WithTimeout(ctx, limit)
		_, err := test(ctx, link.Target{ID: p.id, Key: p.key, Addrs: []netip.AddrPort{addr}, Versions: p.versions})
		cancel()
		if err != nil {
			return false
		}
	}
	return len(p.addrs) > 0
}

// take returns the relay whose test has been due longest, and marks it as under
// test; or when the next is due, zero if none is.
func (g *registry) take(now time.Time, own []netip.AddrPort) (p *probe, next time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		return nil, time.Time{}
	}
	r := g.queue[0]
	if r.due.After(now) {
		return nil, r.due
	}
	g.queue.remove(r)
	r.testing = true
	return probeOf(r.descriptor, own), time.Time{}
}

// probeOf returns the test of a descriptor's relay by an authority with these
// addresses of its own.
func probeOf(d *directory.Descriptor, own []netip.AddrPort) *probe {
	return &probe{
		id: d.ID, key: keys.LinkPublic(d.Link.Subject),
		addrs: addrsToTest(d, own), versions: d.LinkVersions.List(),
	}
}

// addrsToTest returns the addresses of a descriptor at which an authority can
// judge it: IPv6 only where it has IPv6 itself.
func addrsToTest(d *directory.Descriptor, own []netip.AddrPort) []netip.AddrPort {
	has6 := slices.ContainsFunc(own, func(a netip.AddrPort) bool { return a.Addr().Is6() })
	return slices.DeleteFunc(slices.Clone(d.Addrs), func(a netip.AddrPort) bool { return a.Addr().Is6() && !has6 })
}

// tested notes a result and plans the next test. A result about an address that
// has changed in the meantime says nothing.
func (g *registry) tested(id keys.RelayID, ok bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.relays[id]
	if r == nil || !r.testing {
		return
	}
	r.testing = false
	if r.again {
		r.again = false
		g.testAt(r, now)
		return
	}
	if ok {
		r.past.reached(now, r.history.LastReached, now.Sub(r.history.LastReached) < g.cadence.window())
		r.history.reached(now)
	} else {
		r.past.missed(now)
		r.history.missed(now)
	}
	g.dirty[id] |= changedHistory
	g.testAt(r, g.cadence.next(&r.history, now, g.rng))
}

// testAt plans the next test of a relay.
func (g *registry) testAt(r *relay, at time.Time) {
	if r.testing {
		r.again = true
		return
	}
	r.due = at
	if r.place >= 0 {
		heap.Fix(&g.queue, r.place)
		return
	}
	heap.Push(&g.queue, r)
}

// probeQueue is a heap of relays by the time of their next test.
type probeQueue []*relay

func (q probeQueue) Len() int           { return len(q) }
func (q probeQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q probeQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is for package heap.
func (q *probeQueue) Push(x any) {
	r := x.(*relay)
	r.place = len(*q)
	*q = append(*q, r)
}

// Pop is for package heap.
func (q *probeQueue) Pop() any {
	last := len(*q) - 1
	r := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	r.place = -1
	return r
}

func (q *probeQueue) remove(r *relay) {
	if r.place >= 0 {
		heap.Remove(q, r.place)
	}
}
