package relay_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tunic/cell"
	"tunic/circuit"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
	"tunic/relay"
)

// echo answers each connection with what comes on it, until its end.
func echo(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when l closes
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// nameServer answers www.example with 127.0.0.1.
func nameServer(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up, done := make(chan struct{}), make(chan struct{})
	s := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(up) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA && dns.CanonicalName(q.Question[0].Name) == "www.example." {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(m)
	})}
	go func() { defer close(done); s.ActivateAndServe() }() // ends with Shutdown
	<-up
	t.Cleanup(func() { s.Shutdown(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestThreeHops(t *testing.T) {
	ns := nameServer(t)
	nw := newNet(t, 3, options{config: func(_ int, c *relay.Config) { c.Resolvers = []netip.AddrPort{ns} }})
	to := echo(t)
	c := nw.circuit(nw.client(nil), nw.relays...)

	t.Run("bytes both ways and half-close", func(t *testing.T) {
		s, err := c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sent := make([]byte, 1<<20)
		rand.Read(sent)
		go func() { s.Write(sent); s.CloseWrite() }() // ends when all is sent
		s.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came back of %d: %v", len(got), len(sent), err)
		}
	})
	t.Run("by name", func(t *testing.T) {
		s, err := c.Dial(nw.ctx(), "www.example", to.Port(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if r, _ := s.Connected(); r.Addr != to.Addr() || r.TTL != 300 {
			t.Errorf("connected to %v for %d s", r.Addr, r.TTL)
		}
	})
	t.Run("resolve", func(t *testing.T) {
		r, err := c.Resolve(nw.ctx(), cell.ResolveRequest{Host: "www.example"})
		if err != nil || len(r.Answers) != 1 || r.Answers[0].Addr != to.Addr() {
			t.Errorf("resolved %v, %v", r, err)
		}
	})
	t.Run("failures of the destination", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		shut := l.Addr().(*net.TCPAddr).AddrPort().Port()
		l.Close()
		rows := []struct {
			host   string
			port   uint16
			reason cell.EndReason
		}{{"127.0.0.1", shut, cell.EndRefused}, {"none.example", 80, cell.EndResolve}, {"127.1", to.Port(), cell.EndResolve}}
		for _, row := range rows {
			_, err := c.Dial(nw.ctx(), row.host, row.port, 0)
			if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != row.reason {
				t.Errorf("%s: %v, want %v", row.host, err, row.reason)
			}
		}
	})
	t.Run("directory of the last hop", func(t *testing.T) {
		s, err := c.DialDir(nw.ctx())
		if err != nil {
			t.Fatal(err)
		}
		if n := nw.getConsensus(s); n != 3 {
			t.Errorf("%d relays", n)
		}
	})
	t.Run("status", func(t *testing.T) {
		s := nw.relays[2].Status()
		if s.Circuits == 0 || s.Handshakes == 0 || !s.Listed || s.Read == 0 || s.ExitReasons["connected"] == 0 {
			t.Errorf("status %+v", s)
		}
	})
}

// getConsensus fetches the consensus over a directory stream, and returns how many
// relays it lists.
func (nw *testNet) getConsensus(s net.Conn) int {
	nw.t.Helper()
	defer s.Close()
	c := mirror.Client{Dial: func(context.Context) (net.Conn, error) { return s, nil }}
	b, err := c.Consensus(nw.ctx(), nw.network, nil)
	if err != nil {
		nw.t.Fatal(err)
	}
	return len(b.Consensus.Relays)
}

func TestExtendRefusals(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 4, options{})
	p := nw.client(nil)
	a, b := nw.relays[0], nw.relays[1]
	down := nw.relays[3]
	down.stop()
	<-down.done
	unknown := circuit.HopInfo{ID: keys.GenerateIdentity().Public(), Key: keys.GenerateCircuit().Public()}
	rows := []struct {
		name   string
		path   []*testRelay
		to     circuit.HopInfo
		hop    int
		reason cell.Reason
	}{
		{"itself", []*testRelay{a}, a.hop(), 0, cell.ReasonRefused},
		{"itself, further out", []*testRelay{a, b}, b.hop(), 1, cell.ReasonDestroyed},
		{"back to the sender", []*testRelay{a, b}, a.hop(), 1, cell.ReasonDestroyed},
		{"down", []*testRelay{a}, down.hop(), 0, cell.ReasonConnect},
		{"unknown", []*testRelay{a}, unknown, 0, cell.ReasonIdentity},
		{"wrong key", []*testRelay{a}, circuit.HopInfo{ID: b.ID(), Key: unknown.Key}, 1, cell.ReasonDestroyed},
	}
	other := nw.circuit(p, a, b, nw.relays[2])
	to := echo(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := nw.circuit(p, row.path...)
			err := c.Extend(nw.ctx(), row.to)
			if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Hop != row.hop || d.Reason != row.reason {
				t.Errorf("extend: %v, want hop %d, %v", err, row.hop, row.reason)
			}
			s, err := other.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
			if err != nil {
				t.Fatalf("another circuit does not live on: %v", err)
			}
			s.Close()
		})
	}
	if n := a.Status().Refused["extend not allowed"]; n != 1 {
		t.Errorf("%d refusals counted at the first hop", n)
	}
	if n := b.Status().Refused["extend not allowed"]; n != 2 {
		t.Errorf("%d refusals counted at the second hop", n)
	}
}

