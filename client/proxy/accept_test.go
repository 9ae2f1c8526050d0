package proxy_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"tunic/client"
	"tunic/client/proxy"
)

// serveIn runs a server on ln inside a bubble; end stops it.
func serveIn(t *testing.T, f *fake, ln net.Listener) (end func()) {
	s := proxy.NewServer(f, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	return func() {
		s.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve ended with %v", err)
		}
	}
}

// A flakyListener fails where it is told to, as without free descriptors.
type flakyListener struct {
	fails  func(i int) bool
	conns  chan net.Conn
	closed chan struct{}
	times  []time.Time // of the attempts
}

func (l *flakyListener) Accept() (net.Conn, error) {
	l.times = append(l.times, time.Now())
	if l.fails(len(l.times)) {
		return nil, errors.New("too many open files")
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *flakyListener) Close() error   { close(l.closed); return nil }
func (l *flakyListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1080} }

// While accepting fails the pauses double up to a second; a connection that comes
// makes the next one short again.
func TestAcceptBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &flakyListener{fails: func(i int) bool { return i != 11 }, conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		ours, theirs := net.Pipe()
		ln.conns <- ours
		end := serveIn(t, &fake{}, onceClosed{ln})
		time.Sleep(8 * time.Second)
		theirs.Close()
		end()
		want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 0, 5, 10}
		for i, ms := range want {
			if got := ln.times[i+1].Sub(ln.times[i]); got != ms*time.Millisecond {
				t.Errorf("attempt %d came %v after the one before, want %d ms", i+2, got, ms)
			}
		}
	})
}

// onceClosed lets a listener be closed by the server and by Serve.
type onceClosed struct{ *flakyListener }

func (o onceClosed) Close() error {
	select {
	case <-o.closed:
		return nil
	default:
		return o.flakyListener.Close()
	}
}

// A server holds so many connections and no more; who comes beyond that is closed at
// once, and when one has gone there is room again.
func TestConnectionsAreBounded(t *testing.T) {
	const most = 4096 // maxConns
	synctest.Test(t, func(t *testing.T) {
		ln := &flakyListener{fails: func(int) bool { return false }, conns: make(chan net.Conn), closed: make(chan struct{})}
		end := serveIn(t, &fake{}, onceClosed{ln})
		come := func() net.Conn {
			ours, theirs := net.Pipe()
			ln.conns <- ours
			synctest.Wait()
			return theirs
		}
		open := func(c net.Conn) bool {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			return !errors.Is(err, io.EOF)
		}
		var all []net.Conn
		for range most {
			all = append(all, come())
		}
		if !open(all[most-1]) {
			t.Errorf("connection %d was closed", most)
		}
		if open(come()) {
			t.Errorf("connection %d was taken", most+1)
		}
		all[0].Close()
		synctest.Wait()
		last := come()
		if !open(last) {
			t.Error("no room though one has gone")
		}
		for _, c := range append(all, last) {
			c.Close()
		}
		end()
	})
}

// An addressed connection comes from wherever it says.
type addressed struct {
	net.Conn
	from net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.from }

// Programs on different machines never share a circuit; two connections of one
// machine do, whatever their ports.
func TestClientAddressIsolates(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	f := &fake{dial: func(context.Context, client.Request) (net.Conn, error) { return nil, errors.New("no") }}
	ln := &flakyListener{fails: func(int) bool { return false }, conns: make(chan net.Conn), closed: make(chan struct{})}
	end := serveIn(t, f, onceClosed{ln})
	defer end()
	key := func(host string, port int) string {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		ln.conns <- addressed{ours, &net.TCPAddr{IP: net.ParseIP(host), Port: port}}
		send(t, theirs, 5, 1, 0)
		want(t, theirs, 5, 0)
		send(t, theirs, connect("a.invalid", 80)...)
		want(t, theirs, code(1)...)
		return f.last(t).Isolation
	}
	a := key("192.0.2.1", 1000)
	if b := key("192.0.2.1", 2000); a != b {
		t.Errorf("two connections of one machine have the keys %q and %q", a, b)
	}
	for _, host := range []string{"192.0.2.2", "2001:db8::1", "127.0.0.1"} {
		if b := key(host, 1000); a == b {
			t.Errorf("%s shares the key of 192.0.2.1", host)
		}
	}
}
