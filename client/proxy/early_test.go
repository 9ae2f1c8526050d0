package proxy_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"tunic/client"
)

// What a program sends without waiting for the reply goes with the request if it is a
// ClientHello, and that alone; the rest follows when the stream is open. Nothing is
// lost or sent twice, whether the dialer has taken it or not.
func TestClientHelloGoesWithTheRequest(t *testing.T) {
	record := func(kind, first byte, n int) []byte {
		return append([]byte{kind, 3, 1, byte(n >> 8), byte(n), first}, bytes.Repeat([]byte{'x'}, n-1)...)
	}
	hello := record(22, 1, 300)
	finished := record(23, 7, 40)
	for name, c := range map[string]struct{ sent, early []byte }{
		"a ClientHello":              {hello, hello},
		"with data behind it":        {append(bytes.Clone(hello), finished...), hello},
		"cut short":                  {hello[:100], hello[:100]},
		"another record of TLS":      {finished, nil},
		"another handshake message":  {record(22, 2, 50), nil},
		"a request of another kind":  {[]byte("POST /order HTTP/1.1\r\n\r\n"), nil},
		"less than a record's front": {hello[:4], nil},
	} {
		t.Run(name, func(t *testing.T) {
			open := echo(t)
			took := make(chan []byte, 1)
			f := &fake{dial: func(ctx context.Context, r client.Request) (net.Conn, error) {
				conn, err := open(ctx, r)
				if err != nil || c.early == nil {
					return conn, err
				}
				b := <-r.First
				took <- b
				_, err = conn.Write(b)
				return conn, err
			}}
			p := dial(t, start(t, f))
			send(t, p, 5, 1, 0)
			want(t, p, 5, 0)
			send(t, p, append(connect("a.invalid", 443), c.sent...)...)
			want(t, p, granted...)
			if c.early != nil {
				if got := <-took; !bytes.Equal(got, c.early) {
					t.Errorf("%d bytes went early, want %d", len(got), len(c.early))
				}
			}
			want(t, p, c.sent...)
			p.CloseWrite()
			wantEnd(t, p)
		})
	}
}

// The ClientHello may come while the request is under way.
func TestClientHelloMayComeLater(t *testing.T) {
	hello := append([]byte{22, 3, 1, 0, 9, 1}, "in clear"...)
	asked := make(chan struct{})
	open := echo(t)
	f := &fake{dial: func(ctx context.Context, r client.Request) (net.Conn, error) {
		close(asked)
		first := <-r.First
		conn, err := open(ctx, r)
		if err == nil {
			_, err = conn.Write(first)
		}
		return conn, err
	}}
	p := dial(t, start(t, f))
	send(t, p, 5, 1, 0)
	want(t, p, 5, 0)
	send(t, p, connect("a.invalid", 443)...)
	<-asked
	send(t, p, hello...)
	want(t, p, granted...)
	want(t, p, hello...)
}

// A program that has sent its ClientHello and hangs up is noticed though nobody has
// taken it.
func TestHangingUpAfterClientHello(t *testing.T) {
	gone := make(chan struct{})
	f := &fake{dial: func(ctx context.Context, _ client.Request) (net.Conn, error) {
		<-ctx.Done()
		close(gone)
		return nil, ctx.Err()
	}}
	p := dial(t, start(t, f))
	send(t, p, 5, 1, 0)
	want(t, p, 5, 0)
	send(t, p, append(connect("a.invalid", 443), 22, 3, 1, 0, 1, 1)...)
	p.CloseWrite()
	io.Copy(io.Discard, p)
	select {
	case <-gone:
	case <-time.After(8 * time.Second):
		t.Error("the dial goes on for a program that has left")
	}
}
