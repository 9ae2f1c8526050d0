package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/circuit"
	"tunic/client"
	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
	"tunic/directory/mirror"
	"tunic/directory/rules"
	"tunic/relay"
)

// patience bounds every wait of these tests, in real time.
const patience = 30 * time.Second

// A testNet is real relays on real links over loopback, with a consensus that
// the test signed. Its authority is not there: relays have the consensus from
// the test, clients from fallback mirrors.
type testNet struct {
	t      *testing.T
	signer *directorytest.Network
	file   *directory.Network
	source source
	relays []*testRelay
	memory *linktest.Memory // nil: TCP on loopback
}

// source is the consensus that the relays serve.
type source struct {
	b atomic.Pointer[directory.Bundle]
}

func (s *source) Current() *directory.Bundle { return s.b.Load() }

type testRelay struct {
	*relay.Relay
	set  *keys.Set
	addr netip.AddrPort
	stop context.CancelFunc
}

// given is a transport that has a listener already.
type given struct {
	link.Transport
	ln net.Listener
}

func (g given) Listen(netip.AddrPort) (net.Listener, error) { return g.ln, nil }

// newNet starts n relays, of which the last few are exits. The first three are
// fallback mirrors too.
func newNet(t *testing.T, n, exits int) *testNet {
	t.Helper()
	nw := &testNet{t: t}
	nw.start(n, exits, 0)
	return nw
}

// start starts n relays. The first few may be unlisted: fallback mirrors that are not
// in the consensus.
func (nw *testNet) start(n, exits, unlisted int) {
	t := nw.t
	t.Helper()
	now := time.Now()
	nw.signer = directorytest.NewWith(1, directory.Network{Name: "test.example", PrivateAddresses: true, SameSubnet: true,
		Timing: directory.Timing{Start: now.Add(-time.Hour).Truncate(time.Second).UTC(), Period: time.Minute, VoteRound: time.Second, SignTime: time.Second}})
	nw.file = nw.signer.Network
	var list []directory.Relay
	for i := range n {
		list = append(list, nw.add(i, i >= n-exits))
	}
	list = list[unlisted:]
	slices.SortFunc(list, func(a, b directory.Relay) int { return directory.CompareID(a.ID, b.ID) })
	round, _ := nw.file.RoundAt(now)
	c := nw.signer.Consensus(round.Number, list)
	c.Relaxed = []string{rules.Small, rules.Test}
	// Not the default: who does not follow the consensus gets no circuit.
	c.Params = []directory.Param{{Name: "cc_sendme_inc", Value: 40}}
	b, _ := nw.signer.Sign(t, c, nil)
	nw.source.b.Store(b)
	mirrors := nw.relays[:3]
	if unlisted > 0 {
		mirrors = nw.relays[:unlisted]
	}
	for _, r := range mirrors {
		public, _ := r.set.Link()
		nw.file.Fallbacks = append(nw.file.Fallbacks, directory.Fallback{ID: r.ID(), LinkKey: public, Addrs: []netip.AddrPort{r.addr}})
	}
}

// host returns the transport of the i-th host, and the address that it listens on.
func (nw *testNet) host(i int) (link.Transport, netip.AddrPort) {
	nw.t.Helper()
	if nw.memory != nil {
		a := netip.AddrFrom4([4]byte{10, byte(i), 0, 1})
		return nw.memory.At(a), netip.AddrPortFrom(a, 9001)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		nw.t.Fatal(err)
	}
	return given{link.TCP{}, ln}, ln.Addr().(*net.TCPAddr).AddrPort()
}

