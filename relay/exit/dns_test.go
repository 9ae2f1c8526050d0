package exit

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A nameServer is a real DNS server on loopback that says what a test tells it.
type nameServer struct {
	addr   netip.AddrPort
	answer func(w dns.ResponseWriter, q *dns.Msg)

	mu      sync.Mutex
	queries []string // network, name as spelled, type
	ids     []uint16
	ports   []int
}

// newNameServer starts a server that answers each query, on UDP and TCP, by fn.
func newNameServer(t *testing.T, fn func(w dns.ResponseWriter, q *dns.Msg)) *nameServer {
	t.Helper()
	s := &nameServer{answer: fn}
	var udp net.PacketConn
	var tcp net.Listener
	var err error
	for range 20 { // until a port is free for both
		if udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			break
		}
		udp.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.addr = udp.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, server := range []*dns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}} {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		done := make(chan struct{})
		go func() { // ends with Shutdown
			defer close(done)
			server.ActivateAndServe()
		}()
		<-up
		t.Cleanup(func() { server.Shutdown(); <-done })
	}
	return s
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	network := w.RemoteAddr().Network()
	s.queries = append(s.queries, network+" "+q.Question[0].Name+" "+dns.TypeToString[q.Question[0].Qtype])
	s.ids = append(s.ids, q.Id)
	if u, ok := w.RemoteAddr().(*net.UDPAddr); ok {
		s.ports = append(s.ports, u.Port)
	}
	s.mu.Unlock()
	s.answer(w, q)
}

// asked returns the queries so far, lower case.
func (s *nameServer) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, len(s.queries))
	for i, q := range s.queries {
		out[i] = strings.ToLower(q)
	}
	return out
}

// zone answers from lines in the master file format.
func zone(lines ...string) func(w dns.ResponseWriter, q *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(fromZone(q, lines...)) }
}

