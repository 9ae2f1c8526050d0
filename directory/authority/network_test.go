package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link"
	"tunic/cell/work"
	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

// testNet is a network of authorities in memory: real HTTP over pipes, in
// virtual time.
type testNet struct {
	*directorytest.Network // without private keys: those are in sets
	t                      *testing.T
	dir                    string
	sets                   []*keys.Set
	nodes                  []*testNode // nil where none runs

	latency time.Duration
	mu      sync.Mutex
	cut     func(from, to int) error              // what dialling fails with, nil: nothing is cut
	up      map[keys.RelayID]*directorytest.Relay // relays that answer
}

// testNode is a running authority.
type testNode struct {
	*Authority
	listener *mirror.Listener
	server   *http.Server
	stop     context.CancelFunc
	done     chan struct{}
}

var (
	errCut  = errors.New("connection refused")
	errHole = errors.New("nobody answers") // for testNet.cut: dialling takes for ever
)

// newTestNet makes a network whose timeline begins now; none of its authorities
// run yet.
func newTestNet(t *testing.T, authorities int) *testNet {
	t.Helper()
	time.Sleep(time.Until(epoch)) // certificates of package directorytest hold then
	n := &directory.Network{Name: "test", PrivateAddresses: true, Timing: directory.TestTiming(time.Now())}
	tn := &testNet{
		Network: &directorytest.Network{Network: n}, t: t, dir: t.TempDir(),
		nodes: make([]*testNode, authorities), latency: 10 * time.Millisecond,
		up: make(map[keys.RelayID]*directorytest.Relay),
	}
	for i := range authorities {
		set, err := keys.LoadOrCreateAuthority(filepath.Join(tn.dir, fmt.Sprint("keys", i)), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		linkKey, _ := set.Link()
		tn.sets = append(tn.sets, set)
		n.Authorities = append(n.Authorities, directory.Authority{
			Name: fmt.Sprint("auth", i), ID: set.ID(), LinkKey: linkKey,
			Addrs: []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)}), 9001)},
		})
	}
	return tn
}

// start runs authority i.
func (tn *testNet) start(i int) *testNode {
	tn.t.Helper()
	a, err := newAuthority(Config{
		Network: tn.Network.Network, Keys: tn.sets[i], Dir: filepath.Join(tn.dir, fmt.Sprint("state", i)),
		Log: slog.New(slog.NewTextHandler(testLog{tn.t, i}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}, tn.dialerOf(i), tn.test)
	if err != nil {
		tn.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	node := &testNode{Authority: a, listener: mirror.NewListener(), server: mirror.NewServer(a.Handler(nil)), stop: cancel, done: make(chan struct{})}
	go func() { _ = node.server.Serve(node.listener) }() // ends with stopNode
	go func() { defer close(node.done); _ = a.Run(ctx) }()
	tn.mu.Lock()
	tn.nodes[i] = node
	tn.mu.Unlock()
	return node
}

// testLog shows an authority's log with the test.
type testLog struct {
	t *testing.T
	i int
}

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("authority %d: %s", l.i, bytes.TrimSpace(p))
	return len(p), nil
}

// stopNode ends authority i as a closed process would.
func (tn *testNet) stopNode(i int) {
	tn.t.Helper()
	tn.mu.Lock()
	node := tn.nodes[i]
	tn.nodes[i] = nil
	tn.mu.Unlock()
	if node == nil {
		return
	}
	node.stop()
	<-node.done
	_ = node.listener.Close()
	_ = node.server.Close()
	if err := node.Close(); err != nil {
		tn.t.Errorf("close authority %d: %v", i, err)
	}
}

func (tn *testNet) stopAll() {
	for i := range tn.nodes {
		tn.stopNode(i)
	}
}

// dialerOf returns how authority i opens streams to the others.
func (tn *testNet) dialerOf(i int) dialer {
	return func(ctx context.Context, to *directory.Authority) (net.Conn, error) {
		return tn.dial(ctx, i, tn.indexOf(to.ID), mirror.Peer{ID: tn.sets[i].ID(), Class: work.Authority, Link: uint64(i + 1)})
	}
}

func (tn *testNet) dial(ctx context.Context, from, to int, as mirror.Peer) (net.Conn, error) {
	if err := sleepUntil(ctx, time.Now().Add(tn.latency)); err != nil {
		return nil, err
	}
	tn.mu.Lock()
	node, cut := tn.nodes[to], tn.cut
	tn.mu.Unlock()
	if cut != nil {
		switch err := cut(from, to); err {
		case nil:
		case errHole:
			<-ctx.Done()
			return nil, ctx.Err()
		default:
			return nil, err
		}
	}
	if node == nil {
		return nil, errCut
	}
	near, far := net.Pipe()
	if err := node.listener.Offer(far, as); err != nil {
		near.Close()
		far.Close()
		return nil, err
	}
	return near, nil
}

func (tn *testNet) indexOf(id keys.RelayID) int {
	for i, s := range tn.sets {
		if s.ID() == id {
			return i
		}
	}
	return -1
}

// test is a link to a relay: it works at a relay's own address.
func (tn *testNet) test(ctx context.Context, to link.Target) (time.Duration, error) {
	if err := sleepUntil(ctx, time.Now().Add(tn.latency)); err != nil {
		return 0, err
	}
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if r := tn.up[to.ID]; r != nil && r.Descriptor.Addrs[0] == to.Addrs[0] && r.Link.Public() == to.Key {
		return tn.latency, nil
	}
	return 0, errCut
}

// client returns what speaks to authority i as a stranger, or as authority as.
func (tn *testNet) client(to, as int) *mirror.Client {
	peer := mirror.Peer{Link: 1000}
	if as >= 0 {
		peer = mirror.Peer{ID: tn.sets[as].ID(), Class: work.Authority, Link: uint64(2000 + as)}
	}
	return &mirror.Client{Dial: func(ctx context.Context) (net.Conn, error) { return tn.dial(ctx, as, to, peer) }}
}

// dialAs opens streams to authority i on a link that proved what p says.
func (tn *testNet) dialAs(i int, p mirror.Peer) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return tn.dial(ctx, -1, i, p) }
}

