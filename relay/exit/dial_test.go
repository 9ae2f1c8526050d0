package exit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tunic/cell"
)

// greeter accepts connections on addr and greets each with its own address.
func greeter(t *testing.T, addr string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("listen on %s: %v", addr, err)
	}
	done := make(chan struct{})
	go func() { // ends when l closes
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, l.Addr().String())
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// closedPort returns a port of 127.0.0.1 at which nobody listens.
func closedPort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

func testExit(t *testing.T, c Config) *Exit {
	t.Helper()
	if c.QueryTimeout == 0 {
		c.QueryTimeout = 200 * time.Millisecond
	}
	e := New(c)
	t.Cleanup(func() { e.Close() })
	return e
}

// wantGreeting checks that conn leads to the greeter at to.
func wantGreeting(t *testing.T, conn net.Conn, reason cell.EndReason, to netip.AddrPort) {
	t.Helper()
	if reason != 0 {
		t.Fatalf("dial: %v", reason)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if b, err := io.ReadAll(conn); err != nil || string(b) != to.String() {
		t.Fatalf("read %q, %v; want %v", b, err, to)
	}
}

func TestDial(t *testing.T) {
	here := greeter(t, "127.0.0.1:0")
	shut := closedPort(t)
	ns := newNameServer(t, zone(
		"www.example. 300 IN A 127.0.0.1",
		"both.example. 30 IN A 127.0.0.1", "both.example. 30 IN AAAA 2001:db8::1",
		"public.example. 300 IN A 8.8.8.8",
		"long.example. 90000 IN A 127.0.0.1",
		"six.example. 300 IN AAAA ::1",
	))
	failing := newNameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetRcode(q, dns.RcodeServerFailure)
		w.WriteMsg(m)
	})
	rows := []struct {
		name    string
		host    string
		port    uint16
		flags   cell.BeginFlags
		policy  []string
		private bool
		servers []netip.AddrPort
		reason  cell.EndReason
		ttl     uint32
	}{
		{name: "address", host: "127.0.0.1", port: here.Port(), private: true},
		{name: "name", host: "www.example", port: here.Port(), private: true, ttl: 300},
		{name: "name, short TTL", host: "both.example", port: here.Port(), private: true, flags: cell.BeginNoIPv6, ttl: 60},
		{name: "name, long TTL", host: "long.example", port: here.Port(), private: true, ttl: 3600},
		{name: "localhost", host: "localhost", port: here.Port(), private: true},
		{name: "below localhost", host: "a.localhost", port: here.Port(), private: true},
		{name: "localhost where private addresses are refused", host: "localhost", port: here.Port(), reason: cell.EndPolicy},
		{name: "localhost named by the operator", host: "localhost", port: here.Port(), policy: []string{"accept 127.0.0.1:*"}},
		{name: "private after resolving", host: "www.example", port: here.Port(), reason: cell.EndPolicy},
		{name: "private by address", host: "127.0.0.1", port: here.Port(), reason: cell.EndPolicy},
		{name: "port forbidden everywhere", host: "www.example", port: here.Port(), private: true, policy: []string{"accept *:1"}, reason: cell.EndPolicy},
		{name: "address forbidden after resolving", host: "public.example", port: 80, policy: []string{"reject 8.8.8.8:*", "accept *:*"}, reason: cell.EndPolicy},
		{name: "policy rejects all", host: "127.0.0.1", port: here.Port(), private: true, policy: []string{"reject *:*"}, reason: cell.EndPolicy},
		{name: "nobody listens", host: "127.0.0.1", port: shut, private: true, reason: cell.EndRefused},
		{name: "nobody listens, by name", host: "www.example", port: shut, private: true, reason: cell.EndRefused},
		{name: "no such name", host: "none.example", port: 80, private: true, reason: cell.EndResolve},
		{name: "name without the family", host: "six.example", port: 80, private: true, flags: cell.BeginNoIPv6, reason: cell.EndResolve},
		{name: "address of the other family", host: "127.0.0.1", port: 80, private: true, flags: cell.BeginNoIPv4, reason: cell.EndNoRoute},
		{name: "resolver fails", host: "www.example", port: 80, private: true, servers: []netip.AddrPort{failing.addr}, reason: cell.EndResolve},
		{name: "not a name", host: "127.1", port: here.Port(), private: true, reason: cell.EndResolve},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := Config{Policy: policy(t, "accept *:*"), Private: row.private, Resolvers: []netip.AddrPort{ns.addr}}
			if row.policy != nil {
				c.Policy = policy(t, row.policy...)
			}
			if row.servers != nil {
				c.Resolvers = row.servers
			}
			e := testExit(t, c)
			conn, reply, reason := e.Dial(t.Context(), row.host, row.port, row.flags)
			if row.reason != 0 {
				if conn != nil || reason != row.reason {
					t.Fatalf("Dial = %v, %v; want %v", conn, reason, row.reason)
				}
				return
			}
			wantGreeting(t, conn, reason, here)
			if reply.Addr != here.Addr() || reply.TTL != row.ttl {
				t.Errorf("reply %v for %d s, want %v for %d s", reply.Addr, reply.TTL, here.Addr(), row.ttl)
			}
			if n := e.Counts()[0]; n != 1 {
				t.Errorf("%d dials counted", n)
			}
		})
	}
}