// add starts a relay and returns its entry for the consensus.
func (nw *testNet) add(i int, exit bool) directory.Relay {
	t := nw.t
	t.Helper()
	set, err := keys.LoadOrCreate(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	transport, addr := nw.host(i)
	name := fmt.Sprintf("relay%d", i)
	cfg := relay.Config{Network: nw.file, Keys: set, Dir: t.TempDir(), Listen: []netip.AddrPort{addr}, Address: []netip.AddrPort{addr},
		Nickname: name, Transit: true, Source: &nw.source, Directory: mirror.NewHandler(mirror.HandlerConfig{Source: &nw.source}),
		Transport: transport, Log: slog.New(slog.DiscardHandler)}
	linkKey, _ := set.Link()
	circuitKey, _ := set.Circuit()
	entry := directory.Relay{ID: set.ID(), Nickname: name, Addrs: []netip.AddrPort{addr}, LinkKey: linkKey, CircuitKey: circuitKey,
		LinkVersions: directory.VersionsOf(1), HopVersions: directory.VersionsOf(1), Weight: 1000,
		Flags: directory.AllFlags &^ directory.Exit, FirstListed: directory.Day(time.Now())}
	if exit {
		cfg.Policy = directory.AcceptAll()
		entry.Flags |= directory.Exit
		entry.Ports, entry.Ports6 = cfg.Policy.Summary()
	}
	r, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }() // ends with ctx
	nw.relays = append(nw.relays, &testRelay{r, set, addr, stop})
	t.Cleanup(func() {
		stop()
		if err := r.Close(); err != nil {
			t.Errorf("close relay: %v", err)
		}
	})
	select {
	case <-r.Ready():
	case err := <-done:
		t.Fatalf("run relay: %v", err)
	}
	return entry
}

func (nw *testNet) named(name string) *testRelay {
	for i, r := range nw.relays {
		if fmt.Sprintf("relay%d", i) == name {
			return r
		}
	}
	nw.t.Fatalf("no relay %s", name)
	return nil
}

// open opens a client and returns it with the time that it took.
func (nw *testNet) open(dir string, notify func(client.Event)) (*client.Client, time.Duration) {
	nw.t.Helper()
	ctx, cancel := context.WithTimeout(nw.t.Context(), patience)
	defer cancel()
	began := time.Now()
	cfg := client.Config{Network: nw.file, StateDir: dir, Notify: notify}
	if nw.memory != nil {
		cfg.Transport, _ = nw.host(255)
	}
	c, err := client.Open(ctx, cfg)
	if err != nil {
		nw.t.Fatalf("Open: %v", err)
	}
	return c, time.Since(began)
}

