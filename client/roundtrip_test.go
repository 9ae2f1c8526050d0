package client_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/cell/link/linktest"
	"tunic/client"
	"tunic/directory/directorytest"
)

// In virtual time nothing takes time but the lines between the nodes: a client's start
// is a number of round trips of a link.
//
//	first start: a link to a mirror 2 (TCP's and the handshake's), CREATE_DIR 1,
//	request and answer 1; then as every start
//	a start with a consensus: a link to the guard 2, CREATE 1, EXTEND 1 to the guard
//	and 1 from there on, likewise 1 + 1 + 1, and 2 more wherever a link is missing
//	a request: 3
func TestStartTakesNoIdleRoundTrip(t *testing.T) {
	const trip = 50 * time.Millisecond
	const fetch, first, circuit, links = 2 + 1 + 1, 2, 1 + 2 + 3, 2 + 2
	closed := closedPort(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(directorytest.Epoch.Add(time.Hour))) // when the authorities' certificates are valid
		nw := &testNet{t: t, memory: linktest.NewSlowMemory(func(netip.Addr, netip.Addr) linktest.Line { return linktest.Line{Delay: trip / 2} })}
		nw.start(4, 1, 1) // a mirror, and three relays: there is one path, but for the order
		dir := t.TempDir()
		expect := func(what string, took, want time.Duration) {
			t.Helper()
			if took != want*trip {
				t.Errorf("%s took %.2f round trips of a link, want %d", what, float64(took)/float64(trip), want)
			}
		}
		c, took := nw.open(dir, nil)
		expect("the first start", took, fetch+first+circuit+links)

		start := time.Now()
		if _, err := c.Dial(t.Context(), client.Request{Host: closed.Addr().String(), Port: closed.Port()}); err == nil {
			t.Error("a port where nobody listens answered")
		}
		expect("a request", time.Since(start), 3)
		start = time.Now()
		if _, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "localhost"}, ""); err != nil {
			t.Error(err)
		}
		expect("a lookup", time.Since(start), 3)
		if err := c.Close(); err != nil {
			t.Error(err)
		}

		again, took := nw.open(dir, nil)
		defer again.Close()
		expect("a start with a consensus and links between relays", took, first+circuit)
	})
}

// closedPort returns an address on which nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(fmt.Errorf("a port: %w", err))
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}
