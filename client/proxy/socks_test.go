package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tunic/cell"
	"tunic/client"
	"tunic/client/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake stands in for the client: it records requests and answers with dial.
type fake struct {
	dial    func(ctx context.Context, r client.Request) (net.Conn, error)
	resolve func(r cell.ResolveRequest) (cell.ResolvedReply, error)

	mu       sync.Mutex
	requests []client.Request
}

func (f *fake) Dial(ctx context.Context, r client.Request) (net.Conn, error) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	f.mu.Unlock()
	return f.dial(ctx, r)
}

func (f *fake) Resolve(_ context.Context, r cell.ResolveRequest, _ string) (cell.ResolvedReply, error) {
	return f.resolve(r)
}

func (f *fake) last(t *testing.T) client.Request {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.requests) == 0 {
		t.Fatal("no request came to the dialer")
	}
	return f.requests[len(f.requests)-1]
}

// start serves f on loopback until the test ends.
func start(t *testing.T, f *fake) (addr string) {
	t.Helper()
	_, addr = startServer(t, f)
	return addr
}

func startServer(t *testing.T, f *fake) (s *proxy.Server, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = proxy.NewServer(f, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return s, ln.Addr().String()
}

// echo dials a TCP connection whose other end sends back what it gets.
func echo(t *testing.T) func(context.Context, client.Request) (net.Conn, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				io.Copy(c, c)
				c.(*net.TCPConn).CloseWrite()
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return func(context.Context, client.Request) (net.Conn, error) {
		return net.Dial("tcp", ln.Addr().String())
	}
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(8 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func send(t *testing.T, c net.Conn, b ...byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, c net.Conn, b ...byte) {
	t.Helper()
	got := make([]byte, len(b))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("got %v (%v), want %v", got, err, b)
	}
}

func wantEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Fatalf("got %v (%v), want the end", b, err)
	}
}

// connect is a CONNECT request for a name.
func connect(name string, port uint16) []byte {
	b := append([]byte{5, 1, 0, 3, byte(len(name))}, name...)
	return append(b, byte(port>>8), byte(port))
}

var granted = []byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}

func code(c byte) []byte { return []byte{5, c, 0, 1, 0, 0, 0, 0, 0, 0} }

func TestNameGoesToTheDialerUnresolved(t *testing.T) {
	f := &fake{dial: echo(t)}
	c := dial(t, start(t, f))
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("Example.INVALID", 443)...)
	want(t, c, granted...)
	send(t, c, []byte("hello")...)
	want(t, c, []byte("hello")...)
	c.CloseWrite()
	wantEnd(t, c)
	if r := f.last(t); r.Host != "example.invalid" || r.Port != 443 {
		t.Errorf("dialled %s:%d", r.Host, r.Port)
	}
}

func TestAddressesReachTheDialer(t *testing.T) {
	for _, row := range []struct {
		name    string
		request []byte
		host    string
	}{
		{"IPv4", []byte{5, 1, 0, 1, 192, 0, 2, 7, 0, 80}, "192.0.2.7"},
		{"IPv6", append(append([]byte{5, 1, 0, 4}, netip.MustParseAddr("2001:db8::7").AsSlice()...), 0, 80), "2001:db8::7"},
		{"IPv4 as a name", connect("192.0.2.7", 80), "192.0.2.7"},
		{"IPv6 as a name", connect("2001:DB8::7", 80), "2001:db8::7"},
		{"IPv6 in brackets as a name", connect("[2001:db8::7]", 80), "[2001:db8::7]"},
		{"IPv4 in brackets as a name", connect("[192.0.2.7]", 80), "[192.0.2.7]"},
		{"IPv4 in IPv6 as a name", connect("::ffff:192.0.2.7", 80), "192.0.2.7"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := &fake{dial: echo(t)}
			c := dial(t, start(t, f))
			send(t, c, 5, 1, 0)
			want(t, c, 5, 0)
			send(t, c, row.request...)
			want(t, c, granted...)
			if r := f.last(t); r.Host != row.host || r.Port != 80 {
				t.Errorf("dialled %s port %d, want %s port 80", r.Host, r.Port, row.host)
			}
		})
	}
}

// login greets as curl does: "none" first, then user and password.
func login(t *testing.T, c net.Conn, user, pass string) {
	t.Helper()
	send(t, c, 5, 3, 0, 1, 2)
	want(t, c, 5, 2)
	b := append([]byte{1, byte(len(user))}, user...)
	b = append(append(b, byte(len(pass))), pass...)
	send(t, c, b...)
	want(t, c, 1, 0)
}