// site is a server on loopback that sends back what it gets.
func site(t *testing.T) (host string, port uint16) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() { // ends with the listener
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { // ends with the connection
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	return addr.Addr().String(), addr.Port()
}

// exchange sends a text and has it back, the end included.
func exchange(t *testing.T, conn net.Conn, text string) error {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { // ends with the connection
		_, err := io.Copy(conn, strings.NewReader(text))
		if err == nil {
			err = conn.(*client.Conn).CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("sent %d bytes, got %d back", len(text), len(got))
	}
	return <-sent
}

// The whole way over real links: first start from a mirror, streams, look-ups,
// refusals, a second start from the disk.
func TestClientOnARealNetwork(t *testing.T) {
	nw := newNet(t, 5, 2)
	host, port := site(t)
	dir := t.TempDir()
	var last client.Event
	c, took := nw.open(dir, func(e client.Event) { last = e })
	t.Logf("first start: %v", took) // how long it may take: TestStartTakesNoIdleRoundTrip

	conn, err := c.DialContext(t.Context(), "tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		t.Fatal(err)
	}
	hops, ok := client.CircuitHops(conn)
	if !ok || len(hops) != 3 || hops[0].ID == hops[1].ID || hops[1].ID == hops[2].ID || hops[0].ID == hops[2].ID {
		t.Errorf("hops %v", hops)
	}
	if err := exchange(t, conn, strings.Repeat("through three relays\n", 50_000)); err != nil {
		t.Errorf("a stream: %v", err)
	}
	if _, err := c.Dial(t.Context(), client.Request{Host: host, Port: 1}); err == nil {
		t.Error("a port where nobody listens answered")
	} else if e, ok := err.(*client.Error); !ok || e.Code != client.Refused || strings.Contains(err.Error(), host) {
		t.Errorf("a port where nobody listens: %v", err)
	}
	answer, err := c.Resolve(t.Context(), cell.ResolveRequest{Host: "localhost"}, "")
	if err != nil || len(answer.Answers) == 0 || !answer.Answers[0].Addr.IsLoopback() {
		t.Errorf("Resolve: %v, %v", answer, err)
	}
	s := c.Status()
	if s.Phase != client.Ready || len(s.Guards) != 5 || len(s.Links) == 0 || s.Read < 1e6 || s.Consensus.Relays != 5 {
		t.Errorf("status %+v", s)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if last.Phase != client.Closed {
		t.Errorf("last event %v", last)
	}

	again, took := nw.open(dir, nil)
	defer again.Close()
	t.Logf("second start: %v", took) // how long it may take: TestSecondStartIsReadyAtOnce
	if g := again.Status().Guards[0]; g.ID != s.Guards[0].ID || !g.Confirmed {
		t.Error("another guard than before")
	}
}

// Relays that die during load cost no later request.
func TestRelaysDieUnderLoad(t *testing.T) {
	nw := newNet(t, 7, 3)
	host, port := site(t)
	c, _ := nw.open(t.TempDir(), nil)
	defer c.Close()
	var requests, slowest atomic.Int64
	request := func(user int) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		began := time.Now()
		conn, err := c.Dial(ctx, client.Request{Host: host, Port: port, Isolation: fmt.Sprint(user)})
		if err != nil {
			t.Errorf("request: %v", err)
			return
		}
		took := int64(time.Since(began))
		for old := slowest.Load(); took > old && !slowest.CompareAndSwap(old, took); old = slowest.Load() {
		}
		requests.Add(1)
		_ = exchange(t, conn, "hello") // streams that were open may end
	}
	conn, err := c.Dial(t.Context(), client.Request{Host: host, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	hops, _ := client.CircuitHops(conn)
	conn.Close()
	end := time.Now().Add(2 * time.Second)
	var users sync.WaitGroup
	for user := range 6 {
		users.Go(func() {
			for time.Now().Before(end) {
				request(user)
				time.Sleep(5 * time.Millisecond) // an exit takes 100 streams a second on a circuit
			}
		})
	}
	for i, hop := range []int{0, 2} { // the guard, then an exit
		time.Sleep(time.Until(end.Add(-time.Duration(2-i) * 700 * time.Millisecond)))
		if err := nw.named(hops[hop].Nickname).Close(); err != nil {
			t.Errorf("close relay: %v", err)
		}
	}
	users.Wait()
	t.Logf("%d requests, the slowest took %v", requests.Load(), time.Duration(slowest.Load()))
	for _, s := range c.Status().Circuits {
		for _, h := range s.Hops {
			if dead := h.ID == hops[0].ID || h.ID == hops[2].ID; dead && s.State != "building" {
				t.Errorf("a circuit through a dead relay is in the pool: %v", s.State)
			}
		}
	}
}

// A link that turns out to be dead is no reason to blame the guard: the first
// hop is tried once more, over a new link, and not twice.
func TestDeadLinkIsReplacedOnce(t *testing.T) {
	nw := newNet(t, 3, 1)
	r := nw.relays[0]
	public, _ := r.set.Link()
	target := link.Target{ID: r.ID(), Key: public, Addrs: []netip.AddrPort{r.addr}}
	lost := errors.New("lost")
	for dead, want := range map[int]error{0: nil, 1: nil, 2: lost} {
		links := map[*link.Link]bool{}
		err := client.FirstHop(t.Context(), nw.file, target, func(l *link.Link) (*circuit.Circuit, error) {
			links[l] = true
			if len(links) <= dead {
				l.Close()
				<-l.Done()
				return nil, lost
			}
			return nil, nil
		})
		if !errors.Is(err, want) || len(links) != min(dead+1, 2) {
			t.Errorf("%d dead links: %v over %d links, want %v", dead, err, len(links), want)
		}
	}
}