// fromZone makes the honest reply to q: all records of the name, and those that
// its aliases lead to.
func fromZone(q *dns.Msg, lines ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	name, known := strings.ToLower(q.Question[0].Name), false
	for range 20 {
		next := ""
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			if dns.CanonicalName(rr.Header().Name) != name {
				continue
			}
			known = true
			if c, ok := rr.(*dns.CNAME); ok {
				next = dns.CanonicalName(c.Target)
			}
			if rr.Header().Rrtype == q.Question[0].Qtype || next != "" {
				m.Answer = append(m.Answer, rr)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

func testResolver(t *testing.T, servers ...netip.AddrPort) *resolver {
	t.Helper()
	r := newResolver(Config{Resolvers: servers, QueryTimeout: 200 * time.Millisecond})
	t.Cleanup(r.close)
	return r
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func sameAddrs(a, b []netip.Addr) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Each row is a server that answers truly or lies in one way; a lie never gives
// the address 192.0.2.66, and the truth that follows it is believed.
func TestLookup(t *testing.T) {
	const truth = "www.example. 300 IN A 192.0.2.1"
	const lie = "www.example. 300 IN A 192.0.2.66"
	udp := func(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "udp" }
	// after sends the lie that change makes of the reply first, then the truth.
	after := func(change func(m *dns.Msg)) func(w dns.ResponseWriter, q *dns.Msg) {
		return func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, lie)
			change(m)
			w.WriteMsg(m)
			w.WriteMsg(fromZone(q, truth))
		}
	}
	rows := []struct {
		name   string
		answer func(w dns.ResponseWriter, q *dns.Msg)
		want   []netip.Addr
		err    error
		tcp    bool // TCP was used
	}{
		{name: "honest", answer: zone(truth), want: addrs("192.0.2.1")},
		{name: "several, repeated", answer: zone(truth, truth, "www.example. 60 IN A 192.0.2.2"), want: addrs("192.0.2.1", "192.0.2.2")},
		{name: "no such name", answer: zone("other.example. 60 IN A 192.0.2.66"), err: errAbsent},
		{name: "no such type", answer: zone("www.example. 60 IN AAAA 2001:db8::1"), err: errAbsent},
		{name: "wrong id", answer: after(func(m *dns.Msg) { m.Id++ }), want: addrs("192.0.2.1")},
		{name: "not a response", answer: after(func(m *dns.Msg) { m.Response = false }), want: addrs("192.0.2.1")},
		{name: "another opcode", answer: after(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), want: addrs("192.0.2.1")},
		{name: "no question", answer: after(func(m *dns.Msg) { m.Question = nil }), want: addrs("192.0.2.1")},
		{name: "two questions", answer: after(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), want: addrs("192.0.2.1")},
		{name: "another name asked", answer: after(func(m *dns.Msg) { m.Question[0].Name = "other.example." }), want: addrs("192.0.2.1")},
		{name: "another type asked", answer: after(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT }), want: addrs("192.0.2.1")},
		{name: "another class asked", answer: after(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), want: addrs("192.0.2.1")},
		{name: "noise first", answer: func(w dns.ResponseWriter, q *dns.Msg) {
			w.Write([]byte("\x00"))
			w.Write(make([]byte, 600))
			w.WriteMsg(fromZone(q, truth))
		}, want: addrs("192.0.2.1")},
		{name: "spelled another way", tcp: true, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, truth)
			if udp(w) {
				m = fromZone(q, lie)
				m.Question[0].Name = swapCase(m.Question[0].Name)
			}
			w.WriteMsg(m)
		}, want: addrs("192.0.2.1")},
		{name: "normalised everywhere", tcp: true, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, truth)
			m.Question[0].Name = swapCase(m.Question[0].Name)
			w.WriteMsg(m)
		}, want: addrs("192.0.2.1")},
		{name: "cut off", tcp: true, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, truth)
			if udp(w) {
				m = fromZone(q, lie)
				m.Truncated = true
			}
			w.WriteMsg(m)
		}, want: addrs("192.0.2.1")},
		{name: "cut off in a record", tcp: true, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, truth)
			if udp(w) {
				m.Truncated = true
				b, _ := m.Pack()
				w.Write(b[:len(b)-3])
				return
			}
			w.WriteMsg(m)
		}, want: addrs("192.0.2.1")},
		{name: "cut off over TCP too", tcp: true, err: errUnavailable, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, lie)
			m.Truncated = true
			w.WriteMsg(m)
		}},
		{name: "wrong id over TCP", tcp: true, err: errUnavailable, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, lie)
			m.Truncated = udp(w)
			if !udp(w) {
				m.Id++
			}
			w.WriteMsg(m)
		}},
		{name: "a guesser who floods", tcp: true, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			if !udp(w) {
				w.WriteMsg(fromZone(q, truth))
				return
			}
			for i := range maxStrays + 5 {
				m := fromZone(q, lie)
				m.Id += uint16(i + 1)
				w.WriteMsg(m)
			}
		}, want: addrs("192.0.2.1")},
		{name: "record of another owner", err: errAbsent, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, truth)
			m.Answer[0].Header().Name = "bank.example."
			w.WriteMsg(m)
		}},
		{name: "record of another class", err: errAbsent, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, truth)
			m.Answer[0].Header().Class = dns.ClassCHAOS
			w.WriteMsg(m)
		}},
		{name: "record of another type", err: errAbsent, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, "www.example. 60 IN AAAA 2001:db8::1")
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: dns.RR_Header{Name: "www.example.", Rrtype: dns.TypeAAAA, Class: dns.ClassINET}, AAAA: net.ParseIP("2001:db8::1")})
			w.WriteMsg(m)
		}},
		{name: "aliases", answer: zone("www.example. 60 IN CNAME a.example.", "a.example. 60 IN CNAME B.example.", "b.example. 60 IN A 192.0.2.9"), want: addrs("192.0.2.9")},
		{name: "a loop of aliases", err: errAbsent, answer: zone("www.example. 60 IN CNAME a.example.", "a.example. 60 IN CNAME www.example.")},
		{name: "an alias of itself", err: errAbsent, answer: zone("www.example. 60 IN CNAME www.example.")},
		{name: "an alias outside the answer", answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, "www.example. 60 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.7")
			if len(m.Answer) > 1 {
				m.Answer = m.Answer[:1]
			}
			w.WriteMsg(m)
		}, want: addrs("192.0.2.7")},
		{name: "aliases without end", err: errAbsent, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg)
			m.SetReply(q)
			m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: "x" + q.Question[0].Name}}
			w.WriteMsg(m)
		}},
		{name: "no EDNS spoken here", answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, truth)
			if q.IsEdns0() != nil {
				m.Rcode, m.Answer, m.Question = dns.RcodeFormatError, nil, nil
			}
			w.WriteMsg(m)
		}, want: addrs("192.0.2.1")},
		{name: "server failure", err: errUnavailable, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, lie)
			m.Rcode = dns.RcodeServerFailure
			w.WriteMsg(m)
		}},
		{name: "refused", err: errUnavailable, answer: func(w dns.ResponseWriter, q *dns.Msg) {
			m := fromZone(q, lie)
			m.Rcode = dns.RcodeRefused
			w.WriteMsg(m)
		}},
		{name: "silence", err: errUnavailable, answer: func(dns.ResponseWriter, *dns.Msg) {}},
		{name: "far too many records", answer: func(w dns.ResponseWriter, q *dns.Msg) {
			var lines []string
			for i := range 40 {
				lines = append(lines, "www.example. 60 IN A 192.0.2."+string(rune('0'+i/10))+string(rune('0'+i%10)))
			}
			for i, l := range lines {
				lines[i] = strings.Replace(l, ".2.0", ".2.", 1)
			}
			w.WriteMsg(fromZone(q, lines...))
		}, want: addrs("192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7",
			"192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15")},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newNameServer(t, row.answer)
			r := testResolver(t, s.addr)
			got := r.lookup(question{"www.example", dns.TypeA}).wait(t.Context())
			if !errors.Is(got.err, row.err) || (row.err == nil && got.err != nil) || !sameAddrs(got.addrs, row.want) {
				t.Errorf("lookup = %v, %v; want %v, %v", got.addrs, got.err, row.want, row.err)
			}
			tcp := false
			for _, q := range s.asked() {
				tcp = tcp || strings.HasPrefix(q, "tcp")
			}
			if tcp != row.tcp {
				t.Errorf("TCP used: %v, want %v (%v)", tcp, row.tcp, s.asked())
			}
		})
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func TestQueriesAreHardToGuess(t *testing.T) {
	s := newNameServer(t, zone())
	r := testResolver(t, s.addr)
	const n = 12
	for i := range n {
		r.lookup(question{"a-rather-long-name-of-letters-" + string(rune('a'+i)) + ".example", dns.TypeA}).wait(t.Context())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, ports, spellings := map[uint16]bool{}, map[int]bool{}, map[string]bool{}
	for i := range s.queries {
		ids[s.ids[i]], ports[s.ports[i]] = true, true
		spelled := strings.TrimPrefix(s.queries[i], "udp ")
		spellings[strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				return 'X'
			}
			return 'x'
		}, spelled[:29])] = true
	}
	if len(ids) < n-1 || len(ports) < n-2 || len(spellings) < n-1 {
		t.Errorf("%d queries had %d ids, %d ports, %d spellings", n, len(ids), len(ports), len(spellings))
	}
}

