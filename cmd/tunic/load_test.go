package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell/link"
	"tunic/circuit"
	"tunic/cmd/localnet"
	"tunic/cmd/node"
	"tunic/directory"
	"tunic/directory/mirror"
)

// A loaded is a network of processes that a benchmark loads: one authority, and
// relays that are all exits. Clients are links and circuits of the benchmark's own,
// each from an address that a test names.
type loaded struct {
	b       *testing.B
	n       *localnet.Network
	relays  []*localnet.Node
	entries map[string]directory.Relay // by name
	params  circuit.Params
	to      netip.AddrPort // where bytes come from: see serveLoad
	pools   map[netip.Addr]*link.Pool
}

// startLoaded starts a network of as many relays, whose ceilings are at memory if that
// is not 0, and gets its consensus.
func startLoaded(b *testing.B, relays int, memory int64) *loaded {
	b.Helper()
	if runtime.GOOS != "linux" {
		b.Skip("needs /proc and other addresses of loopback than 127.0.0.1")
	}
	exe, err := exec.LookPath("tunic")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	n, err := localnet.Start(ctx, localnet.Plan{Dir: filepath.Join(b.TempDir(), "net"), Authorities: 1, Relays: max(3, relays), Exits: max(3, relays), Clients: 1, MaxMemory: memory},
		localnet.Options{Executable: exe, Tied: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	l := &loaded{b: b, n: n, entries: map[string]directory.Relay{}, params: circuit.Params{Network: n.File.Digest()}, pools: map[netip.Addr]*link.Pool{}}
	l.consensus(ctx)
	l.to = serveLoad(b)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // until the relays know one another
		c, err := l.circuit(l.links(loadClient(60_001)), 0, 1, 2)
		if err == nil {
			c.Close()
			return l
		}
		if time.Now().After(end) {
			b.Fatal(err)
		}
	}
}

// consensus gets the network's relays from the authority.
func (l *loaded) consensus(ctx context.Context) {
	a := stranger(0, l.n.File, nil)
	defer a.pool.Close()
	for len(l.entries) < len(l.relays) || len(l.entries) == 0 {
		m := mirror.Client{Dial: func(ctx context.Context) (net.Conn, error) {
			lk, err := a.pool.Dial(ctx, link.Target{ID: a.from.ID, Key: a.from.LinkKey, Addrs: a.from.Addrs})
			if err != nil {
				return nil, err
			}
			c, err := circuit.OpenDir(ctx, lk, l.params)
			if err != nil {
				return nil, err
			}
			return c.DialDir(ctx)
		}}
		bundle, err := m.Consensus(ctx, l.n.File, nil)
		if err != nil {
			l.b.Fatalf("consensus: %v", err)
		}
		l.relays = nil
		for _, nd := range l.n.Nodes {
			if nd.Role != localnet.Relay {
				continue
			}
			l.relays = append(l.relays, nd)
			for _, r := range bundle.Consensus.Relays {
				if r.Nickname == nd.Name {
					l.entries[nd.Name] = r
				}
			}
		}
	}
}

// links returns the links of a client at an address; sources differ by it.
func (l *loaded) links(from netip.Addr) *link.Pool {
	p := l.pools[from]
	if p == nil {
		p = link.NewPool(link.Config{Network: l.params.Network, Transport: sourced{own: from}, Limits: link.Limits{Workers: 1, DialMemory: time.Millisecond, IdleClient: time.Hour}})
		l.pools[from] = p
		l.b.Cleanup(func() { p.Close() })
	}
	return p
}

// client returns the address of the i-th client.
func loadClient(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 101, byte(i >> 8), byte(i)}) }

// dial links a client to the i-th relay.
func (l *loaded) dial(ctx context.Context, p *link.Pool, i int) (*link.Link, error) {
	e := l.entries[l.relays[i].Name]
	return p.Dial(ctx, link.Target{ID: e.ID, Key: e.LinkKey, Addrs: e.Addrs})
}

