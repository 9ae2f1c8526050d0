package circuit_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/circuit"
	"tunic/circuit/handshake"
	"tunic/directory/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLimit bounds every wait of a test that runs in real time: long enough for a
// busy machine with the race detector on.
const testLimit = 20 * time.Second

// network is a few relays in one process, and what they have in common.
type network struct {
	t         testing.TB
	params    circuit.Params
	limits    link.Limits // of relays made from now on
	transport link.Transport
	relays    []*relay
}

// newNetwork starts n relays on links over the loopback interface.
func newNetwork(t testing.TB, n int) *network {
	t.Helper()
	return newNetworkOn(t, n, link.TCP{})
}

// newMemoryNetwork starts n relays on links in memory.
func newMemoryNetwork(t testing.TB, n int) *network {
	t.Helper()
	return newNetworkOn(t, n, linktest.NewMemory().At(netip.MustParseAddr("127.0.0.1")))
}

func newNetworkOn(t testing.TB, n int, tr link.Transport) *network {
	t.Helper()
	nw := &network{t: t, transport: tr, params: circuit.Params{Network: linktest.Network}}
	for range n {
		nw.relays = append(nw.relays, newRelay(nw))
	}
	return nw
}

// infos returns what a client knows of the relays, in their order.
func (nw *network) infos() []circuit.HopInfo {
	var all []circuit.HopInfo
	for _, r := range nw.relays {
		all = append(all, circuit.HopInfo{ID: r.keys.ID, Key: r.circuitKey.Public()})
	}
	return all
}

// relay is a small relay: enough of package relay to answer CREATE, extend, and
// serve a few streams.
type relay struct {
	nw         *network
	keys       *linktest.Relay
	circuitKey *keys.CircuitKey
	addr       netip.AddrPort
	pool       *link.Pool
	replay     *hybrid.Replay
	work       sync.WaitGroup // streams and handshakes

	begin  func(s *circuit.Stream, req cell.BeginRequest) // nil: serve
	extend func(h *circuit.Hop, to keys.RelayID)          // nil: extendTo

	beginDir func(s *circuit.Stream) // nil: one line

	rawHops    atomic.Pointer[chan *rawHop] // if set, the relay's hops are raw, and arrive here
	before     cell.Command                 // what a raw hop sends before CREATED; 0 for nothing
	answerWith func(answerer)               // if set, what the relay answers to CREATE

	mu       sync.Mutex
	creating map[creation]*cell.Assembler
	hops     map[*circuit.Hop]bool
	last     *circuit.Hop
}

// creation names a circuit whose CREATE is arriving.
type creation struct {
	link *link.Link
	id   cell.CircuitID
}

func newRelay(nw *network) *relay {
	r := &relay{
		nw:         nw,
		keys:       linktest.NewRelay(),
		circuitKey: keys.GenerateCircuit(),
		replay:     hybrid.NewReplay(),
		creating:   map[creation]*cell.Assembler{},
		hops:       map[*circuit.Hop]bool{},
	}
	cfg := r.keys.Config(r)
	cfg.Transport, cfg.Limits = nw.transport, nw.limits
	r.pool = linktest.NewPool(nw.t, cfg)
	r.addr = linktest.Serve(nw.t, r.pool, nw.transport, "127.0.0.1")
	nw.t.Cleanup(r.close)
	return r
}

func (r *relay) close() {
	r.pool.Close()
	r.work.Wait()
}

func (r *relay) target() link.Target { return r.keys.Target(r.addr) }

// NewCircuit puts CREATE together and answers it on another goroutine.
func (r *relay) NewCircuit(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, _ *link.Batch) {
	switch cmd {
	case cell.CreateDir:
		x, err := cell.ParseDirNonce(body)
		if err != nil {
			l.Refuse(id, cell.ReasonProtocol)
			return
		}
		y := [32]byte{1, 2, 3}
		r.accept(l, id, handshake.DirKeys((*[32]byte)(&x), &y, l.Binding()), circuit.KindDir, y[:])
	case cell.Create:
		whole, err := r.assemble(creation{l, id}, body)
		if err != nil {
			l.Refuse(id, cell.ReasonProtocol)
			return
		}
		if whole != nil {
			r.work.Go(func() { r.answer(l, id, whole) })
		}
	}
}

func (r *relay) assemble(c creation, body []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.creating[c]
	if a == nil {
		a = new(cell.Assembler)
		r.creating[c] = a
	}
	whole, err := a.Add(body)
	if whole != nil || err != nil {
		delete(r.creating, c)
	}
	return whole, err
}

