package localnet_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/client"
	"tunic/cmd/localnet"
	"tunic/cmd/node"
)

// maxTold is how much of its log a network that did not start shows, bytes.
const maxTold = 30_000

// started is the shared network, once a test has asked for it.
var started *localnet.InProcess

// The tests of this package share one network in this process.
var shared = sync.OnceValues(func() (n *localnet.InProcess, err error) {
	defer func() { started = n }()
	dir, err := os.MkdirTemp("", "tunic-localnet-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var told bytes.Buffer // safe to read when all nodes have stopped
	n, err = localnet.StartInProcess(ctx, localnet.Plan{Dir: filepath.Join(dir, "net"), Authorities: 3, Relays: 7, Exits: 3, Clients: 1, Rounds: 60},
		slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		return nil, fmt.Errorf("%w; the nodes' log:\n%s", err, told.Bytes()[max(0, told.Len()-maxTold):])
	}
	return n, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if n := started; n != nil {
		if err := n.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		os.RemoveAll(filepath.Dir(n.Plan.Dir))
	}
	os.Exit(status)
}

func network(t *testing.T) *localnet.InProcess {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a network")
	}
	n, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// open opens a client of its own on the shared network.
func open(t *testing.T, dir string) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Open(ctx, client.Config{Network: network(t).File, StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// serve answers each connection to a port on loopback with handle.
func serve(t *testing.T, handle func(*net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); handle(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func TestBulkBothWays(t *testing.T) {
	const n = 16 << 20
	echo := serve(t, func(c *net.TCPConn) { io.Copy(c, c); c.CloseWrite() })
	c := open(t, t.TempDir())
	conn, err := c.DialContext(t.Context(), "tcp", echo)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := sha256.New()
	go func() {
		io.Copy(io.MultiWriter(conn, sent), io.LimitReader(rand.NewChaCha8([32]byte{}), n))
		conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got := sha256.New()
	if m, err := io.Copy(got, conn); err != nil || m != n {
		t.Fatalf("got %d of %d bytes: %v", m, n, err)
	}
	if !slices.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Error("what came back is not what was sent")
	}
}

func TestThreeRelaysInThreeSubnets(t *testing.T) {
	echo := serve(t, func(c *net.TCPConn) { io.Copy(c, c) })
	c := open(t, t.TempDir())
	conn, err := c.Dial(t.Context(), request(echo))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hops, ok := client.CircuitHops(conn)
	if !ok || len(hops) != 3 {
		t.Fatalf("the connection has %d hops", len(hops))
	}
	seen := map[string]bool{}
	for _, h := range hops {
		a := h.Addrs[0].Addr().As4()
		seen[fmt.Sprint(a[:2])] = true
	}
	if len(seen) != 3 && !network(t).File.SameSubnet {
		t.Errorf("hops %v stand in %d networks", hops, len(seen))
	}
}

func request(address string) client.Request {
	host, port, _ := strings.Cut(address, ":")
	var p uint16
	fmt.Sscan(port, &p)
	return client.Request{Host: host, Port: p}
}

func TestSecondStartIsQuickAndKeepsItsGuards(t *testing.T) {
	network(t)
	dir := t.TempDir()
	guards := func() []string {
		c := open(t, dir)
		defer c.Close()
		var ids []string
		for _, g := range c.Status().Guards {
			ids = append(ids, g.ID.String())
		}
		return ids
	}
	first := guards()
	if second := guards(); !slices.Equal(first, second) || len(first) == 0 {
		t.Errorf("guards %v, then %v", first, second)
	}
}

func TestFailuresOfTheDestinationAreTold(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	c := open(t, t.TempDir())
	_, err = c.Dial(t.Context(), request(nobody))
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.Refused {
		t.Errorf("a closed port gives %v", err)
	}
	if err != nil && strings.Contains(err.Error(), strings.Split(nobody, ":")[1]) {
		t.Errorf("the error names the destination: %v", err)
	}
}

func TestLocalhostIsAnsweredByTheExit(t *testing.T) {
	addr := serve(t, func(c *net.TCPConn) { io.WriteString(c, "here") })
	_, port, _ := net.SplitHostPort(addr)
	c := open(t, t.TempDir())
	for _, host := range []string{"localhost", "any.localhost", "127.0.0.1"} {
		conn, err := c.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if b, err := io.ReadAll(conn); err != nil || string(b) != "here" {
			t.Errorf("%s: %q, %v", host, b, err)
		}
		conn.Close()
	}
}

func TestHTTPThroughTheClientAsALibrary(t *testing.T) {
	addr := serve(t, func(c *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	})
	c := open(t, t.TempDir())
	tr := &http.Transport{DialContext: c.DialContext}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestControlSocketTellsTheStatus(t *testing.T) {
	n := network(t)
	s, err := node.Ask(t.Context(), n.Node("client1").State())
	if err != nil || s.Client == nil || s.Client.Consensus.Relays != 7 {
		t.Errorf("client: %+v, %v", s, err)
	}
	s, err = node.Ask(t.Context(), n.Node("auth1").State())
	if err != nil || s.Authority == nil || s.Relay == nil {
		t.Errorf("authority: %+v, %v", s, err)
	}
}
