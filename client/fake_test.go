package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit"
	"tunic/client/path"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// A world is a network without wires: relays that answer after a while, refuse,
// or say nothing, and exits that do what a test says.
type world struct {
	file  *directory.Network
	ahead time.Duration // the relays' clocks

	relaxed []string // rules of its consensus

	mu       sync.Mutex    // guards what follows
	latency  time.Duration // of one hop
	busy     time.Duration // that a handshake waits at each relay
	bundle   *directory.Bundle
	dead     map[keys.RelayID]bool // refuse at once
	silent   map[keys.RelayID]bool // never answer
	exit     func(host string, port uint16, exit string) verdict
	sources  func(t link.Target) error // what one asked for the consensus says; nil is fine
	asked    []keys.RelayID            // for the consensus
	guards   []keys.RelayID            // dialled for circuits
	circuits []*fakeCircuit
	begins   int
	full     int // how many BEGINs with early data find a window that never opens
}

// A verdict is what an exit says to a BEGIN.
type verdict struct {
	after time.Duration
	end   cell.EndReason // 0: connected
	never bool
	addr  netip.Addr
}

var errRefused = errors.New("connection refused")

func relayID(name string) keys.RelayID { return keys.RelayID(directory.DigestOf([]byte(name))) }

// newWorld makes a network of relays called a, b, c …, of which the last few
// are exits, each in a /16 of its own, and all of them guards.
func newWorld(t testing.TB, relays, exits int) *world {
	t.Helper()
	w := &world{relaxed: []string{rules.Small, rules.Test}, latency: 10 * time.Millisecond, dead: map[keys.RelayID]bool{}, silent: map[keys.RelayID]bool{}}
	w.file = &directory.Network{Name: "test", Timing: directory.DefaultTiming(time.Now())}
	w.file.Timing.Start = time.Now().Add(-100 * time.Hour)
	for i := range 3 {
		w.file.Authorities = append(w.file.Authorities, directory.Authority{Name: fmt.Sprint("auth", i), ID: relayID(fmt.Sprint("auth", i))})
	}
	var list []directory.Relay
	for i := range relays {
		name := string(rune('a' + i))
		r := directory.Relay{ID: relayID(name), Nickname: name, Weight: 1000, Flags: directory.AllFlags &^ directory.Exit,
			Addrs: []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 1}), 9001)}}
		if i >= relays-exits {
			r.Flags |= directory.Exit
			r.Ports = summary(t, "80,443,8000-9000")
			r.Ports6 = summary(t, "80,443")
		}
		r.Shares = directory.Shares{r.Weight, r.Weight, r.Weight}
		list = append(list, r)
	}
	w.publish(list)
	return w
}

