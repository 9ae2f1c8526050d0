package relay_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/circuit"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
	"tunic/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test in real time.
const patience = 8 * time.Second

// A testNet is a network of one authority, which says what the test wants, and of
// real relays, on real links over loopback.
type testNet struct {
	t         testing.TB
	network   *directory.Network
	params    circuit.Params
	set       []directory.Param // by the consensus
	memory    *linktest.Memory  // nil: TCP on loopback
	hosts     byte              // in memory
	authority *testAuthority
	relays    []*testRelay
}

// A testRelay is a relay that runs.
type testRelay struct {
	*relay.Relay
	keys *keys.Set
	stop context.CancelFunc
	done chan error
}

// A testAuthority has a real link and directory, and a will of its own.
type testAuthority struct {
	testRelay
	source   *source
	serve    http.Handler
	reaches  atomic.Bool
	refuses  atomic.Int64 // uploads, from now on
	patience time.Duration
	fetches  atomic.Int64 // of the consensus

	mu          sync.Mutex
	descriptors map[keys.RelayID]*directory.Descriptor
	uploads     int
	news        chan struct{} // closed and made anew at each upload
}

// source is a consensus that a test sets.
type source struct {
	b atomic.Pointer[directory.Bundle]
}

func (s *source) Current() *directory.Bundle { return s.b.Load() }

// options say what is special about a network.
type options struct {
	public bool          // no private addresses
	memory bool          // in memory, for virtual time
	period time.Duration // 0: a minute
	config func(i int, c *relay.Config)
}

// newNet starts n relays. They are published, and in a consensus that all have,
// when it returns.
func newNet(t testing.TB, n int, o options) *testNet {
	t.Helper()
	nw := newEmptyNet(t, o)
	for i := range n {
		nw.add(o, i)
	}
	nw.publish()
	return nw
}