func TestNextServerIsAsked(t *testing.T) {
	dead := newNameServer(t, func(dns.ResponseWriter, *dns.Msg) {})
	failing := newNameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetRcode(q, dns.RcodeServerFailure)
		w.WriteMsg(m)
	})
	good := newNameServer(t, zone("www.example. 60 IN A 192.0.2.1"))
	r := testResolver(t, dead.addr, failing.addr, good.addr)
	if got := r.lookup(question{"www.example", dns.TypeA}).wait(t.Context()); !sameAddrs(got.addrs, addrs("192.0.2.1")) {
		t.Errorf("lookup = %v, %v", got.addrs, got.err)
	}
}

func TestIdenticalLookupsShareOne(t *testing.T) {
	release := make(chan struct{})
	s := newNameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		<-release
		w.WriteMsg(fromZone(q, "www.example. 60 IN A 192.0.2.1"))
	})
	r := newResolver(Config{Resolvers: []netip.AddrPort{s.addr}, QueryTimeout: 5 * time.Second})
	defer r.close()
	var flights []*flight
	for range 50 {
		flights = append(flights, r.lookup(question{"www.example", dns.TypeA}))
	}
	close(release)
	for _, f := range flights {
		if got := f.wait(t.Context()); !sameAddrs(got.addrs, addrs("192.0.2.1")) {
			t.Fatalf("lookup = %v, %v", got.addrs, got.err)
		}
	}
	r.lookup(question{"www.example", dns.TypeA}).wait(t.Context()) // from the cache
	if n := len(s.asked()); n != 1 {
		t.Errorf("%d queries for one question", n)
	}
}

func TestLookupsAreBounded(t *testing.T) {
	s := newNameServer(t, func(dns.ResponseWriter, *dns.Msg) {})
	r := newResolver(Config{Resolvers: []netip.AddrPort{s.addr}, QueryTimeout: 5 * time.Second})
	var last *flight
	for i := range maxLookups + 1 {
		last = r.lookup(question{"a" + strings.Repeat("x", i%60) + "." + string(rune('a'+i/60)), dns.TypeA})
	}
	if got := last.wait(t.Context()); !errors.Is(got.err, errBusy) {
		t.Errorf("lookup beyond the limit: %v, want %v", got.err, errBusy)
	}
	r.close() // ends those under way at once
	if got := r.lookup(question{"late.example", dns.TypeA}).wait(t.Context()); !errors.Is(got.err, errBusy) {
		t.Errorf("lookup after close: %v", got.err)
	}
}
