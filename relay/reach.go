package relay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"tunic/cell/link"
	"tunic/directory"
	"tunic/directory/keys"
)

const ( // our choice
	testTimeout = 10 * time.Second // one link to ourselves
	seenTimeout = 10 * time.Second // asking all authorities for our address
	// retestAfter is how long a test of an address holds while nothing changes:
	// authorities test more often and tell by listing the relay or not.
	retestAfter = 12 * time.Hour
)

// tested is what is known of an address.
type tested struct {
	at time.Time
	ok bool
}

// reach returns the addresses at which a link from outside reaches this relay.
// It tries until there is one for IPv4, and returns false when ctx ends.
func (r *Relay) reach(ctx context.Context) ([]netip.AddrPort, bool) {
	var pause *backoff
	for {
		addrs, err := r.tryReach(ctx)
		if ctx.Err() != nil {
			return nil, false
		}
		if err == nil {
			r.publish.mu.Lock()
			r.publish.addrs = addrs
			r.publish.mu.Unlock()
			r.trouble("")
			return addrs, true
		}
		r.trouble(err.Error())
		if pause == nil {
			pause = r.retries(time.Now())
		}
		if !sleep(ctx, pause.next()) {
			return nil, false
		}
	}
}

func (r *Relay) tryReach(ctx context.Context) ([]netip.AddrPort, error) {
	candidates := slices.Clone(r.cfg.Address)
	if len(candidates) == 0 {
		var err error
		if candidates, err = r.addressesSeen(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(candidates, func(a, b netip.AddrPort) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	var ok []netip.AddrPort
	var failed []string
	for _, a := range candidates {
		switch {
		case directory.Private(a.Addr()) && !r.cfg.Network.PrivateAddresses:
			failed = append(failed, fmt.Sprintf("%v is a private address: set the public one as address in the configuration", a))
		case r.test(ctx, a):
			ok = append(ok, a)
		default:
			failed = append(failed, fmt.Sprintf("no link from outside reaches %v: open TCP port %d in the firewall, or forward it from the router to this machine", a, a.Port()))
		}
	}
	if len(ok) == 0 || !ok[0].Addr().Is4() {
		return nil, errors.New(strings.Join(append(failed, "a relay needs an IPv4 address"), "; "))
	}
	if len(failed) > 0 {
		r.log.Warn("address left out", "problem", strings.Join(failed, "; "))
	}
	return ok, nil
}

// test makes a link to this relay through the address that others would use, and
// reports whether its own keys answered. A success holds for a while.
func (r *Relay) test(ctx context.Context, a netip.AddrPort) bool {
	now := time.Now()
	if t := r.tests[a]; t.ok && now.Sub(t.at) < retestAfter {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	public, _ := r.cfg.Keys.Link()
	_, err := r.pool.Test(ctx, link.Target{ID: r.id, Key: public, Addrs: []netip.AddrPort{a}})
	r.tests[a] = tested{now, err == nil}
	return err == nil
}

// addressesSeen returns the addresses of this machine as a majority of the
// authorities sees them, with the ports that the relay listens on.
func (r *Relay) addressesSeen(ctx context.Context) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	n := r.cfg.Network
	var mu sync.Mutex
	seen := make(map[keys.RelayID]netip.Addr)
	var all sync.WaitGroup
	for i := range n.Authorities {
		a := &n.Authorities[i]
		all.Go(func() { // ends with ctx
			l, err := r.pool.Dial(ctx, authorityTarget(a))
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[a.ID] = l.SeenAs().Addr().Unmap()
		})
	}
	all.Wait()
	addr, ok := agreed(seen, n.Majority())
	switch {
	case len(seen) < n.Majority():
		return nil, fmt.Errorf("only %d of %d authorities can be reached", len(seen), len(n.Authorities))
	case !ok:
		return nil, errors.New("the authorities do not agree on this relay's address: set address in the configuration")
	}
	for _, l := range r.listening() {
		if l.Addr().Unmap().Is4() == addr.Is4() || l.Addr().IsUnspecified() {
			return []netip.AddrPort{netip.AddrPortFrom(addr, l.Port())}, nil
		}
	}
	return nil, fmt.Errorf("the authorities see %v, but this relay does not listen there", addr)
}

// agreed returns the address that at least majority of the authorities saw.
func agreed(seen map[keys.RelayID]netip.Addr, majority int) (netip.Addr, bool) {
	votes := make(map[netip.Addr]int)
	for _, a := range seen {
		if a.IsValid() {
			votes[a]++
		}
	}
	for a, n := range votes {
		if n >= majority {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// listening returns the addresses that the relay listens on.
func (r *Relay) listening() []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]netip.AddrPort, 0, len(r.listeners))
	for _, l := range r.listeners {
		if a, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
			out = append(out, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
		}
	}
	return slices.Clip(out)
}
