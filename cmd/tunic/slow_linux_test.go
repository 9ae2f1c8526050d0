package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tunic/cmd/localnet"
)

const (
	tornet = "../../../shared/anchors/tornet.py"
	python = "/usr/bin/python3" // that has stem
	inside = "TUNIC_TEST_NAMESPACE"
)

// BenchmarkSlowLinks runs a network of processes whose links each take 50 ms there and
// back, and beside it C tor's where its script and Debian's tor are there, and prints
// what users feel: the first byte, and how fast a download runs. It takes minutes:
//
//	go test -run '^$' -bench SlowLinks ./cmd/tunic
func BenchmarkSlowLinks(b *testing.B) {
	benchmarkSlow(b, slowness{delay: 25 * time.Millisecond}, measureSlow)
}

// BenchmarkNarrowLinks has links of 20 Mbit/s and 20 ms, with a router's queue of
// 100 ms, and prints how long 1 KiB takes on an idle network, and on a circuit beside
// four others that keep the client's link busy. The bound to stay below is twice the
// idle time and one bandwidth-delay product of the link.
func BenchmarkNarrowLinks(b *testing.B) {
	const rate = 20_000_000 / 8
	benchmarkSlow(b, slowness{delay: 10 * time.Millisecond, rate: rate, room: rate / 10}, measureNarrow)
}

func benchmarkSlow(b *testing.B, slow slowness, measure func(*testing.B, *slowSystem)) {
	systems := []struct {
		name  string
		start func(*testing.B, *slowNet) *slowSystem
	}{
		{"tunic", startSlowTunic},
		{"tor", func(b *testing.B, n *slowNet) *slowSystem { return startSlowTor(b, n, "") }},
		{"tor_Vanilla", func(b *testing.B, n *slowNet) *slowSystem { return startSlowTor(b, n, "Schedulers Vanilla") }},
	}
	for _, s := range systems {
		b.Run(s.name, func(b *testing.B) {
			if !inNamespace(b) {
				return
			}
			n, err := newSlowNet(slow)
			if err != nil {
				b.Skip(err)
			}
			defer n.Close()
			system := s.start(b, n)
			system.origin = newOrigin(b)
			b.Logf("ready after %v", system.took.Round(time.Millisecond))
			time.Sleep(5 * time.Second) // circuits are built ahead
			measure(b, system)
		})
	}
}

// inNamespace runs this benchmark once more in a network namespace of its own and
// shows what that prints; in there it returns true.
func inNamespace(b *testing.B) bool {
	if os.Getenv(inside) == b.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^$", "-test.bench=^"+strings.ReplaceAll(b.Name(), "/", "$/^")+"$", "-test.benchtime=1x", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+b.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		b.Skip("needs the right to make a network namespace: ", err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_test.go:") {
			fmt.Print(line)
		}
	}
	if err != nil {
		b.Fatalf("%v:\n%s", err, out)
	}
	return false
}

// A slowSystem is a running network of either kind.
type slowSystem struct {
	socks  string
	took   time.Duration // to start
	origin netip.AddrPort
}

// fetch fetches bytes as a user of that name.
func (s *slowSystem) fetch(b *testing.B, user string, bytes int) (first, all time.Duration) {
	return s.fetchAs(b, user, bytes, patient)
}

// A manner is how a program uses SOCKS.
type manner int

const (
	patient manner = iota // it waits for the reply
	eager                 // it sends its request at once, as Tor Browser does
)

func (s *slowSystem) fetchAs(b *testing.B, user string, bytes int, m manner) (first, all time.Duration) {
	first, all, err := fetchBySocks(s.socks, s.origin, user, bytes, m)
	if err != nil {
		b.Errorf("a fetch of %d bytes: %v", bytes, err)
	}
	return first, all
}

func startSlowTunic(b *testing.B, n *slowNet) *slowSystem {
	if err := n.slowAddresses(); err != nil {
		b.Skip(err)
	}
	path, err := exec.LookPath("tunic")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := time.Now()
	nw, err := localnet.Start(ctx, localnet.Plan{Dir: filepath.Join(b.TempDir(), "net"), Authorities: 3, Relays: 5, Exits: 5, Clients: 1},
		localnet.Options{Executable: path, Tied: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nw.Stop(context.Background()) })
	return &slowSystem{socks: nw.Node("client1").Socks, took: time.Since(start)}
}