func (r *relay) answer(l *link.Link, id cell.CircuitID, msg []byte) {
	reply, result, err := handshake.Answer(r.nw.params.Network, r.keys.ID, r.circuitKey, msg, r.nw.params.Grant, r.replay)
	if err != nil {
		l.Refuse(id, cell.ReasonKey)
		return
	}
	r.accept(l, id, result, circuit.KindTransit, reply)
}

func (r *relay) accept(l *link.Link, id cell.CircuitID, result *handshake.Result, k circuit.Kind, reply []byte) {
	if r.answerWith != nil {
		if lc, err := l.Accept(id, deaf{}); err == nil {
			r.answerWith(lc)
		}
		return
	}
	if r.rawHops.Load() != nil {
		r.acceptRaw(l, id, result, k == circuit.KindDir, reply)
		return
	}
	h, err := circuit.NewHop(l, id, result, k, r, r.nw.params)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.hops[h], r.last = true, h
	r.mu.Unlock()
	h.SendCreated(reply)
}

// answerer is what answers a CREATE.
type answerer interface {
	Push(*cell.Slot, cell.Command, *link.Batch) error
}

// deaf is a receiver that does nothing.
type deaf struct{}

func (deaf) Receive(*link.Circuit, cell.Command, []byte, *link.Batch) {}
func (deaf) LinkClosed(*link.Circuit)                                 {}

// LinkClosed is part of link.Handler.
func (r *relay) LinkClosed(*link.Link) {}

// Extend is part of circuit.Owner.
func (r *relay) Extend(h *circuit.Hop, to keys.RelayID, _ []byte) {
	if r.extend != nil {
		r.extend(h, to)
		return
	}
	r.work.Go(func() { r.extendTo(h, to) })
}

func (r *relay) extendTo(h *circuit.Hop, to keys.RelayID) {
	l, err := r.dial(to)
	switch {
	case errors.Is(err, errUnknownRelay):
		h.Fail(cell.ReasonIdentity)
	case err != nil:
		h.Fail(cell.ReasonConnect)
	default:
		h.ExtendOn(l)
	}
}

var errUnknownRelay = errors.New("relay unknown")

// dial returns a link to another relay of the network.
func (r *relay) dial(to keys.RelayID) (*link.Link, error) {
	for _, other := range r.nw.relays {
		if other.keys.ID == to && other != r {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return r.pool.Dial(ctx, other.target())
		}
	}
	return nil, errUnknownRelay
}

// Begin is part of circuit.Owner.
func (r *relay) Begin(s *circuit.Stream, req cell.BeginRequest) {
	if r.begin != nil {
		r.begin(s, req)
		return
	}
	r.work.Go(func() { serve(s, req) })
}

// connectedNowhere is what a relay says of a stream to its directory.
var connectedNowhere = cell.ConnectedReply{}

// BeginDir is part of circuit.Owner.
func (r *relay) BeginDir(s *circuit.Stream) {
	if r.beginDir != nil {
		r.beginDir(s)
		return
	}
	r.work.Go(func() {
		defer s.Close()
		if s.Connect(cell.ConnectedReply{}) == nil {
			io.WriteString(s, "directory\n")
			s.CloseWrite()
			io.Copy(io.Discard, s)
		}
	})
}

// Resolve is part of circuit.Owner.
func (r *relay) Resolve(h *circuit.Hop, id cell.StreamID, req cell.ResolveRequest) {
	reply := cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerNotFound}}}
	switch {
	case req.Reverse:
		reply.Answers[0] = cell.Answer{Kind: cell.AnswerName, Name: "name.example", TTL: 60}
	case req.Host == "two.example":
		reply.Answers = []cell.Answer{
			{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr("192.0.2.1"), TTL: 60},
			{Kind: cell.AnswerIPv6, Addr: netip.MustParseAddr("2001:db8::1"), TTL: 60},
		}
	case req.Host == "never.example":
		return
	}
	h.Resolved(id, reply)
}

// HopClosed is part of circuit.Owner.
func (r *relay) HopClosed(h *circuit.Hop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.hops, h)
}

// newest returns the hop that was made last.
func (r *relay) newest() *circuit.Hop {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// only returns the one hop that the relay has.
func (r *relay) only(t testing.TB) *circuit.Hop {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.hops) != 1 {
		t.Fatalf("relay has %d hops, want 1", len(r.hops))
	}
	for h := range r.hops {
		return h
	}
	return nil
}