func (l *loaded) hop(i int) circuit.HopInfo {
	e := l.entries[l.relays[i].Name]
	return circuit.HopInfo{ID: e.ID, Key: e.CircuitKey}
}

// circuit opens a circuit of a client along the relays with these numbers.
func (l *loaded) circuit(p *link.Pool, path ...int) (*circuit.Circuit, error) {
	ctx, cancel := context.WithTimeout(l.b.Context(), 20*time.Second)
	defer cancel()
	lk, err := l.dial(ctx, p, path[0])
	if err != nil {
		return nil, err
	}
	c, err := circuit.Open(ctx, lk, l.hop(path[0]), l.params)
	if err != nil {
		return nil, err
	}
	for _, i := range path[1:] {
		if err := c.Extend(ctx, l.hop(i)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// begin opens a stream to the server of the load and says what it wants of it.
func (l *loaded) begin(c *circuit.Circuit, want string) (*circuit.Stream, error) {
	ctx, cancel := context.WithTimeout(l.b.Context(), 20*time.Second)
	defer cancel()
	s, err := c.Dial(ctx, l.to.Addr().String(), l.to.Port(), 0)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(s, want)
	return s, err
}

// What a connection to the server of the load asks for with its first byte.
const (
	wantBytes   = "B" // bytes without end
	wantNothing = "N" // to be read and not answered
	wantStop    = "S" // not to be read any more, either
)

// serveLoad serves on loopback until the end of the benchmark.
func serveLoad(b *testing.B) netip.AddrPort {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	end := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // ends when ln closes
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(b.Context(), func() { c.Close() })
				defer stop()
				serveOne(c, end)
			})
		}
	})
	b.Cleanup(func() { close(end); ln.Close(); all.Wait() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func serveOne(c net.Conn, end <-chan struct{}) {
	var want [1]byte
	if _, err := io.ReadFull(c, want[:]); err != nil {
		return
	}
	switch string(want[:]) {
	case wantBytes:
		chunk := make([]byte, 64<<10)
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	case wantNothing:
		io.Copy(io.Discard, c)
	case wantStop:
		<-end
	}
}

// A download is bytes that come to a client without end.
type download struct {
	got  atomic.Int64
	done chan struct{}
	s    *circuit.Stream
}

// download starts one on c, until the end of the benchmark.
func (l *loaded) download(c *circuit.Circuit) (*download, error) {
	s, err := l.begin(c, wantBytes)
	if err != nil {
		return nil, err
	}
	f := &download{done: make(chan struct{}), s: s}
	go func() { // ends with the stream
		defer close(f.done)
		_, _ = s.WriteTo(f) // its end is what rate sees
	}()
	l.b.Cleanup(func() { s.Close(); <-f.done })
	return f, nil
}

// Write counts.
func (f *download) Write(p []byte) (int, error) {
	f.got.Add(int64(len(p)))
	return len(p), nil
}

// rate returns what comes in d, in bytes a second.
func (f *download) rate(d time.Duration) float64 {
	before, from := f.got.Load(), time.Now()
	time.Sleep(d)
	return float64(f.got.Load()-before) / time.Since(from).Seconds()
}

// resident returns what a process has in memory, in KiB: all of it, and what is not
// of files (the program itself).
func resident(b *testing.B, pid int) (all, anon int64) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(string(f[1]), 10, 64)
		switch string(f[0]) {
		case "VmRSS:":
			all = n
		case "RssAnon:":
			anon = n
		}
	}
	return all, anon
}

// busy returns how many seconds a process has computed so far.
func busy(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	user, _ := strconv.ParseFloat(string(f[11]), 64)
	system, _ := strconv.ParseFloat(string(f[12]), 64)
	return (user + system) / 100 // clock ticks, 100 a second on every Linux
}

// status asks a node.
func (l *loaded) status(nd *localnet.Node) node.Status {
	l.b.Helper()
	ctx, cancel := context.WithTimeout(l.b.Context(), 20*time.Second)
	defer cancel()
	s, err := node.Ask(ctx, nd.State())
	if err != nil {
		l.b.Fatal(err)
	}
	return s
}