func summary(t testing.TB, s string) directory.PortSummary {
	t.Helper()
	p, err := directory.ParsePortSummary(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// publish makes the relays the consensus of this moment.
func (w *world) publish(relays []directory.Relay) {
	relays = slices.Clone(relays)
	slices.SortFunc(relays, func(a, b directory.Relay) int { return directory.CompareID(a.ID, b.ID) })
	now := time.Now().UTC()
	period := w.file.Timing.Period
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bundle = &directory.Bundle{Consensus: &directory.Consensus{Method: 2, Network: w.file.Name, NetworkID: w.file.Digest(),
		ValidAfter: now, FreshUntil: now.Add(period), ValidUntil: now.Add(3 * period),
		Relaxed: w.relaxed, Relays: relays}}
}

func (w *world) relays() []directory.Relay { return w.bundle.Consensus.Relays }

// state returns what is the matter with a relay.
func (w *world) state(id keys.RelayID) (dead, silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead[id], w.silent[id]
}

// answer waits for a relay's answer.
func (w *world) answer(ctx context.Context, id keys.RelayID) error {
	dead, silent := w.state(id)
	switch {
	case dead:
		return errRefused
	case silent:
		<-ctx.Done()
		return context.Cause(ctx)
	}
	select {
	case <-time.After(w.hopTime() + w.queueTime()):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *world) hopTime() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latency
}

func (w *world) queueTime() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy
}

// keepBusy has handshakes wait at each relay.
func (w *world) keepBusy(wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = wait
}

// slow sets how long each hop takes.
func (w *world) slow(latency time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latency = latency
}

// hopLimit is how long the real network waits for a hop.
const hopLimit = 10 * time.Second

func (w *world) build(ctx context.Context, p path.Path, limit time.Duration, opened func()) (builtCircuit, error) {
	w.mu.Lock()
	w.guards = append(w.guards, p[path.Guard].ID)
	w.mu.Unlock()
	for i, r := range p {
		wait := hopLimit
		if i > 0 {
			wait = limit
		}
		hop, cancel := context.WithTimeout(ctx, wait)
		err := w.answer(hop, r.ID)
		cancel()
		switch {
		case err != nil && i == 0:
			return nil, &guardError{err}
		case err != nil:
			return nil, &hopError{path.Position(i), &circuit.DestroyError{Hop: i, Reason: cell.ReasonDestroyed}}
		case i == 0:
			opened()
		}
	}
	c := &fakeCircuit{w: w, path: p, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range p {
		if w.dead[r.ID] {
			return nil, &circuit.DestroyError{Hop: i, Reason: cell.ReasonLinkClosed}
		}
	}
	w.circuits = append(w.circuits, c)
	return c, nil
}

func (w *world) probe(ctx context.Context, r *directory.Relay) error { return w.answer(ctx, r.ID) }

func (w *world) consensus(ctx context.Context, t link.Target, have *directory.Bundle, opened func()) (*directory.Bundle, error) {
	w.mu.Lock()
	w.asked = append(w.asked, t.ID)
	sources := w.sources
	w.mu.Unlock()
	if err := w.answer(ctx, t.ID); err != nil {
		return nil, &guardError{err}
	}
	opened()
	if sources != nil {
		if err := sources(t); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bundle, nil
}

func (w *world) follow(*directory.Consensus) {}
func (w *world) skew() time.Duration         { return w.ahead }
func (w *world) links() []link.LinkInfo      { return nil }
func (w *world) close() error                { return nil }

// kill has a relay refuse from now on, and destroys the circuits through it.
func (w *world) kill(name string) {
	w.mu.Lock()
	w.dead[relayID(name)] = true
	circuits := slices.Clone(w.circuits)
	w.mu.Unlock()
	for _, c := range circuits {
		for i, r := range c.path {
			if r.Nickname == name {
				c.destroy(&circuit.DestroyError{Hop: i, Reason: cell.ReasonLinkClosed})
			}
		}
	}
}

// freeze has a relay say nothing from now on.
func (w *world) freeze(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent[relayID(name)] = true
}

// counts returns how many guards were dialled and streams begun.
func (w *world) counts() (guards, begins int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.guards), w.begins
}

// says sets what exits say.
func (w *world) says(exit func(host string, port uint16, exit string) verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exit = exit
}

// isFull counts down.
func (w *world) isFull() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full--
	return w.full >= 0
}

// revive undoes kill and freeze.
func (w *world) revive(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.dead, relayID(name))
	delete(w.silent, relayID(name))
}

// frozen reports whether one of a path's relays says nothing.
func (w *world) frozen(p path.Path) bool {
	for _, r := range p {
		if _, silent := w.state(r.ID); silent {
			return true
		}
	}
	return false
}

// A fakeCircuit is the client's end of a circuit in a world.
type fakeCircuit struct {
	w    *world
	path path.Path
	done chan struct{}

	heard     atomic.Uint64
	questions atomic.Int64 // whether the circuit is stuck

	mu      sync.Mutex // guards what follows
	err     error
	streams []*fakeStream
	open    int
}

func (c *fakeCircuit) destroy(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	close(c.done)
	streams := c.streams
	c.mu.Unlock()
	for _, s := range streams {
		_ = s.far.Close()
	}
}

func (c *fakeCircuit) Done() <-chan struct{} { return c.done }

func (c *fakeCircuit) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *fakeCircuit) Close() error {
	c.destroy(net.ErrClosed)
	return nil
}

func (c *fakeCircuit) Streams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