// serveAny has the relay connect streams to any destination that serve does not know,
// and treat them with f.
func (r *relay) serveAny(f func(*circuit.Stream)) {
	r.begin = func(s *circuit.Stream, req cell.BeginRequest) {
		r.work.Go(func() {
			if req.Host != "any" {
				serve(s, req)
				return
			}
			defer s.Close()
			if s.Connect(cell.ConnectedReply{}) == nil {
				f(s)
			}
		})
	}
}

// serve is an exit whose destinations are named after what they do.
func serve(s *circuit.Stream, req cell.BeginRequest) {
	defer s.Close()
	switch req.Host {
	case "refuse":
		s.Refuse(cell.EndRefused)
		return
	case "silent":
		<-s.Done()
		return
	}
	if s.Connect(cell.ConnectedReply{Addr: netip.MustParseAddr("192.0.2.7"), TTL: 300}) != nil {
		return
	}
	switch req.Host {
	case "echo":
		if _, err := s.WriteTo(onlyWriter{s}); err == nil {
			s.CloseWrite()
		}
	case "sum": // the digest of what came
		h := sha256.New()
		if _, err := io.Copy(h, s); err == nil {
			s.Write(h.Sum(nil))
			s.CloseWrite()
		}
	case "source": // port KiB of noise
		s.ReadFrom(io.LimitReader(newNoise(), int64(req.Port)<<10))
		s.CloseWrite()
		io.Copy(io.Discard, s)
	case "endless":
		s.ReadFrom(endless{})
	case "slow": // reads a little now and then
		for buf := make([]byte, 100_000); ; {
			if _, err := s.Read(buf); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	case "hold": // neither reads nor writes
		<-s.Done()
	case "reset":
		s.Refuse(cell.EndReset)
	}
}

// onlyWriter hides ReadFrom, so that io.Copy uses Write.
type onlyWriter struct{ io.Writer }

// endless is zeros without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// noise is bytes without a pattern that could hide a lost or repeated cell.
type noise struct {
	block [sha256.Size]byte
	n     int
}

func newNoise() *noise { return &noise{} }

func (g *noise) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if g.n == 0 {
			g.block = sha256.Sum256(g.block[:])
		}
		k := copy(p[n:], g.block[g.n:])
		g.n = (g.n + k) % len(g.block)
		n += k
	}
	return n, nil
}

// noiseSum returns the digest of the first n bytes of noise.
func noiseSum(n int64) [sha256.Size]byte {
	h := sha256.New()
	io.CopyN(h, newNoise(), n)
	return [sha256.Size]byte(h.Sum(nil))
}

// client is a node that only dials.
type client struct {
	nw   *network
	pool *link.Pool
}

func newClient(nw *network) *client {
	c := &client{nw: nw, pool: link.NewPool(link.Config{Network: nw.params.Network, Transport: nw.transport})}
	nw.t.Cleanup(func() { c.pool.Close() })
	return c
}

// link dials the first relay, or returns the link that there is.
func (c *client) link() *link.Link {
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	l, err := c.pool.Dial(ctx, c.nw.relays[0].target())
	if err != nil {
		c.nw.t.Fatal(err)
	}
	return l
}

// build opens a circuit over the first hops relays.
func (c *client) build(hops int) *circuit.Circuit {
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	infos := c.nw.infos()
	circ, err := circuit.Open(ctx, c.link(), infos[0], c.nw.params)
	if err != nil {
		c.nw.t.Fatal(err)
	}
	for _, h := range infos[1:hops] {
		if err := circ.Extend(ctx, h); err != nil {
			c.nw.t.Fatal(err)
		}
	}
	return circ
}

// within runs f and fails the test when it takes too long.
func within(t testing.TB, what string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(testLimit):
		t.Fatalf("%s: still not done after %v", what, testLimit)
	}
}

// gone waits until the circuit is gone and returns why.
func gone(t testing.TB, c interface {
	Done() <-chan struct{}
	Err() error
}) error {
	t.Helper()
	select {
	case <-c.Done():
		return c.Err()
	case <-time.After(testLimit):
		t.Fatal("circuit lives on")
		return nil
	}
}

// livesOn shows that another circuit of the link took no harm.
func livesOn(t testing.TB, bystander *circuit.Circuit) {
	t.Helper()
	if err := echo(bystander); err != nil {
		t.Errorf("another circuit of the link: %v", err)
	}
}

// echo shows that the circuit works.
func echo(c *circuit.Circuit) error {
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	s, err := c.Dial(ctx, "echo", 7, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(testLimit))
	want := "what goes out must come back"
	if _, err := io.WriteString(s, want); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(s)
	if err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("echo returned %q", got)
	}
	return nil
}