func startSlowTor(b *testing.B, n *slowNet, extra string) *slowSystem {
	for _, need := range []string{tornet, python, "/usr/sbin/tor"} {
		if _, err := os.Stat(need); err != nil {
			b.Skip("no C tor to compare with: ", err)
		}
	}
	const nodes, base = 3 + 5 + 1, 21000 // tornet.py's ports: a node's second is its ORPort
	for i := range nodes {
		if err := n.slowPort(base + 4*i + 1); err != nil {
			b.Skip(err)
		}
	}
	dir := filepath.Join(b.TempDir(), "tor")
	start := time.Now()
	out, err := exec.Command(python, tornet, "up", "--dir", dir, "--extra", extra).CombinedOutput()
	b.Cleanup(func() { exec.Command(python, tornet, "down", "--dir", dir).Run() })
	if err != nil {
		b.Fatalf("tornet.py up: %v: %s", err, out)
	}
	took := time.Since(start)
	var list []struct {
		Kind  string `json:"kind"`
		Socks int    `json:"socks"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "nodes.json"))
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range list {
		if n.Kind == "client" {
			return &slowSystem{socks: fmt.Sprintf("127.0.0.1:%d", n.Socks), took: took}
		}
	}
	b.Fatal("tornet.py has no client")
	return nil
}

// measureSlow prints first bytes and downloads.
func measureSlow(b *testing.B, s *slowSystem) {
	var fresh, again []time.Duration
	for i := range 20 {
		first, _ := s.fetch(b, fmt.Sprint("fresh", i), 1<<10)
		fresh = append(fresh, first)
		time.Sleep(time.Second)
	}
	for range 20 {
		first, _ := s.fetch(b, "again", 1<<10)
		again = append(again, first)
	}
	b.Logf("first byte, a request every second, each on a new circuit: %s", spread(fresh))
	b.Logf("first byte, on a circuit in use: %s", spread(again))
	var early []time.Duration
	for range 20 {
		first, _ := s.fetchAs(b, "again", 1<<10, eager)
		early = append(early, first)
	}
	b.Logf("first byte, of a program that does not wait for the SOCKS reply: %s", spread(early))
	for _, mib := range []int{1, 16, 64} {
		var all []time.Duration
		for i := range 3 {
			_, took := s.fetch(b, fmt.Sprint("bulk", mib, "-", i), mib<<20)
			all = append(all, took)
		}
		slices.Sort(all)
		b.Logf("a download of %d MiB: median %v, %.2f MiB/s", mib, all[1].Round(time.Millisecond), float64(mib)/all[1].Seconds())
		if all[1] > 10*time.Second {
			break // a larger one would take minutes
		}
	}
}

// measureNarrow prints what a small request takes alone and beside four downloads.
func measureNarrow(b *testing.B, s *slowSystem) {
	var idle, busy []time.Duration
	for range 31 {
		_, took := s.fetch(b, "quiet", 1<<10)
		idle = append(idle, took)
	}
	const downloads, size = 4, 40 << 20
	start := time.Now()
	done := make(chan struct{}, downloads)
	for i := range downloads {
		go func() { s.fetch(b, fmt.Sprint("beside", i), size/downloads); done <- struct{}{} }()
	}
	time.Sleep(3 * time.Second) // all four are in full swing
	for len(done) == 0 {
		_, took := s.fetch(b, "quiet", 1<<10)
		busy = append(busy, took)
	}
	busy = busy[:max(0, len(busy)-1)] // a download had ended
	for range downloads {
		<-done
	}
	b.Logf("1 KiB idle: %s", spread(idle))
	b.Logf("1 KiB beside four downloads: %s", spread(busy))
	b.Logf("the downloads: %.2f Mbit/s in all", float64(size)*8/1e6/time.Since(start).Seconds())
}

// spread describes durations.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("median %.1f ms, 90th percentile %.1f ms, %d of them", ms(all[len(all)/2]), ms(all[len(all)*9/10]), len(all))
}

// newOrigin is a server that sends as many bytes as it is asked for.
func newOrigin(b *testing.B) netip.AddrPort {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() { // ends with the listener
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer conn.Close()
				var hello [len(clientHello)]byte
				var n int64
				if _, err := io.ReadFull(conn, hello[:]); err != nil {
					return
				}
				if _, err := fmt.Fscanln(conn, &n); err == nil {
					io.CopyN(conn, zeros{}, n)
				}
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// clientHello is what a request begins with, so that it looks like one of TLS: ten
// digits and the end of the line follow.
const clientHello = "\x16\x03\x01\x00\x0c\x01"

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// fetchBySocks fetches through a SOCKS proxy, as a user of that name, and returns how
// long the first byte took from the connection on, and all of them.
func fetchBySocks(socks string, to netip.AddrPort, user string, bytes int, m manner) (first, all time.Duration, err error) {
	start := time.Now()
	conn, err := net.Dial("tcp", socks)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	conn.SetDeadline(start.Add(2 * time.Minute))
	request := fmt.Appendf([]byte(clientHello), "%-10d\n", bytes)
	connect := slices.Concat([]byte{5, 1, 0, 1}, to.Addr().AsSlice(), []byte{byte(to.Port() >> 8), byte(to.Port())})
	if m == eager {
		connect = append(connect, request...)
	}
	steps := []struct {
		say  []byte
		hear int
	}{
		{[]byte{5, 1, 2}, 2},
		{slices.Concat([]byte{1, byte(len(user))}, []byte(user), []byte{1, 'x'}), 2},
		{connect, 10},
	}
	for _, s := range steps {
		answer := make([]byte, s.hear)
		if _, err := conn.Write(s.say); err != nil {
			return 0, 0, err
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			return 0, 0, err
		}
		if s.hear == 10 && answer[1] != 0 {
			return 0, 0, fmt.Errorf("SOCKS reply %d", answer[1])
		}
	}
	if m == patient {
		if _, err := conn.Write(request); err != nil {
			return 0, 0, err
		}
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return 0, 0, err
	}
	first = time.Since(start)
	n, err := io.Copy(io.Discard, conn)
	if err == nil && n != int64(bytes)-1 {
		err = fmt.Errorf("%d bytes of %d", n+1, bytes)
	}
	return first, time.Since(start), err
}