func TestUserAndPasswordIsolate(t *testing.T) {
	f := &fake{dial: echo(t)}
	addr, other := start(t, f), start(t, f)
	key := func(addr, user, pass string) string {
		c := dial(t, addr)
		login(t, c, user, pass)
		send(t, c, connect("a.invalid", 80)...)
		want(t, c, granted...)
		return f.last(t).Isolation
	}
	seen := map[string]string{}
	for _, u := range [][3]string{{addr, "alice", "x"}, {addr, "alice", "y"}, {addr, "bob", "x"}, {addr, "", ""}, {addr, "a", "lice"}, {addr, "al", "ice"},
		{addr, "1:a", ""}, {addr, "1", ":a"}, {other, "alice", "x"}} {
		k := key(u[0], u[1], u[2])
		if was, dup := seen[k]; dup {
			t.Errorf("%q shares the key of %s", u, was)
		}
		seen[k] = strings.Join(u[:], " ")
	}
	if a, b := key(addr, "alice", "x"), key(addr, "alice", "x"); a != b {
		t.Errorf("the same user has two keys: %q, %q", a, b)
	}
}

func TestReplyCodes(t *testing.T) {
	for _, row := range []struct {
		err  error
		code byte
	}{
		{&client.Error{Code: client.General}, 1},
		{&client.Error{Code: client.NotAllowed}, 2},
		{&client.Error{Code: client.NetUnreachable}, 3},
		{&client.Error{Code: client.HostUnreachable}, 4},
		{&client.Error{Code: client.Refused}, 5},
		{&client.Error{Code: client.Timeout}, 6},
		{errors.New("refused, says a text that counts for nothing"), 1},
		{context.DeadlineExceeded, 6},
	} {
		f := &fake{dial: func(context.Context, client.Request) (net.Conn, error) { return nil, row.err }}
		c := dial(t, start(t, f))
		send(t, c, 5, 1, 0)
		want(t, c, 5, 0)
		send(t, c, connect("a.invalid", 80)...)
		want(t, c, code(row.code)...)
		wantEnd(t, c)
	}
}

func TestBadRequests(t *testing.T) {
	long := strings.Repeat("a", 254)
	for _, row := range []struct {
		name    string
		request []byte
		answer  []byte
	}{
		{"BIND", append([]byte{5, 2}, connect("a.invalid", 80)[2:]...), code(7)},
		{"UDP ASSOCIATE", append([]byte{5, 3}, connect("a.invalid", 80)[2:]...), code(7)},
		{"unknown command", append([]byte{5, 9}, connect("a.invalid", 80)[2:]...), code(7)},
		{"unknown address type", []byte{5, 1, 0, 9}, code(8)},
		{"empty name", connect("", 80), code(2)},
		{"port 0", connect("a.invalid", 0), code(2)},
		{"NUL in the name", connect("a\x00b", 80), code(2)},
		{"space in the name", connect("a b", 80), code(2)},
		{"name too long", connect(long, 80), code(2)},
		{"version 6", []byte{6, 1, 0, 1, 1, 2, 3, 4, 0, 80}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := &fake{dial: func(context.Context, client.Request) (net.Conn, error) {
				t.Error("the request reached the dialer")
				return nil, io.EOF
			}}
			c := dial(t, start(t, f))
			send(t, c, 5, 1, 0)
			want(t, c, 5, 0)
			send(t, c, row.request...)
			want(t, c, row.answer...)
			wantEnd(t, c)
		})
	}
}

func TestStrangersGetAnAnswer(t *testing.T) {
	addr := start(t, &fake{})
	c := dial(t, addr)
	send(t, c, []byte("GET http://example.org/ HTTP/1.1\r\n\r\n")...)
	c.CloseWrite()
	b, _ := io.ReadAll(c)
	if !bytes.HasPrefix(b, []byte("HTTP/1.0 501 ")) || !bytes.Contains(b, []byte("SOCKS5")) {
		t.Errorf("a browser that takes us for an HTTP proxy reads %q", b)
	}
	c = dial(t, addr)
	send(t, c, 4, 1, 0, 80, 192, 0, 2, 7, 0)
	want(t, c, 0, 91, 0, 0, 0, 0, 0, 0)
	c = dial(t, addr)
	send(t, c, 5, 1, 1) // GSSAPI alone
	want(t, c, 5, 255)
	wantEnd(t, c)
	c = dial(t, addr)
	send(t, c, 9, 1, 0) // a version that nobody knows
	wantEnd(t, c)
}

func TestByteAtATime(t *testing.T) {
	c := dial(t, start(t, &fake{dial: echo(t)}))
	c.SetNoDelay(true)
	all := append([]byte{5, 2, 0, 2, 1, 1, 'u', 1, 'p'}, connect("a.invalid", 80)...)
	for _, b := range append(all, []byte("ping")...) {
		send(t, c, b)
	}
	want(t, c, 5, 2, 1, 0)
	want(t, c, granted...)
	want(t, c, []byte("ping")...)
}