func TestForbiddenPortAsksNoNameServer(t *testing.T) {
	ns := newNameServer(t, zone("www.example. 300 IN A 127.0.0.1"))
	e := testExit(t, Config{Policy: policy(t, "accept *4:80"), Resolvers: []netip.AddrPort{ns.addr}})
	if _, _, reason := e.Dial(t.Context(), "www.example", 81, 0); reason != cell.EndPolicy {
		t.Errorf("Dial = %v", reason)
	}
	e.Dial(t.Context(), "www.example", 80, 0)
	if got := ns.asked(); len(got) != 1 || got[0] != "udp www.example. a" {
		t.Errorf("asked %v, want one question for IPv4 at the port that may be reached", got)
	}
}

func TestFamiliesAreAskedSideBySide(t *testing.T) {
	here := greeter(t, "127.0.0.1:0")
	asked := map[uint16]chan struct{}{dns.TypeA: make(chan struct{}), dns.TypeAAAA: make(chan struct{})}
	ns := newNameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		close(asked[q.Question[0].Qtype])
		for _, c := range asked { // neither is answered before both were asked
			<-c
		}
		w.WriteMsg(fromZone(q, "www.example. 60 IN A 127.0.0.1"))
	})
	e := testExit(t, Config{Policy: policy(t, "accept *:*"), Private: true, Resolvers: []netip.AddrPort{ns.addr}, QueryTimeout: 5 * time.Second})
	conn, _, reason := e.Dial(t.Context(), "www.example", here.Port(), 0)
	wantGreeting(t, conn, reason, here)
}

// A slow answer for the preferred family is not waited for.
func TestSlowFamilyIsNotWaitedFor(t *testing.T) {
	here := greeter(t, "127.0.0.1:0")
	release := make(chan struct{})
	ns := newNameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if q.Question[0].Qtype == dns.TypeAAAA {
			<-release
		}
		w.WriteMsg(fromZone(q, "www.example. 60 IN A 127.0.0.1", "www.example. 60 IN AAAA ::1"))
	})
	e := testExit(t, Config{Policy: policy(t, "accept *:*"), Private: true, Resolvers: []netip.AddrPort{ns.addr}, QueryTimeout: 5 * time.Second})
	conn, reply, reason := e.Dial(t.Context(), "www.example", here.Port(), cell.BeginPreferIPv6)
	close(release)
	wantGreeting(t, conn, reason, here)
	if !reply.Addr.Is4() {
		t.Errorf("connected to %v", reply.Addr)
	}
}

func TestSocketIsCheckedAgain(t *testing.T) {
	here := greeter(t, "127.0.0.1:0")
	e := testExit(t, Config{Policy: policy(t, "accept *:*")})
	if _, err := e.connect(t.Context(), here); reasonOf(err) != cell.EndPolicy {
		t.Errorf("connect to a private address: %v", err)
	}
}