// newEmptyNet starts an authority.
func newEmptyNet(t testing.TB, o options) *testNet {
	t.Helper()
	nw := &testNet{t: t}
	if o.memory {
		nw.memory = linktest.NewMemory()
	}
	if o.period == 0 {
		o.period = time.Minute
	}
	set, err := keys.LoadOrCreateAuthority(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	public, _ := set.Link()
	note, _ := set.Note()
	transport, addr := nw.host()
	nw.network = &directory.Network{
		Name: "test.example", PrivateAddresses: !o.public, SameSubnet: true,
		Timing:      directory.Timing{Start: time.Now().Add(-time.Hour).Truncate(time.Second).UTC(), Period: o.period, VoteRound: time.Second, SignTime: time.Second},
		Authorities: []directory.Authority{{Name: "auth1", ID: set.ID(), LinkKey: public, NoteKey: note.Public(), Addrs: []netip.AddrPort{addr}}},
	}
	nw.params.Network = nw.network.Digest()
	a := &testAuthority{source: new(source), descriptors: make(map[keys.RelayID]*directory.Descriptor), news: make(chan struct{}), patience: patience}
	if o.memory {
		a.patience = time.Hour // of virtual time
	}
	a.reaches.Store(true)
	a.serve = mirror.NewHandler(mirror.HandlerConfig{Source: a.source})
	nw.authority = a
	r, err := relay.New(relay.Config{
		Network: nw.network, Keys: set, Dir: t.TempDir(), Listen: []netip.AddrPort{addr},
		Directory: nw.authority.handler(nw), Source: a.source, Transport: transport, Log: testLog(t, "authority"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.testRelay = *nw.run(r, set)
	return nw
}

// host returns the transport of a new host, and an address that it can listen on.
func (nw *testNet) host() (link.Transport, netip.AddrPort) {
	nw.t.Helper()
	if nw.memory != nil {
		nw.hosts++
		addr := netip.AddrFrom4([4]byte{10, nw.hosts, 0, 1})
		return nw.memory.At(addr), netip.AddrPortFrom(addr, 9001)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		nw.t.Fatal(err)
	}
	return given{link.TCP{}, ln}, ln.Addr().(*net.TCPAddr).AddrPort()
}

// given is a transport that has a listener already.
type given struct {
	link.Transport
	ln net.Listener
}

func (g given) Listen(netip.AddrPort) (net.Listener, error) { return g.ln, nil }

// testLog shows what a relay logs when the test fails.
func testLog(t testing.TB, name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("relay", name)
}

// handler answers as an authority does that believes everybody.
func (a *testAuthority) handler(nw *testNet) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tunic/1/test", func(w http.ResponseWriter, _ *http.Request) {
		if a.reaches.Load() {
			io.WriteString(w, "reached\n")
		} else {
			io.WriteString(w, "not reached\n")
		}
	})
	mux.HandleFunc("POST "+mirror.PathDescriptor, func(w http.ResponseWriter, r *http.Request) {
		b, err := mirror.ReadBody(w, r, directory.MaxDescriptor)
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		d, err := directory.ParseDescriptor(b, nw.network, time.Now())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if a.refuses.Add(-1) >= 0 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		a.mu.Lock()
		a.descriptors[d.ID] = d
		a.uploads++
		close(a.news)
		a.news = make(chan struct{})
		a.mu.Unlock()
		io.WriteString(w, "accepted\n")
	})
	mux.HandleFunc("GET "+mirror.PathConsensus, func(w http.ResponseWriter, r *http.Request) {
		a.fetches.Add(1)
		a.serve.ServeHTTP(w, r)
	})
	return mux
}

// await waits until a descriptor of id is there that ok accepts.
func (a *testAuthority) await(t testing.TB, id keys.RelayID, ok func(*directory.Descriptor) bool) *directory.Descriptor {
	t.Helper()
	limit := time.After(a.patience)
	for {
		a.mu.Lock()
		d, news := a.descriptors[id], a.news
		a.mu.Unlock()
		if d != nil && ok(d) {
			return d
		}
		select {
		case <-news:
		case <-limit:
			t.Fatal("no such descriptor has come")
		}
	}
}

func whatever(*directory.Descriptor) bool { return true }

// add starts a relay that is an exit of every port.
func (nw *testNet) add(o options, i int) *testRelay {
	nw.t.Helper()
	set, err := keys.LoadOrCreate(nw.t.TempDir(), time.Now())
	if err != nil {
		nw.t.Fatal(err)
	}
	transport, addr := nw.host()
	c := relay.Config{
		Network: nw.network, Keys: set, Dir: nw.t.TempDir(), Listen: []netip.AddrPort{addr}, Address: []netip.AddrPort{addr},
		Nickname: fmt.Sprintf("relay%d", i), Transit: true, Policy: directory.AcceptAll(),
		Transport: transport, Log: testLog(nw.t, fmt.Sprintf("relay%d", i)),
	}
	if o.config != nil {
		o.config(i, &c)
	}
	r, err := relay.New(c)
	if err != nil {
		nw.t.Fatal(err)
	}
	tr := nw.run(r, set)
	nw.relays = append(nw.relays, tr)
	return tr
}

// run runs r until the end of the test.
func (nw *testNet) run(r *relay.Relay, set *keys.Set) *testRelay {
	nw.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	tr := &testRelay{Relay: r, keys: set, stop: stop, done: make(chan error, 1)}
	go func() { tr.done <- r.Run(ctx); close(tr.done) }() // ends with ctx
	nw.t.Cleanup(func() {
		stop()
		if err := r.Close(); err != nil {
			nw.t.Errorf("close: %v", err)
		}
	})
	select {
	case <-r.Ready():
	case err := <-tr.done:
		nw.t.Fatalf("run: %v", err)
	}
	return tr
}

// publish waits for the descriptors of all relays, makes a consensus of them, and
// waits until all relays have it.
func (nw *testNet) publish() {
	nw.t.Helper()
	var list []directory.Relay
	for _, r := range nw.relays {
		list = append(list, nw.authority.await(nw.t, r.ID(), whatever).Relay())
	}
	nw.setConsensus(list)
	for _, r := range nw.relays {
		nw.waitFor("the consensus", func() bool { return !r.Status().Consensus.IsZero() })
	}
}

// waitFor waits for a state that nobody announces.
func (nw *testNet) waitFor(what string, ok func() bool) {
	nw.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			nw.t.Fatalf("%s did not come about", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// setConsensus has the authority serve a consensus of the given relays.
func (nw *testNet) setConsensus(list []directory.Relay) {
	nw.t.Helper()
	for i := range list {
		list[i].Flags = directory.AllFlags
		list[i].Weight = 1000
	}
	slices.SortFunc(list, func(a, b directory.Relay) int { return directory.CompareID(a.ID, b.ID) })
	round, ok := nw.network.RoundAt(time.Now())
	if !ok {
		nw.t.Fatal("no round yet")
	}
	c := &directory.Consensus{
		Method: 1, Network: nw.network.Name, NetworkID: nw.network.Digest(),
		ValidAfter: round.ValidAfter, FreshUntil: round.FreshUntil, ValidUntil: round.ValidUntil,
		Params: nw.set, Weights: directory.WeightsOf(list), Relays: list,
	}
	doc, err := c.Encode()
	if err != nil {
		nw.t.Fatal(err)
	}
	var h *directory.History
	cp, _, err := h.Next(nw.network, c.ValidAfter, doc)
	if err != nil {
		nw.t.Fatal(err)
	}
	s := &directory.SignedCheckpoint{Checkpoint: *cp}
	key, cert := nw.authority.keys.Note()
	if err := s.Sign(cert, key); err != nil {
		nw.t.Fatal(err)
	}
	b, err := directory.NewBundle(s, doc, nw.network)
	if err != nil {
		nw.t.Fatal(err)
	}
	nw.authority.source.b.Store(b)
}

// target returns how to dial a relay.
func (r *testRelay) target() link.Target {
	public, _ := r.keys.Link()
	return link.Target{ID: r.ID(), Key: public, Addrs: r.Status().Listen}
}

// hop returns what a client knows of it.
func (r *testRelay) hop() circuit.HopInfo {
	public, _ := r.keys.Circuit()
	return circuit.HopInfo{ID: r.ID(), Key: public}
}

// client returns the links of a client; as a relay's if set is not nil.
func (nw *testNet) client(set *keys.Set) *link.Pool {
	c := link.Config{Network: nw.network.Digest()}
	if nw.memory != nil {
		c.Transport, _ = nw.host()
	}
	if set != nil {
		c.ID, c.Proof = set.ID(), set.Proof
	}
	p := link.NewPool(c)
	nw.t.Cleanup(func() { p.Close() })
	return p
}

// dial links a client to a relay.
func (nw *testNet) dial(p *link.Pool, r *testRelay) *link.Link {
	nw.t.Helper()
	l, err := p.Dial(nw.ctx(), r.target())
	if err != nil {
		nw.t.Fatalf("dial: %v", err)
	}
	return l
}

// ctx returns a context that lasts as long as a test is patient.
func (nw *testNet) ctx() context.Context {
	ctx, cancel := context.WithTimeout(nw.t.Context(), patience)
	nw.t.Cleanup(cancel)
	return ctx
}

// circuit opens a circuit of a client through the given relays.
func (nw *testNet) circuit(p *link.Pool, path ...*testRelay) *circuit.Circuit {
	nw.t.Helper()
	c, err := circuit.Open(nw.ctx(), nw.dial(p, path[0]), path[0].hop(), nw.params)
	if err != nil {
		nw.t.Fatalf("open: %v", err)
	}
	nw.t.Cleanup(func() { c.Close() })
	for _, r := range path[1:] {
		if err := c.Extend(nw.ctx(), r.hop()); err != nil {
			nw.t.Fatalf("extend: %v", err)
		}
	}
	return c
}
