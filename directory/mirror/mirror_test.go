package mirror

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tunic/cell/work"
	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server is a mirror that answers on pipes.
type server struct {
	*Listener
	served sync.WaitGroup
	http   *http.Server
}

// serve runs h until the test ends.
func serve(t *testing.T, h http.Handler) *server {
	s := &server{Listener: NewListener(), http: NewServer(h)}
	s.served.Go(func() { _ = s.http.Serve(s.Listener) }) // ends with stop
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	s.http.Close()
	s.Listener.Close()
	s.served.Wait()
	s.Wait()
}

// client returns a client whose streams come from peer.
func (s *server) client(peer Peer) *Client {
	return &Client{Dial: func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		if err := s.Offer(far, peer); err != nil {
			return nil, err
		}
		return near, nil
	}}
}

// answering returns a client of a peer that reads a request and writes what it
// is told, whatever that is; requests receives what the client sent.
func answering(t *testing.T, answer string, requests *bytes.Buffer) *Client {
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	return &Client{Dial: func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		running.Go(func() { // ends when either side closes
			defer far.Close()
			req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(far, requests)))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(far, answer)
		})
		return near, nil
	}}
}

type fixed struct {
	bundle *directory.Bundle
	docs   map[keys.RelayID][]byte
}

func (f *fixed) Current() *directory.Bundle        { return f.bundle }
func (f *fixed) Descriptor(id keys.RelayID) []byte { return f.docs[id] }
func handler(src Source, rate int64) *Handler {
	return NewHandler(HandlerConfig{Source: src, Rate: rate})
}
func bundles(t *testing.T) (net *directorytest.Network, a, b *directory.Bundle) {
	net = directorytest.New(3)
	relays := net.Relays(40)
	a, h := net.Sign(t, net.Consensus(0, relays), nil)
	b, _ = net.Sign(t, net.Consensus(1, relays), h)
	return net, a, b
}

func TestConsensus(t *testing.T) {
	net, first, second := bundles(t)
	src := &fixed{}
	c := serve(t, handler(src, 0)).client(Peer{})
	if _, err := c.Consensus(t.Context(), net.Network, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("before there is one: %v", err)
	}
	src.bundle = first
	got, err := c.Consensus(t.Context(), net.Network, nil)
	if err != nil || !got.Equal(first) {
		t.Fatalf("the first: %v", err)
	}
	if _, err := c.Consensus(t.Context(), net.Network, &got.Signed.Checkpoint); !errors.Is(err, ErrNotNewer) {
		t.Errorf("the same again: %v", err)
	}
	if _, err := c.Consensus(t.Context(), net.Network, &second.Signed.Checkpoint); !errors.Is(err, ErrNotNewer) {
		t.Errorf("one who holds a newer: %v", err)
	}
	src.bundle = second
	if got, err := c.Consensus(t.Context(), net.Network, &first.Signed.Checkpoint); err != nil || !got.Equal(second) {
		t.Errorf("the second: %v", err)
	}
	other := directorytest.New(3)
	if _, err := c.Consensus(t.Context(), other.Network, nil); !errors.Is(err, directory.ErrShort) {
		t.Errorf("of other authorities: %v", err)
	}
}

func TestMirrorThatSendsOldConsensuses(t *testing.T) {
	net, first, second := bundles(t)
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // ignores what the client holds
		handler(&fixed{}, 0).Reply(w, r, first.Raw(), nil)
	})).client(Peer{})
	if _, err := c.Consensus(t.Context(), net.Network, &second.Signed.Checkpoint); !errors.Is(err, directory.ErrOlder) {
		t.Errorf("%v, want ErrOlder", err)
	}
}

func TestConsensusTravelsPacked(t *testing.T) {
	_, b, _ := bundles(t)
	s := serve(t, handler(&fixed{bundle: b}, 0))
	near, far := net.Pipe()
	if err := s.Offer(far, Peer{}); err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	req, _ := (&request{method: "GET", path: PathConsensus}).http()
	if err := req.Write(near); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(near), req)
	if err != nil || resp.Header.Get("Content-Encoding") != "zstd" || resp.ContentLength >= int64(len(b.Raw())) {
		t.Fatalf("%v, %+v", err, resp)
	}
	if date := resp.Header.Get("Date"); date != "" {
		t.Errorf("the answer says the time: %s", date)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
}

