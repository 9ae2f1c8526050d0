package localnet_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/client"
	"tunic/cmd/localnet"
	"tunic/cmd/node"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// startSmall starts a network of a test's own in this process.
func startSmall(t *testing.T, plan localnet.Plan) *localnet.InProcess {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a network")
	}
	plan.Dir = filepath.Join(t.TempDir(), "net")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n, err := localnet.StartInProcess(ctx, plan, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// TestOneAddress runs where only 127.0.0.1 answers, as on macOS, and a relay
// that finds out its address by itself, and one that nobody reaches.
func TestOneAddress(t *testing.T) {
	n := startSmall(t, localnet.Plan{OneAddress: true, Authorities: 1, Relays: 3, Clients: 1})
	if !n.File.SameSubnet {
		t.Error("the network file does not relax the rule of one relay per /16")
	}
	t.Run("a stream passes", func(t *testing.T) {
		address := serve(t, func(c *net.TCPConn) { io.WriteString(c, "here") })
		c, err := client.Open(t.Context(), client.Config{Network: n.File, StateDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conn := wantHere(t, c, address)
		hops, _ := client.CircuitHops(conn)
		if len(hops) != 3 || hops[0].Addrs[0].Addr() != hops[2].Addrs[0].Addr() {
			t.Errorf("the hops are %v", hops)
		}
	})
	t.Run("a relay publishes the address that the authorities see", func(t *testing.T) {
		s := joinRelay(t, n, nil, func(s node.Status) bool { return s.Relay.Accepted > 0 })
		if len(s.Relay.Addresses) != 1 || s.Relay.Addresses[0].Addr() != netip.MustParseAddr("127.0.0.1") || s.Relay.Addresses[0].Port() == 0 {
			t.Errorf("it publishes %v", s.Relay.Addresses)
		}
	})
	t.Run("a relay that nobody reaches says which port to open", func(t *testing.T) {
		closed := closedPort(t)
		s := joinRelay(t, n, []netip.AddrPort{closed}, func(s node.Status) bool { return s.Relay.Problem != "" })
		if want := fmt.Sprintf("open TCP port %d", closed.Port()); !strings.Contains(s.Relay.Problem, want) {
			t.Errorf("its problem is %q, want %q", s.Relay.Problem, want)
		}
		if s.Relay.Accepted > 0 || s.Relay.Reachable {
			t.Errorf("it is published all the same: %+v", s.Relay)
		}
	})
}

// closedPort returns an address of loopback where nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// joinRelay runs one more relay and returns its status once that is as wanted.
func joinRelay(t *testing.T, n *localnet.InProcess, address []netip.AddrPort, ok func(node.Status) bool) node.Status {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	state, ended := filepath.Join(t.TempDir(), "state"), make(chan error, 1)
	cfg := node.RelayConfig{Common: node.Common{Network: filepath.Join(n.Plan.Dir, "network.toml"), State: state},
		Nickname: "late", Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Address: address}
	go func() { ended <- node.RunRelay(ctx, cfg, node.Options{Log: slog.New(slog.DiscardHandler)}) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var s node.Status
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if s, err = node.Ask(t.Context(), state); err == nil && ok(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("the relay's status is %+v, %v", s.Relay, err)
		}
	}
}

// A request made before the client is ready waits until it is.
func TestRequestBeforeReadyWaits(t *testing.T) {
	n := network(t)
	address := serve(t, func(c *net.TCPConn) { io.WriteString(c, "here") })
	c, err := client.Start(client.Config{Network: n.File, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if p := c.Status().Percent; p == 100 {
		t.Error("the client is ready before it did anything")
	}
	wantHere(t, c, address)
}

// wantHere reads "here" from a server, and returns the connection.
func wantHere(t *testing.T, c *client.Client, address string) net.Conn {
	t.Helper()
	conn, err := c.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if b, err := io.ReadAll(conn); err != nil || string(b) != "here" {
		t.Errorf("%q, %v", b, err)
	}
	return conn
}