func TestDialsAreBounded(t *testing.T) {
	asked := make(chan struct{}, 4)
	ns := newNameServer(t, func(dns.ResponseWriter, *dns.Msg) { asked <- struct{}{} })
	e := New(Config{Policy: policy(t, "accept *4:*"), Resolvers: []netip.AddrPort{ns.addr}, QueryTimeout: 5 * time.Second})
	e.dials = make(chan struct{}, 2)
	done := make(chan cell.EndReason)
	for i := range 2 {
		go func() { // ends when e closes
			_, _, reason := e.Dial(context.Background(), fmt.Sprintf("www%d.example", i), 80, 0)
			done <- reason
		}()
		<-asked // it has its place
	}
	if _, _, reason := e.Dial(t.Context(), "www.example", 80, 0); reason != cell.EndResource {
		t.Errorf("third dial: %v", reason)
	}
	e.Close()
	for range 2 {
		if reason := <-done; reason != cell.EndHibernating {
			t.Errorf("dial while closing: %v", reason)
		}
	}
}

func TestDialGivesUp(t *testing.T) {
	ns := newNameServer(t, func(dns.ResponseWriter, *dns.Msg) {})
	e := testExit(t, Config{Policy: policy(t, "accept *:*"), Resolvers: []netip.AddrPort{ns.addr}, QueryTimeout: 5 * time.Second, DialTimeout: 50 * time.Millisecond})
	if _, _, reason := e.Dial(t.Context(), "www.example", 80, 0); reason != cell.EndResolve {
		t.Errorf("Dial = %v", reason)
	}
}

func TestReasons(t *testing.T) {
	op := func(err error) error { return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: err}) }
	rows := []struct {
		err        error
		dial, read cell.EndReason
	}{
		{op(refusedErrors[0]), cell.EndRefused, cell.EndMisc},
		{op(resetErrors[0]), cell.EndReset, cell.EndReset},
		{op(resetErrors[1]), cell.EndReset, cell.EndReset},
		{op(brokenErrors[0]), cell.EndInternal, cell.EndReset},
		{op(routeErrors[0]), cell.EndNoRoute, cell.EndNoRoute},
		{op(routeErrors[1]), cell.EndNoRoute, cell.EndNoRoute},
		{op(forbiddenErrors[0]), cell.EndPolicy, cell.EndMisc},
		{op(resourceErrors[0]), cell.EndResource, cell.EndMisc},
		{context.DeadlineExceeded, cell.EndTimeout, cell.EndTimeout},
		{op(errTimeout{}), cell.EndTimeout, cell.EndTimeout},
		{op(refusal(cell.EndPolicy)), cell.EndPolicy, cell.EndMisc},
		{errors.New("anything else"), cell.EndInternal, cell.EndMisc},
	}
	for _, row := range rows {
		if got := reasonOf(row.err); got != row.dial {
			t.Errorf("reasonOf(%v) = %v, want %v", row.err, got, row.dial)
		}
		if got := Reason(row.err); got != row.read {
			t.Errorf("Reason(%v) = %v, want %v", row.err, got, row.read)
		}
	}
}

type errTimeout struct{}

func (errTimeout) Error() string   { return "i/o timeout" }
func (errTimeout) Timeout() bool   { return true }
func (errTimeout) Temporary() bool { return true }

func TestTheReasonThatSaysMostIsTold(t *testing.T) {
	if got := tell(cell.EndNoRoute, cell.EndRefused); got != cell.EndRefused {
		t.Errorf("no route, then refused: %v", got)
	}
	if got := tell(cell.EndRefused, cell.EndTimeout); got != cell.EndRefused {
		t.Errorf("refused, then timeout: %v", got)
	}
	if got := tell(0, cell.EndInternal); got != cell.EndInternal {
		t.Errorf("nothing, then internal: %v", got)
	}
}

