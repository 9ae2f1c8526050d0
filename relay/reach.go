package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"tunic/cell/link"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

const ( // our choice
	testTimeout = 10 * time.Second // one link to ourselves
	seenTimeout = 10 * time.Second // asking all authorities for our address
	// retestAfter is how long a test of an address holds while nothing changes:
	// authorities test more often and tell by listing the relay or not.
	retestAfter = 12 * time.Hour
)

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

// tryReach finds out the relay's addresses and tests them. A success holds for a
// while, as long as the addresses stay the same.
func (r *Relay) tryReach(ctx context.Context) ([]netip.AddrPort, error) {
	addrs := slices.Clone(r.cfg.Address)
	if len(addrs) == 0 {
		var err error
		if addrs, err = r.addressesSeen(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(addrs, func(a, b netip.AddrPort) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	for _, a := range addrs {
		if directory.Private(a.Addr()) && !r.cfg.Network.PrivateAddresses {
			return nil, fmt.Errorf("%v is not an address of the public internet: set address in the configuration", a)
		}
	}
	if !addrs[0].Addr().Is4() {
		return nil, errors.New("a relay needs an IPv4 address: add one to address in the configuration")
	}
	if t := &r.tested; slices.Equal(t.wanted, addrs) && time.Since(t.at) < retestAfter {
		return t.worked, nil
	}
	worked, err := r.testAll(ctx, addrs)
	if err != nil {
		return nil, err
	}
	r.tested = tested{addrs, worked, time.Now()}
	return worked, nil
}

// tested is what the last test that worked has shown.
type tested struct {
	wanted, worked []netip.AddrPort
	at             time.Time
}

// testAll tests all addresses together; where that fails, those of IPv4 alone.
func (r *Relay) testAll(ctx context.Context, addrs []netip.AddrPort) ([]netip.AddrPort, error) {
	reached, err := r.test(ctx, addrs)
	if reached {
		return addrs, nil
	}
	if only4 := addrs[:1]; len(addrs) > 1 && ctx.Err() == nil {
		if reached, _ := r.test(ctx, only4); reached {
			r.log.Warn("IPv6 address left out", slog.String("problem", unreachable(addrs[1:])))
			return only4, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return nil, errors.New(unreachable(addrs))
}

// unreachable says what to do.
func unreachable(addrs []netip.AddrPort) string {
	return fmt.Sprintf("no link from outside reaches %v: open TCP port %d in the firewall, or forward it from the router to this machine", addrs, addrs[0].Port())
}

// test asks the authorities to make a link to this relay: one that says it worked
// is enough. Where none can be asked, a link of our own through the addresses has
// to do, which a firewall may let pass.
func (r *Relay) test(ctx context.Context, addrs []netip.AddrPort) (reached bool, err error) {
	d, err := r.describe(addrs, time.Now())
	if err != nil {
		return false, fmt.Errorf("no descriptor: %w", err)
	}
	key, _ := r.cfg.Keys.Signing()
	doc, err := d.Sign(key)
	if err != nil {
		return false, fmt.Errorf("no descriptor: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	answers := make(chan error, len(r.cfg.Network.Authorities))
	var all sync.WaitGroup
	defer all.Wait()
	for i := range r.cfg.Network.Authorities {
		a := &r.cfg.Network.Authorities[i]
		all.Go(func() { answers <- r.askTest(ctx, a, doc) }) // ends with ctx
	}
	asked := false
	for range r.cfg.Network.Authorities {
		switch err := <-answers; {
		case err == nil:
			cancel()
			return true, nil
		case errors.Is(err, errNotReached):
			asked = true
		}
	}
	return !asked && r.testOurselves(ctx, addrs), nil
}

var errNotReached = errors.New("not reached")

const maxTestAnswer = 256 // our choice; bytes

// askTest has one authority test the addresses in a descriptor.
func (r *Relay) askTest(ctx context.Context, a *directory.Authority, doc []byte) error {
	answer, err := r.ask(a).Post(ctx, pathTest, doc, maxTestAnswer)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(answer), "\n")
	switch line {
	case "reached":
		return nil
	case "not reached":
		return errNotReached
	}
	return mirror.ErrAnswer
}

const pathTest = "/tunic/1/test" // fixed by docs/protocol.md, "Authorities": POST a descriptor

// testOurselves makes a link to each of our own addresses.
func (r *Relay) testOurselves(ctx context.Context, addrs []netip.AddrPort) bool {
	public, _ := r.cfg.Keys.Link()
	for _, a := range addrs {
		if _, err := r.pool.Test(ctx, link.Target{ID: r.id, Key: public, Addrs: []netip.AddrPort{a}}); err != nil {
			return false
		}
	}
	return true
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
	port, ok := portAt(addr, r.listening())
	if !ok {
		return nil, fmt.Errorf("the authorities see %v, but this relay does not listen there: set address in the configuration", addr)
	}
	return []netip.AddrPort{netip.AddrPortFrom(addr, port)}, nil
}

// portAt returns the port at which a relay that listens on these addresses answers
// at addr: at addr itself, at all addresses of its family, or, where addr is a
// public one and a router may translate it, at a private one.
func portAt(addr netip.Addr, listening []netip.AddrPort) (port uint16, ok bool) {
	for _, answers := range []func(netip.Addr) bool{
		func(l netip.Addr) bool { return l == addr },
		netip.Addr.IsUnspecified,
		func(l netip.Addr) bool { return directory.Private(l) && !directory.Private(addr) },
	} {
		for _, l := range listening {
			if l.Addr().Is4() == addr.Is4() && answers(l.Addr()) {
				return l.Port(), true
			}
		}
	}
	return 0, false
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