// relays makes that many relays that answer and publish at the authorities that
// run.
func (tn *testNet) relays(count int) []*directorytest.Relay {
	tn.t.Helper()
	var list []*directorytest.Relay
	for i := range count {
		r := tn.NewRelay(i, time.Now())
		r.Descriptor.Policy = directory.AcceptAll()
		tn.mu.Lock()
		tn.up[r.Descriptor.ID] = r
		tn.mu.Unlock()
		list = append(list, r)
		for to, node := range tn.nodes {
			if node != nil {
				tn.publish(r, to)
			}
		}
	}
	return list
}

func (tn *testNet) publish(r *directorytest.Relay, to int) {
	tn.t.Helper()
	if err := tn.client(to, -1).Publish(context.Background(), r.Sign(tn.t)); err != nil {
		tn.t.Errorf("publish at authority %d: %v", to, err)
	}
}

// served returns what authority i serves, which must be the consensus of the
// i-th round.
func (tn *testNet) served(i int, round int64) *directory.Bundle {
	tn.t.Helper()
	b, err := tn.client(i, -1).Consensus(context.Background(), tn.Network.Network, nil)
	if err != nil {
		tn.t.Fatalf("round %d: consensus of authority %d: %v", round, i, err)
	}
	if want := tn.Round(round).ValidAfter; !b.Consensus.ValidAfter.Equal(want) {
		tn.t.Fatalf("round %d: authority %d serves the consensus of %v, want %v", round, i, b.Consensus.ValidAfter, want)
	}
	return b
}

// same checks that the given authorities serve the same consensus of a round,
// a moment after it became valid, and returns it.
func (tn *testNet) same(round int64, nodes ...int) *directory.Bundle {
	tn.t.Helper()
	time.Sleep(time.Until(tn.Round(round).ValidAfter.Add(30 * time.Millisecond)))
	first := tn.served(nodes[0], round)
	for _, i := range nodes[1:] {
		if b := tn.served(i, round); !bytes.Equal(b.Document(), first.Document()) {
			tn.t.Fatalf("round %d: authorities %d and %d serve different consensuses", round, nodes[0], i)
		}
	}
	return first
}

// inBubble runs a test of a network in virtual time.
func inBubble(t *testing.T, authorities int, test func(tn *testNet)) {
	synctest.Test(t, func(t *testing.T) {
		tn := newTestNet(t, authorities)
		defer tn.stopAll()
		test(tn)
	})
}

func TestAuthoritiesMakeAConsensusOfEveryPeriod(t *testing.T) {
	inBubble(t, 3, func(tn *testNet) {
		for i := range tn.nodes {
			tn.start(i)
		}
		relays := tn.relays(7)
		var last *directory.Bundle
		for round := range int64(13) {
			b := tn.same(round, 0, 1, 2)
			if got := len(b.Signed.Signers(tn.Network.Network)); got != 3 {
				tn.t.Errorf("round %d: %d signatures", round, got)
			}
			if got := len(b.Consensus.Relays); got != len(relays) {
				tn.t.Errorf("round %d: %d relays", round, got)
			}
			for _, r := range b.Consensus.Relays {
				if r.Flags != directory.AllFlags {
					tn.t.Errorf("round %d: a relay has the flags %v", round, r.Flags)
				}
			}
			if got := b.Signed.Checkpoint.Size; got != round {
				tn.t.Errorf("round %d: %d consensuses before it in the log", round, got)
			}
			if last != nil && b.Consensus.Previous != last.Signed.Checkpoint.Digest {
				tn.t.Errorf("round %d: previous is %v, want %v", round, b.Consensus.Previous, last.Signed.Checkpoint.Digest)
			}
			if len(b.Consensus.Votes) != 3 {
				tn.t.Errorf("round %d: %d votes", round, len(b.Consensus.Votes))
			}
			last = b
		}
	})
}