func TestResolve(t *testing.T) {
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("many.example. 60 IN AAAA 2600::%x", i+1))
	}
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60) + ".example."
	ns := newNameServer(t, zone(append(many,
		"www.example. 300 IN A 8.8.8.8", "www.example. 30 IN AAAA 2600::8",
		"inside.example. 300 IN A 10.0.0.1",
		"mixed.example. 300 IN A 10.0.0.1", "mixed.example. 300 IN A 8.8.8.8",
		"8.8.8.8.in-addr.arpa. 99999 IN PTR dns.example.",
		"1.0.0.10.in-addr.arpa. 60 IN PTR secret.example.",
		"9.8.8.8.in-addr.arpa. 60 IN PTR a\\000b.example.",
		"7.8.8.8.in-addr.arpa. 60 IN PTR x."+long, "7.8.8.8.in-addr.arpa. 60 IN PTR y."+long, "7.8.8.8.in-addr.arpa. 60 IN PTR z."+long,
	)...))
	failing := newNameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetRcode(q, dns.RcodeServerFailure)
		w.WriteMsg(m)
	})
	four := func(s string, ttl uint32) cell.Answer {
		return cell.Answer{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr(s), TTL: ttl}
	}
	six := func(s string, ttl uint32) cell.Answer {
		return cell.Answer{Kind: cell.AnswerIPv6, Addr: netip.MustParseAddr(s), TTL: ttl}
	}
	notFound := cell.Answer{Kind: cell.AnswerNotFound, TTL: 60}
	rows := []struct {
		name    string
		req     cell.ResolveRequest
		private bool
		server  *nameServer
		want    []cell.Answer
	}{
		{"name", cell.ResolveRequest{Host: "www.example"}, false, ns, []cell.Answer{four("8.8.8.8", 300), six("2600::8", 60)}},
		{"no name", cell.ResolveRequest{Host: "none.example"}, false, ns, []cell.Answer{notFound}},
		{"not a name", cell.ResolveRequest{Host: "0x7f000001"}, false, ns, []cell.Answer{notFound}},
		{"resolver fails", cell.ResolveRequest{Host: "www.example"}, false, failing, []cell.Answer{{Kind: cell.AnswerTryAgain}}},
		{"private", cell.ResolveRequest{Host: "inside.example"}, false, ns, []cell.Answer{notFound}},
		{"private among others", cell.ResolveRequest{Host: "mixed.example"}, false, ns, []cell.Answer{four("8.8.8.8", 300)}},
		{"private in a private network", cell.ResolveRequest{Host: "inside.example"}, true, ns, []cell.Answer{four("10.0.0.1", 300)}},
		{"localhost", cell.ResolveRequest{Host: "localhost"}, true, ns, []cell.Answer{four("127.0.0.1", 60), six("::1", 60)}},
		{"localhost refused", cell.ResolveRequest{Host: "localhost"}, false, ns, []cell.Answer{notFound}},
		{"address", cell.ResolveRequest{Host: "8.8.8.8"}, false, ns, []cell.Answer{four("8.8.8.8", 60)}},
		{"reverse", cell.ResolveRequest{Reverse: true, Host: "8.8.8.8"}, false, ns, []cell.Answer{{Kind: cell.AnswerName, Name: "dns.example", TTL: 3600}}},
		{"reverse of nothing", cell.ResolveRequest{Reverse: true, Host: "8.8.8.1"}, false, ns, []cell.Answer{notFound}},
		{"reverse, private", cell.ResolveRequest{Reverse: true, Host: "10.0.0.1"}, false, ns, []cell.Answer{notFound}},
		{"reverse of loopback", cell.ResolveRequest{Reverse: true, Host: "127.0.0.1"}, true, ns, []cell.Answer{{Kind: cell.AnswerName, Name: "localhost", TTL: 60}}},
		{"reverse of a name", cell.ResolveRequest{Reverse: true, Host: "www.example"}, false, ns, []cell.Answer{notFound}},
		{"a name with a NUL", cell.ResolveRequest{Reverse: true, Host: "8.8.8.9"}, false, ns, []cell.Answer{notFound}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			e := testExit(t, Config{Policy: policy(t, "accept *:*"), Private: row.private, Resolvers: []netip.AddrPort{row.server.addr}})
			got := e.Resolve(t.Context(), row.req)
			if fmt.Sprint(got.Answers) != fmt.Sprint(row.want) {
				t.Errorf("Resolve = %v, want %v", got.Answers, row.want)
			}
			if _, err := got.AppendBinary(nil); err != nil {
				t.Errorf("does not encode: %v", err)
			}
		})
	}
	t.Run("more than fits", func(t *testing.T) {
		e := testExit(t, Config{Policy: policy(t, "accept *:*"), Resolvers: []netip.AddrPort{ns.addr}})
		for _, req := range []cell.ResolveRequest{{Host: "many.example"}, {Reverse: true, Host: "8.8.8.7"}} {
			got := e.Resolve(t.Context(), req)
			if _, err := got.AppendBinary(nil); err != nil || len(got.Answers) < 2 {
				t.Errorf("%d answers: %v", len(got.Answers), err)
			}
		}
	})
}
