package link

import (
	"context"
	"net"
	"net/netip"
)

// A Transport makes the connections that links run over. Everything else it does
// to the bytes on their way is its own matter.
type Transport interface {
	Dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
	Listen(addr netip.AddrPort) (net.Listener, error)
}

// TCP is the transport of a bare TCP connection.
type TCP struct{}

// Dial connects to addr.
func (TCP) Dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr.String())
}

// Listen listens on addr, in its own family alone: 0.0.0.0 and [::] are two
// addresses, which one port serves side by side.
func (TCP) Listen(addr netip.AddrPort) (net.Listener, error) {
	network := "tcp6"
	if addr.Addr().Unmap().Is4() {
		network = "tcp4"
	}
	return net.Listen(network, addr.String())
}
