package exit

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"tunic/cell"
	"tunic/directory"
)

// Dial opens a connection to a destination. When it fails the connection is nil
// and the reason, which is never [cell.EndDone], says why; else the reason is 0.
// The reply names the address dialled and, for names, how long it holds.
// Dial blocks for at most the configured time.
func (e *Exit) Dial(ctx context.Context, host string, port uint16, flags cell.BeginFlags) (net.Conn, cell.ConnectedReply, cell.EndReason) {
	ctx, cancel := context.WithTimeout(ctx, e.config.DialTimeout)
	defer cancel()
	if !e.takePlace(ctx) {
		e.counts.add(cell.EndResource)
		return nil, cell.ConnectedReply{}, cell.EndResource
	}
	defer func() { <-e.dials }()
	stop := context.AfterFunc(e.ctx, cancel)
	defer stop()
	conn, reply, reason := e.dial(ctx, host, port, flags)
	if reason != 0 && e.ctx.Err() != nil {
		reason = cell.EndHibernating
	}
	e.counts.add(reason)
	return conn, reply, reason
}

// takePlace waits a moment for a place among the dials.
func (e *Exit) takePlace(ctx context.Context) bool {
	select {
	case e.dials <- struct{}{}:
		return true
	default:
	}
	patience := time.NewTimer(placeTime)
	defer patience.Stop()
	select {
	case e.dials <- struct{}{}:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

func (e *Exit) dial(ctx context.Context, host string, port uint16, flags cell.BeginFlags) (net.Conn, cell.ConnectedReply, cell.EndReason) {
	lookups, reason := e.find(host, port, flags)
	if reason != 0 {
		return nil, cell.ConnectedReply{}, reason
	}
	r := race{allows: e.Allows, connect: e.connect, port: port, prefer6: flags&cell.BeginPreferIPv6 != 0}
	return r.run(ctx, lookups)
}

// find begins to look host up: at most one lookup per family, those that need
// none being over already. It refuses what the policy forbids at every address.
func (e *Exit) find(host string, port uint16, flags cell.BeginFlags) ([]*flight, cell.EndReason) {
	kind, addr, name := classify(host)
	switch kind {
	case hostNowhere:
		return nil, cell.EndResolve
	case hostAddress:
		if !wanted(addr, flags) {
			return nil, cell.EndNoRoute
		}
		if !e.Allows(netip.AddrPortFrom(addr, port)) {
			return nil, cell.EndPolicy
		}
		return []*flight{landed(result{addrs: []netip.Addr{addr}})}, 0
	case hostLocal:
		return []*flight{landed(result{addrs: localAddrs(flags)})}, 0
	}
	var lookups []*flight
	if flags&cell.BeginNoIPv4 == 0 && e.mayReach(port, directory.IPv4) {
		lookups = append(lookups, e.resolver.lookup(question{name, dns.TypeA}))
	}
	if flags&cell.BeginNoIPv6 == 0 && e.mayReach(port, directory.IPv6) {
		lookups = append(lookups, e.resolver.lookup(question{name, dns.TypeAAAA}))
	}
	if len(lookups) == 0 {
		return nil, cell.EndPolicy
	}
	return lookups, 0
}

// localAddrs is what localhost stands for (RFC 6761).
func localAddrs(flags cell.BeginFlags) []netip.Addr {
	var out []netip.Addr
	for _, a := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
		if wanted(a, flags) {
			out = append(out, a)
		}
	}
	return out
}

// connect dials one address. The policy is asked once more by the socket, so
// that no address gets past it whatever the code above does.
func (e *Exit) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		real, err := netip.ParseAddrPort(address)
		if err != nil || !e.Allows(real) {
			return refusal(cell.EndPolicy)
		}
		return nil
	}}
	network := "tcp6"
	if to.Addr().Is4() {
		network = "tcp4"
	}
	return d.DialContext(ctx, network, to.String())
}