// All that a program may send ahead of the replies arrives, in order.
func TestPipelinedDataArrives(t *testing.T) {
	c := dial(t, start(t, &fake{dial: echo(t)}))
	ahead := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	go func() {
		c.Write(append(append([]byte{5, 1, 0}, connect("a.invalid", 80)...), ahead...))
		c.CloseWrite()
	}()
	want(t, c, 5, 0)
	want(t, c, granted...)
	want(t, c, ahead...)
	wantEnd(t, c)
}

func TestHangingUpEndsTheDial(t *testing.T) {
	gone := make(chan struct{})
	f := &fake{dial: func(ctx context.Context, _ client.Request) (net.Conn, error) {
		<-ctx.Done()
		close(gone)
		return nil, ctx.Err()
	}}
	c := dial(t, start(t, f))
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("a.invalid", 80)...)
	c.Close()
	select {
	case <-gone:
	case <-time.After(8 * time.Second):
		t.Error("the dial goes on for a program that has left")
	}
}

func TestHalfCloseEachWay(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	half := &halfConn{Conn: a, closed: make(chan struct{})}
	f := &fake{dial: func(context.Context, client.Request) (net.Conn, error) { return half, nil }}
	c := dial(t, start(t, f))
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("a.invalid", 80)...)
	want(t, c, granted...)
	c.CloseWrite()
	<-half.closed // the stream has heard of it, and the other way still works
	go b.Write([]byte("late"))
	want(t, c, []byte("late")...)
}

// A destination that has said all it has to say still takes what the program sends.
func TestDestinationEndsFirst(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	heard := make(chan []byte, 1)
	go func() { // ends with the connection
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "bye")
		c.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(c)
		heard <- b
	}()
	f := &fake{dial: func(context.Context, client.Request) (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }}
	c := dial(t, start(t, f))
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("a.invalid", 80)...)
	want(t, c, granted...)
	want(t, c, []byte("bye")...)
	wantEnd(t, c) // the program has the end before it sends anything
	send(t, c, []byte("one, ")...)
	send(t, c, []byte("two")...)
	c.CloseWrite()
	if b := <-heard; string(b) != "one, two" {
		t.Errorf("after its end the destination heard %q", b)
	}
}

// A halfConn notes that its writing side was closed.
type halfConn struct {
	net.Conn
	closed chan struct{}
}

func (h *halfConn) CloseWrite() error { close(h.closed); return nil }

// A program must not take the end of a broken stream, or of the client, for one
// that was meant.
func TestBrokenStreamIsReset(t *testing.T) {
	rows := map[string]func(stream *io.PipeWriter, s *proxy.Server){
		"stream": func(stream *io.PipeWriter, _ *proxy.Server) { stream.CloseWithError(errors.New("circuit lost")) },
		"client": func(_ *io.PipeWriter, s *proxy.Server) { s.Close() },
	}
	for name, breakIt := range rows {
		t.Run(name, func(t *testing.T) {
			r, w := io.Pipe()
			defer w.Close()
			near, far := net.Pipe()
			defer far.Close()
			f := &fake{dial: func(context.Context, client.Request) (net.Conn, error) { return &readConn{near, r}, nil }}
			s, addr := startServer(t, f)
			c := dial(t, addr)
			send(t, c, 5, 1, 0)
			want(t, c, 5, 0)
			send(t, c, connect("a.invalid", 80)...)
			want(t, c, granted...)
			go w.Write([]byte("half of it"))
			want(t, c, []byte("half of it")...)
			breakIt(w, s)
			if b, err := io.ReadAll(c); err == nil {
				t.Errorf("read %q and an orderly end", b)
			}
		})
	}
}

// A readConn reads from somewhere else.
type readConn struct {
	net.Conn
	r *io.PipeReader
}

func (c *readConn) Read(b []byte) (int, error) { return c.r.Read(b) }
func (c *readConn) Close() error               { c.r.Close(); return c.Conn.Close() }

// A server that has heard enough answers and takes no more: the answer arrives.
func TestAnswerArrivesThoughTheStreamTakesNoMore(t *testing.T) {
	near, far := net.Pipe()
	full := &fullConn{Conn: near, told: make(chan struct{})}
	f := &fake{dial: func(context.Context, client.Request) (net.Conn, error) { return full, nil }}
	c := dial(t, start(t, f))
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("a.invalid", 80)...)
	want(t, c, granted...)
	send(t, c, []byte("more than anybody wants")...)
	<-full.told
	go func() { far.Write([]byte("too much")); far.Close() }()
	want(t, c, []byte("too much")...)
	wantEnd(t, c)
}

// A fullConn takes nothing.
type fullConn struct {
	net.Conn
	told chan struct{} // closed when CloseWrite follows the failure
}