func (c *fakeCircuit) Begin(ctx context.Context, host string, port uint16, flags cell.BeginFlags, first []byte) (stream, error) {
	if len(first) > 0 && c.w.isFull() {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	near, far := net.Pipe()
	s := &fakeStream{Conn: near, far: far, c: c, host: host, port: port, first: first}
	c.streams = append(c.streams, s)
	c.open++
	c.w.mu.Lock()
	c.w.begins++
	c.w.mu.Unlock()
	return s, nil
}

func (c *fakeCircuit) Heard() uint64 { return c.heard.Load() }

func (c *fakeCircuit) Held() (int64, time.Duration) { return 0, 0 }

func (c *fakeCircuit) Resolve(ctx context.Context, r cell.ResolveRequest) (cell.ResolvedReply, error) {
	if r.Host == everyExitKnows {
		c.questions.Add(1)
	}
	if _, err := r.AppendBinary(nil); err != nil {
		return cell.ResolvedReply{}, err
	}
	s := &fakeStream{c: c, host: r.Host}
	if err := s.WaitConnected(ctx); err != nil {
		return cell.ResolvedReply{}, err
	}
	return cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerIPv4, Addr: s.reply.Addr, TTL: 60}}}, nil
}

// A fakeStream is the client's end of a stream; the other end echoes.
type fakeStream struct {
	net.Conn
	far   net.Conn
	c     *fakeCircuit
	host  string
	port  uint16
	reply cell.ConnectedReply
	first []byte // came with the request
	once  sync.Once
}

func (s *fakeStream) WaitConnected(ctx context.Context) error {
	v := verdict{}
	s.c.w.mu.Lock()
	exit := s.c.w.exit
	s.c.w.mu.Unlock()
	if exit != nil && s.host != everyExitKnows {
		v = exit(s.host, s.port, s.c.path[path.Exit].Nickname)
	}
	if v.never || s.c.w.frozen(s.c.path) {
		v.after = time.Hour
	}
	select {
	case <-time.After(v.after + 3*s.c.w.hopTime()):
	case <-s.c.done:
		return s.c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.c.heard.Add(1)
	if v.end != 0 {
		return &circuit.EndError{Reason: v.end}
	}
	if s.reply.Addr = v.addr; !v.addr.IsValid() {
		s.reply.Addr = netip.MustParseAddr("192.0.2.1")
	}
	if s.far != nil {
		go func() { // ends with the stream
			_, _ = io.Copy(s.far, io.MultiReader(bytes.NewReader(s.first), s.far))
		}()
	}
	return nil
}

func (s *fakeStream) Connected() (cell.ConnectedReply, bool) { return s.reply, true }
func (s *fakeStream) CloseWrite() error                      { return s.far.SetReadDeadline(time.Unix(1, 0)) }
func (s *fakeStream) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{s.Conn})
}
func (s *fakeStream) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{s.Conn}, r)
}

func (s *fakeStream) Close() error {
	s.once.Do(func() {
		s.c.mu.Lock()
		s.c.open--
		s.c.mu.Unlock()
		_ = s.far.Close()
	})
	return s.Conn.Close()
}

// memory is a cache without a file.
type memory struct {
	mu sync.Mutex
	b  *directory.Bundle
}

func (m *memory) Current() *directory.Bundle {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b
}

func (m *memory) Put(b *directory.Bundle) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b = b
	return nil
}

// launch starts a client in a world, with the consensus in its cache.
func launch(t testing.TB, w *world) *Client {
	t.Helper()
	return launchIn(t, w, t.TempDir(), &memory{b: w.bundle}, nil)
}

func launchIn(t testing.TB, w *world, dir string, held cache, notify func(Event)) *Client {
	t.Helper()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Network: w.file, StateDir: dir, Log: quiet, Notify: notify}
	c, err := start(cfg, s, held, w, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ready waits until the client has a circuit.
func ready(t testing.TB, c *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatalf("not ready: %v", err)
	}
}

// get opens a stream to the site that a test does not care about.
func get(t testing.TB, c *Client, isolation string) *Conn {
	t.Helper()
	conn, err := c.Dial(t.Context(), Request{Host: "example.com", Port: 80, Isolation: isolation})
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	return conn.(*Conn)
}
