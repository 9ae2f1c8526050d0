package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"tunic/cmd/localnet"
)

const (
	stalledReaders = 20
	stalledMemory  = 100 << 20 // bytes that they may add to all nodes together
)

// TestStalledReadersAddLittle has twenty programs ask for a file without an end,
// each on a circuit of its own, and then not read: what all nodes hold because of
// them is bounded, and another user's download goes on.
func TestStalledReadersAddLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a network of processes")
	}
	site := startEndlessSite(t)
	n := startNetwork(t, localnet.Plan{Dir: filepath.Join(t.TempDir(), "net"), Authorities: 3, Relays: 5, Exits: 2, Clients: 1})
	before, kernelBefore := residentOf(t, n), kernelTCP(t)
	var all sync.WaitGroup
	for i := range stalledReaders {
		all.Go(func() {
			conn, err := ask(t, n, fmt.Sprintf("stalled%d", i), site.addr, "/endless")
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { conn.Close() })
		})
	}
	all.Wait()
	taken := site.untilStill(t)
	after, kernelAfter := residentOf(t, n), kernelTCP(t)
	t.Logf("%d stalled readers: the destination has given %.1f MiB to kernels and nodes", stalledReaders, mib(taken))
	t.Logf("resident memory of all nodes: %.1f MiB before, %.1f MiB after, %.1f MiB more", mib(before), mib(after), mib(after-before))
	t.Logf("buffers of all TCP sockets of this machine: %.1f MiB before, %.1f MiB after", mib(kernelBefore), mib(kernelAfter))
	if after-before > stalledMemory {
		t.Errorf("%d stalled readers add %.1f MiB to all nodes, want less than %.0f", stalledReaders, mib(after-before), mib(stalledMemory))
	}
	from := time.Now()
	conn, err := ask(t, n, "stalled0", site.addr, "/file") // on the circuit of one of them
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b, err := io.ReadAll(conn)
	if err != nil || !bytes.HasSuffix(b, site.file) {
		t.Fatalf("%d bytes beside stalled streams, %v", len(b), err)
	}
	t.Logf("%.1f MiB/s beside a stalled stream of the same circuit", mib(int64(len(b)))/time.Since(from).Seconds())
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// ask sends a request through the network, and reads nothing of the answer.
func ask(t *testing.T, n *localnet.Network, user, addr, path string) (net.Conn, error) {
	t.Helper()
	d, err := proxy.SOCKS5("tcp", n.Node("client1").Socks, &proxy.Auth{User: user, Password: "x"}, proxy.Direct)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", path)
	return conn, err
}

// An endlessSite serves a file without an end, and one with.
type endlessSite struct {
	addr string
	file []byte
	sent atomic.Int64 // bytes of the endless one, of all requests
}

func startEndlessSite(t *testing.T) *endlessSite {
	t.Helper()
	s := &endlessSite{file: bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) { w.Write(s.file) })
	mux.HandleFunc("GET /endless", func(w http.ResponseWriter, _ *http.Request) {
		for piece := make([]byte, 16<<10); ; {
			n, err := w.Write(piece)
			s.sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	srv := &http.Server{Handler: mux}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); wg.Wait() })
	return s
}

// untilStill waits until nobody takes more, and returns how much was taken.
func (s *endlessSite) untilStill(t *testing.T) int64 {
	t.Helper()
	const look, still = 50 * time.Millisecond, 10
	last, same := int64(0), 0
	for end := time.Now().Add(15 * time.Second); same < still; {
		if time.Now().After(end) {
			t.Fatalf("the readers take more and more: %d bytes", last)
		}
		time.Sleep(look)
		now := s.sent.Load()
		if now == last && now > 0 {
			same++
		} else {
			same = 0
		}
		last = now
	}
	return last
}

// residentOf returns the resident memory of all nodes of a network.
func residentOf(t *testing.T, n *localnet.Network) (bytes int64) {
	t.Helper()
	for _, nd := range n.Nodes {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(nd.PID), "statm"))
		if err != nil {
			t.Fatal(err)
		}
		var size, resident int64
		if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
			t.Fatal(err)
		}
		bytes += resident * int64(os.Getpagesize())
	}
	return bytes
}

// kernelTCP returns what the buffers of this machine's TCP sockets hold.
func kernelTCP(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		t.Skip(err)
	}
	for line := range bytes.Lines(b) {
		var inuse, orphan, tw, alloc, mem int64
		if n, _ := fmt.Sscanf(string(line), "TCP: inuse %d orphan %d tw %d alloc %d mem %d", &inuse, &orphan, &tw, &alloc, &mem); n == 5 {
			return mem * int64(os.Getpagesize())
		}
	}
	return 0
}