func (f *fullConn) Write([]byte) (int, error) { return 0, errors.New("stream ended") }
func (f *fullConn) CloseWrite() error         { close(f.told); return nil }

func TestPanicEndsOneConnection(t *testing.T) {
	ok := echo(t)
	f := &fake{dial: func(ctx context.Context, r client.Request) (net.Conn, error) {
		if r.Host == "panic.invalid" {
			panic("in the dialer")
		}
		return ok(ctx, r)
	}}
	addr := start(t, f)
	c := dial(t, addr)
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("panic.invalid", 80)...)
	io.Copy(io.Discard, c)
	c = dial(t, addr)
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("fine.invalid", 80)...)
	want(t, c, granted...)
}

func TestSilentProgramIsCutOff(t *testing.T) {
	for _, said := range []string{"", "\x05", "\x05\x01", "\x05\x01\x00\x05\x01\x00\x03\x20abc"} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			ln := &pipeListener{conns: make(chan net.Conn, 1)}
			s := proxy.NewServer(&fake{}, slog.New(slog.DiscardHandler))
			go s.Serve(ln)
			ln.conns <- ours
			began := time.Now()
			go theirs.Write([]byte(said))
			io.Copy(io.Discard, theirs)
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("after %q the connection lived for %v, want 10s", said, took)
			}
			s.Close()
			close(ln.conns)
		})
	}
}

// A pipeListener hands out what is put into conns.
type pipeListener struct{ conns chan net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (*pipeListener) Close() error   { return nil }
func (*pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1080} }

func TestManyIdleConnections(t *testing.T) {
	f := &fake{dial: echo(t)}
	addr := start(t, f)
	for range 1000 {
		dial(t, addr)
	}
	c := dial(t, addr)
	send(t, c, 5, 1, 0)
	want(t, c, 5, 0)
	send(t, c, connect("a.invalid", 80)...)
	want(t, c, granted...)
}

func TestResolveCommands(t *testing.T) {
	f := &fake{resolve: func(r cell.ResolveRequest) (cell.ResolvedReply, error) {
		switch {
		case r.Reverse && r.Host == "192.0.2.7":
			return cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerName, Name: "host.invalid", TTL: 60}}}, nil
		case !r.Reverse && r.Host == "host.invalid":
			return cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerIPv4, Addr: netip.MustParseAddr("192.0.2.7"), TTL: 60}}}, nil
		}
		return cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerNotFound}}}, nil
	}}
	addr := start(t, f)
	ask := func(request []byte) net.Conn {
		c := dial(t, addr)
		send(t, c, 5, 1, 0)
		want(t, c, 5, 0)
		send(t, c, request...)
		return c
	}
	want(t, ask(append([]byte{5, 0xf0}, connect("host.invalid", 0)[2:]...)), 5, 0, 0, 1, 192, 0, 2, 7, 0, 0)
	want(t, ask([]byte{5, 0xf1, 0, 1, 192, 0, 2, 7, 0, 0}), append([]byte{5, 0, 0, 3, 12}, "host.invalid\x00\x00"...)...)
	want(t, ask(append([]byte{5, 0xf0}, connect("none.invalid", 0)[2:]...)), code(4)...)
	want(t, ask(append([]byte{5, 0xf0}, connect("", 0)[2:]...)), code(2)...)
}

func FuzzSession(f *testing.F) {
	f.Add(append([]byte{5, 1, 0}, connect("a.invalid", 80)...))
	f.Add([]byte{5, 3, 0, 1, 2, 1, 1, 'u', 1, 'p', 5, 1, 0, 1, 1, 2, 3, 4, 0, 80, 'x'})
	f.Add([]byte{4, 1, 0, 80, 1, 2, 3, 4, 0})
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		ln := &pipeListener{conns: make(chan net.Conn, 1)}
		s := proxy.NewServer(&fake{
			dial: func(_ context.Context, r client.Request) (net.Conn, error) {
				if r.Host == "" || r.Port == 0 || len(r.Host) > 253 || strings.ContainsAny(r.Host, "\x00 /") {
					t.Errorf("dialled %q port %d", r.Host, r.Port)
				}
				return nil, io.EOF
			},
			resolve: func(cell.ResolveRequest) (cell.ResolvedReply, error) { return cell.ResolvedReply{}, io.EOF },
		}, slog.New(slog.DiscardHandler))
		done := make(chan struct{})
		go func() { s.Serve(ln); close(done) }()
		ln.conns <- ours
		go io.Copy(io.Discard, theirs)
		theirs.SetWriteDeadline(time.Now().Add(time.Second))
		theirs.Write(in)
		theirs.Close()
		close(ln.conns)
		<-done
		s.Close()
	})
}