// All that clients send: no two differ but in what they ask for.
func TestRequestsAreTheSame(t *testing.T) {
	net, first, _ := bundles(t)
	for name, tc := range map[string]struct {
		ask  func(c *Client)
		want string
	}{
		"first": {
			func(c *Client) { _, _ = c.Consensus(t.Context(), net.Network, nil) },
			"GET /tunic/1/consensus HTTP/1.1\r\nHost: directory\r\nConnection: close\r\nAccept-Encoding: zstd\r\n\r\n",
		},
		"later": {
			func(c *Client) { _, _ = c.Consensus(t.Context(), net.Network, &first.Signed.Checkpoint) },
			"GET /tunic/1/consensus HTTP/1.1\r\nHost: directory\r\nConnection: close\r\nAccept-Encoding: zstd\r\n" +
				"Tunic-Have: 2026-01-02T12:00:00.000Z " + first.Signed.Checkpoint.Digest.String() + "\r\n\r\n",
		},
		"publish": {
			func(c *Client) { _ = c.Publish(t.Context(), []byte("x\n")) },
			"POST /tunic/1/descriptor HTTP/1.1\r\nHost: directory\r\nConnection: close\r\nContent-Length: 2\r\nAccept-Encoding: zstd\r\n\r\nx\n",
		},
	} {
		var sent bytes.Buffer
		tc.ask(answering(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", &sent))
		if sent.String() != tc.want {
			t.Errorf("%s: sent\n%q, want\n%q", name, sent.String(), tc.want)
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	bomb := string(Pack(make([]byte, 64<<20)))
	long := strings.Repeat("a", maxHeader)
	packed := func(body string) string {
		return "HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	for name, tc := range map[string]struct {
		answer string
		want   error
	}{
		"nothing":                   {"", ErrAnswer},
		"no HTTP":                   {"SSH-2.0-x\r\n\r\n", ErrAnswer},
		"cut in the header":         {"HTTP/1.1 200 OK\r\nContent-Len", ErrAnswer},
		"endless header":            {"HTTP/1.1 200 OK\r\nX: " + long + "\r\n\r\n", ErrAnswer},
		"endless number of headers": {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 10000), ErrAnswer},
		"no length":                 {"HTTP/1.1 200 OK\r\n\r\nhello", ErrAnswer},
		"chunked":                   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ErrAnswer},
		"two lengths":               {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", ErrAnswer},
		"cut in the body":           {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", io.ErrUnexpectedEOF},
		"too long":                  {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", ErrTooLarge},
		"terabytes":                 {"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n", ErrTooLarge},
		"packed bomb":               {packed(bomb), ErrTooLarge},
		"packed bomb of its limit":  {packed(bomb[:min(len(bomb), 1000)]), ErrTooLarge},
		"no zstd":                   {packed("hello"), ErrAnswer},
		"packed otherwise":          {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", ErrAnswer},
		"not modified":              {"HTTP/1.1 304 Not Modified\r\n\r\n", ErrNotNewer},
		"not found":                 {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ErrNotFound},
	} {
		var sent bytes.Buffer
		if b, err := answering(t, tc.answer, &sent).Get(t.Context(), "/x", 1000); !errors.Is(err, tc.want) {
			t.Errorf("%s: %q, %v; want %v", name, b, err, tc.want)
		}
	}
}

// A lateConn reads on only when the other side has gone.
type lateConn struct {
	net.Conn
	gone <-chan struct{}
	read bool
}

func (c *lateConn) SetReadDeadline(t time.Time) error {
	if c.read {
		<-c.gone
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *lateConn) Read(p []byte) (int, error) {
	c.read = true
	return c.Conn.Read(p)
}

// A cut answer is reported the same way when the other side has closed before
// the client reads on: a pipe then refuses a new deadline.
func TestAnswerCutBeforeItIsRead(t *testing.T) {
	near, far := net.Pipe()
	gone := make(chan struct{})
	go func() { // ends when far has written, or near is closed
		defer close(gone)
		defer far.Close()
		if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
			_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
		}
	}()
	c := &Client{Dial: func(context.Context) (net.Conn, error) { return &lateConn{Conn: near, gone: gone}, nil }}
	if _, err := c.Get(t.Context(), "/x", 1000); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want an unexpected EOF", err)
	}
}

// A sendingConn takes no byte and has none: its writes wait for Close, and say
// so as a circuit's stream does.
type sendingConn struct {
	net.Conn
	writing, done chan struct{}
}

func (c *sendingConn) Read([]byte) (int, error) {
	<-c.writing
	return 0, io.EOF
}

func (c *sendingConn) Write([]byte) (int, error) {
	close(c.writing)
	<-c.done
	return 0, net.ErrClosed
}
func (c *sendingConn) Close() error {
	close(c.done)
	return c.Conn.Close()
}

// That the client closes the stream itself is no reason for the lack of an answer.
func TestNoAnswerWhileSending(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &Client{Dial: func(context.Context) (net.Conn, error) {
		return &sendingConn{near, make(chan struct{}), make(chan struct{})}, nil
	}}
	if err := c.Publish(t.Context(), []byte("x\n")); !errors.Is(err, ErrAnswer) {
		t.Errorf("%v, want ErrAnswer", err)
	}
}

func TestStatuses(t *testing.T) {
	var sent bytes.Buffer
	get := func(answer string) error {
		_, err := answering(t, answer, &sent).Get(t.Context(), "/x", 1000)
		return err
	}
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "99999999": time.Hour, "soon": time.Minute, "-1": time.Minute, "": time.Minute} {
		busy, ok := errors.AsType[*BusyError](get("HTTP/1.1 503 x\r\nRetry-After: " + header + "\r\nContent-Length: 0\r\n\r\n"))
		if !ok || busy.RetryAfter != want {
			t.Errorf("Retry-After %q: %v", header, busy)
		}
	}
	err := get("HTTP/1.1 400 x\r\nContent-Length: 27\r\n\r\ndescr\x1b[1miptor too old\nmore.")
	status, ok := errors.AsType[*StatusError](err)
	if !ok || status.Code != 400 || status.Reason != "descr?[1miptor too old" {
		t.Errorf("%v", err)
	}
	err = get("HTTP/1.1 400 x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100000))
	if status, ok := errors.AsType[*StatusError](err); !ok || len(status.Reason) > maxReason {
		t.Errorf("%v", err)
	}
}

func TestDescriptorAndPublish(t *testing.T) {
	id := keys.GenerateIdentity().Public()
	src := &fixed{docs: map[keys.RelayID][]byte{id: []byte("a descriptor")}}
	h := handler(src, 0)
	var published []byte
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != PathDescriptor {
			h.ServeHTTP(w, r)
			return
		}
		b, err := ReadBody(w, r, directory.MaxDescriptor)
		if errors.Is(err, directory.ErrTooLarge) {
			Refuse(w, http.StatusRequestEntityTooLarge, "too large")
			return
		}
		published = b
		Refuse(w, http.StatusOK, "taken")
	}))
	c := s.client(Peer{})
	if got, err := c.Descriptor(t.Context(), id); err != nil || string(got) != "a descriptor" {
		t.Errorf("Descriptor = %q, %v", got, err)
	}
	if _, err := c.Descriptor(t.Context(), keys.RelayID{1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("of an unknown relay: %v", err)
	}
	doc := bytes.Repeat([]byte("x"), directory.MaxDescriptor)
	if err := c.Publish(t.Context(), doc); err != nil || !bytes.Equal(published, doc) {
		t.Errorf("Publish: %v, %d bytes arrived", err, len(published))
	}
	err := c.Publish(t.Context(), append(doc, 'x'))
	if status, ok := errors.AsType[*StatusError](err); !ok || status.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte too many: %v", err)
	}
}

// The read stops at the byte after the limit, also where the length is not said.
func TestReadBodyStopsAtTheByteAfter(t *testing.T) {
	const limit = 100_000
	for name, length := range map[string]int64{"length said": limit + 1, "length not said": -1} {
		in := &counting{r: bytes.NewReader(make([]byte, 10*limit))}
		r, _ := http.NewRequest("POST", "http://directory/x", in)
		r.ContentLength = length
		_, err := ReadBody(nil, r, limit)
		if !errors.Is(err, directory.ErrTooLarge) || in.n > limit+1 {
			t.Errorf("%s: %v after %d bytes", name, err, in.n)
		}
	}
	in := &counting{r: bytes.NewReader(make([]byte, limit))}
	r, _ := http.NewRequest("POST", "http://directory/x", in)
	if b, err := ReadBody(nil, r, limit); err != nil || len(b) != limit {
		t.Errorf("as long as the limit: %d bytes, %v", len(b), err)
	}
}

type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func TestHandlerRefuses(t *testing.T) {
	_, b, _ := bundles(t)
	s := serve(t, handler(&fixed{bundle: b}, 0))
	for request, want := range map[string]string{
		"GET / HTTP/1.1":                                            "404",
		"GET /tunic/1/consensus/ HTTP/1.1":                          "404",
		"GET /tunic/1/consensus?x HTTP/1.1":                         "404",
		"GET /tunic/1//consensus HTTP/1.1":                          "404",
		"GET /tunic/1/descriptor HTTP/1.1":                          "404",
		"GET /tunic/1/descriptor/x HTTP/1.1":                        "404",
		"POST /tunic/1/consensus HTTP/1.1":                          "405",
		"DELETE /tunic/1/consensus HTTP/1.1":                        "405",
		"OPTIONS * HTTP/1.1":                                        "404",
		"GET /tunic/1/consensus HTTP/3.1":                           "505",
		"hello":                                                     "400",
		"GET /x HTTP/1.1\r\nX: " + strings.Repeat("a", 4*maxHeader): "431",
	} {
		near, far := net.Pipe()
		if err := s.Offer(far, Peer{}); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { // ends with near
			defer close(done)
			_, _ = io.WriteString(near, request+"\r\nHost: directory\r\n\r\n")
		}()
		line, err := bufio.NewReader(near).ReadString('\n')
		if err != nil || !strings.Contains(line, " "+want+" ") {
			t.Errorf("%.40q: %q, %v; want %s", request, line, err, want)
		}
		near.Close()
		<-done
	}
}

func TestPeerOfARequest(t *testing.T) {
	id := keys.GenerateIdentity().Public()
	peers := make(chan Peer, 1)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, class := PeerFrom(r.Context())
		peers <- Peer{ID: id, Class: class}
		Refuse(w, http.StatusOK, "ok")
	}))
	want := Peer{ID: id, Class: work.Authority}
	if _, err := s.client(Peer{ID: id, Class: work.Authority, Link: 7}).Get(t.Context(), "/x", 10); err != nil {
		t.Fatal(err)
	}
	if got := <-peers; got != want {
		t.Errorf("peer %+v, want %+v", got, want)
	}
	if id, class := PeerFrom(t.Context()); id != (keys.RelayID{}) || class != work.Stranger {
		t.Error("a context without a peer is not a stranger's")
	}
}

func TestRequestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // nobody reads
		defer far.Close()
		c := &Client{Dial: func(context.Context) (net.Conn, error) { return near, nil }}
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := c.Get(ctx, "/x", 10); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 7*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestRequestEndsWhenNothingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go func() { // ends when the client closes
			req, err := http.ReadRequest(bufio.NewReader(far))
			if err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
			}
			_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for range 3 {
				time.Sleep(20 * time.Second)
				_, _ = far.Write([]byte{'x'})
			}
		}()
		c := &Client{Dial: func(context.Context) (net.Conn, error) { return near, nil }}
		start := time.Now()
		if _, err := c.Get(t.Context(), "/x", 1000); err == nil || time.Since(start) != 90*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestServerGivesUpOnSlowRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, _ := bundles(t)
		s := &server{Listener: NewListener(), http: NewServer(handler(&fixed{bundle: b}, 0))}
		s.served.Go(func() { _ = s.http.Serve(s.Listener) })
		defer s.stop()
		near, far := net.Pipe()
		defer near.Close()
		if err := s.Offer(far, Peer{}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for { // a byte a second
			if _, err := near.Write([]byte("x")); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(start); d < headerTimeout || d > headerTimeout+replyTime+time.Second {
			t.Errorf("gave up after %v", d)
		}
		synctest.Wait()
		if s.Streams() != 0 {
			t.Errorf("%d streams are still open", s.Streams())
		}
	})
}

// A client that asks and takes nothing holds its stream for half a minute.
func TestServerGivesUpOnSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, _ := bundles(t)
		s := &server{Listener: NewListener(), http: NewServer(handler(&fixed{bundle: b}, 0))}
		s.served.Go(func() { _ = s.http.Serve(s.Listener) })
		defer s.stop()
		near, far := net.Pipe()
		defer near.Close()
		if err := s.Offer(far, Peer{}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(near, "GET /tunic/1/consensus HTTP/1.1\r\nHost: directory\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stallTimeout - time.Second)
		if s.Streams() != 1 {
			t.Error("gave up too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.Streams() != 0 {
			t.Error("still waiting for a client that reads nothing")
		}
	})
}