func TestEightHops(t *testing.T) {
	nw := newNet(t, 3, options{})
	path := make([]*testRelay, circuit.MaxHops)
	for i := range path {
		path[i] = nw.relays[i%3]
	}
	c := nw.circuit(nw.client(nil), path...)
	to := echo(t)
	s, err := c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := c.Extend(nw.ctx(), nw.relays[2].hop()); err == nil {
		t.Error("a ninth hop")
	}
}

func TestNoProxyOfOneHop(t *testing.T) {
	nw := newNet(t, 2, options{})
	to := echo(t)
	t.Run("client", func(t *testing.T) {
		c := nw.circuit(nw.client(nil), nw.relays[0])
		_, err := c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
		if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Reason != cell.ReasonRefused {
			t.Errorf("begin on the first hop: %v", err)
		}
	})
	t.Run("client that made itself an identity", func(t *testing.T) {
		set, err := keys.LoadOrCreate(t.TempDir(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c := nw.circuit(nw.client(set), nw.relays[0])
		_, err = c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
		if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndPolicy {
			t.Errorf("begin: %v", err)
		}
		r, err := c.Resolve(nw.ctx(), cell.ResolveRequest{Host: "www.example"})
		if err != nil || r.Answers[0].Kind != cell.AnswerNotFound {
			t.Errorf("resolve: %v, %v", r, err)
		}
	})
}

func TestNoExit(t *testing.T) {
	nw := newNet(t, 2, options{config: func(_ int, c *relay.Config) { c.Policy = directory.Policy{} }})
	c := nw.circuit(nw.client(nil), nw.relays...)
	to := echo(t)
	_, err := c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
	if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndPolicy {
		t.Errorf("begin: %v", err)
	}
	r, err := c.Resolve(nw.ctx(), cell.ResolveRequest{Host: "www.example"})
	if err != nil || r.Answers[0].Kind != cell.AnswerNotFound {
		t.Errorf("resolve: %v, %v", r, err)
	}
	// The operator changes his mind, for streams from now on.
	nw.relays[1].SetPolicy(directory.AcceptAll())
	s, err := c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
	if err != nil {
		t.Fatalf("begin at what has become an exit: %v", err)
	}
	s.Close()
	nw.authority.await(t, nw.relays[1].ID(), func(d *directory.Descriptor) bool { return !d.Policy.RejectsAll() })
}

func TestDirectoryOfARelay(t *testing.T) {
	nw := newNet(t, 1, options{})
	l := nw.dial(nw.client(nil), nw.relays[0])
	c, err := circuit.OpenDir(nw.ctx(), l, nw.params)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Dial(nw.ctx(), "127.0.0.1", 80, 0); !errors.Is(err, circuit.ErrNotAllowed) {
		t.Errorf("begin: %v", err)
	}
	var open []net.Conn
	for range mirror.MaxLinkStreams {
		s, err := c.DialDir(nw.ctx())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	s, err := c.DialDir(nw.ctx())
	if err == nil {
		s.SetReadDeadline(time.Now().Add(patience))
		_, err = s.Read(make([]byte, 1))
	}
	if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndResource {
		t.Errorf("one stream too many: %v", err)
	}
	nw.getConsensus(open[0])
	for _, s := range open {
		s.Close()
	}
}

// An authority's process takes circuits for its directory and nothing else.
func TestAuthoritysProcess(t *testing.T) {
	nw := newNet(t, 1, options{})
	a := &nw.authority.testRelay
	l := nw.dial(nw.client(nil), a)
	c, err := circuit.OpenDir(nw.ctx(), l, nw.params)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.DialDir(nw.ctx())
	if err != nil {
		t.Fatal(err)
	}
	nw.getConsensus(s)
	_, err = circuit.Open(nw.ctx(), l, circuit.HopInfo{ID: a.ID(), Key: keys.GenerateCircuit().Public()}, nw.params)
	if d, ok := errors.AsType[*circuit.DestroyError](err); !ok || d.Reason != cell.ReasonKey {
		t.Errorf("open: %v", err)
	}
	if s := a.Status(); s.Published != (time.Time{}) || s.Problem != "" {
		t.Errorf("an authority publishes: %+v", s)
	}
}

func TestStoppingEndsStreamsWithAReason(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, options{})
	to := echo(t)
	c := nw.circuit(nw.client(nil), nw.relays...)
	s, err := c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	exit := nw.relays[1]
	exit.stop()
	s.SetReadDeadline(time.Now().Add(patience))
	_, err = s.Read(make([]byte, 1))
	if end, ok := errors.AsType[*circuit.EndError](err); !ok || end.Reason != cell.EndHibernating {
		t.Errorf("read: %v", err)
	}
	if err := <-exit.done; err != nil {
		t.Errorf("run: %v", err)
	}
	if err := exit.Run(t.Context()); !errors.Is(err, relay.ErrClosed) {
		t.Errorf("second run: %v", err)
	}
}

func TestAddressInUse(t *testing.T) {
	nw := newEmptyNet(t, options{})
	set, err := keys.LoadOrCreate(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	taken := nw.network.Authorities[0].Addrs[0]
	r, err := relay.New(relay.Config{Network: nw.network, Keys: set, Dir: t.TempDir(), Listen: []netip.AddrPort{taken}, Transit: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context()); err == nil {
		t.Error("two listen on one address")
	}
	r.Close()
}

func TestBandwidthLimit(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, options{})
	to := echo(t)
	c := nw.circuit(nw.client(nil), nw.relays...)
	s, err := c.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nw.relays[0].SetBandwidth(1<<20, 256<<10, 0)
	d := nw.authority.await(t, nw.relays[0].ID(), func(d *directory.Descriptor) bool { return d.Rate == 1<<20 })
	if d.Burst != 256<<10 {
		t.Errorf("burst %d offered", d.Burst)
	}
	sent := make([]byte, 512<<10)
	start := time.Now()
	go func() { s.Write(sent); s.CloseWrite() }() // ends when all is sent
	s.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(s)
	if err != nil || len(got) != len(sent) {
		t.Fatalf("%d bytes: %v", len(got), err)
	}
	if took := time.Since(start); took < 300*time.Millisecond || took > 4*time.Second {
		t.Errorf("512 KiB each way at 1 MiB/s took %v", took)
	}
}

// What a relay has learnt is there again when it starts anew.
func TestRestart(t *testing.T) {
	var dir string
	nw := newNet(t, 1, options{config: func(_ int, c *relay.Config) { dir = c.Dir }})
	first := nw.relays[0]
	first.stop()
	<-first.done
	r, err := relay.New(relay.Config{Network: nw.network, Keys: first.keys, Dir: dir, Listen: first.target().Addrs, Transit: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if s := r.Status(); s.Consensus.IsZero() || !s.Listed || r.ID() != first.ID() {
		t.Errorf("after a restart: consensus %v, listed %v", s.Consensus, s.Listed)
	}
}
