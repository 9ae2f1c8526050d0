package circuit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/circuit"
)

// streamListener hands streams to an http.Server.
type streamListener struct {
	streams chan net.Conn
	once    sync.Once
	done    chan struct{}
}

func (l *streamListener) Accept() (net.Conn, error) {
	select {
	case s := <-l.streams:
		return s, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *streamListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *streamListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestHTTP runs net/http over streams, as the directory does: a stream must be the
// net.Conn that both of its ends expect, deadlines and all.
func TestHTTP(t *testing.T) {
	nw := newNetwork(t, 1)
	r := nw.relays[0]
	ln := &streamListener{streams: make(chan net.Conn), done: make(chan struct{})}
	started := make(chan struct{}, 1)
	cancelled := make(chan struct{})
	server := &http.Server{
		ReadTimeout: 5 * time.Second,
		IdleTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch req.URL.Path {
			case "/sum":
				h := sha256.New()
				io.Copy(h, req.Body)
				w.Write(h.Sum(nil))
			case "/noise":
				io.CopyN(w, newNoise(), 1<<20)
			case "/wait": // until the client goes away
				started <- struct{}{}
				<-req.Context().Done()
				close(cancelled)
			}
		}),
	}
	r.beginDir = func(s *circuit.Stream) {
		r.work.Go(func() {
			if s.Connect(connectedNowhere) == nil {
				ln.streams <- s
			}
		})
	}
	r.work.Go(func() { server.Serve(ln) })
	c := newClient(nw).build(1)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.DialDir(ctx) },
	}
	client := &http.Client{Transport: transport, Timeout: testLimit}
	defer func() {
		transport.CloseIdleConnections()
		server.Close()
	}()

	for range 3 { // on one stream, kept alive
		resp, err := client.Post("http://relay/sum", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := sha256.Sum256([]byte("hello")); err != nil || !bytes.Equal(got, want[:]) {
			t.Errorf("POST returned %x, %v", got, err)
		}
	}
	if n := r.only(t).Streams(); n != 1 {
		t.Errorf("%d streams for requests one after the other, want 1", n)
	}
	resp, err := client.Get("http://relay/noise")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || sha256.Sum256(got) != noiseSum(1<<20) {
		t.Errorf("GET returned %d bytes, %v, or others", len(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://relay/wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-started; cancel() }()
	if _, err := client.Do(req); err == nil {
		t.Error("a request that is given up has an answer")
	}
	await(t, "the server to notice", cancelled)
}
