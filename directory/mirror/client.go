package mirror

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

const ( // our choice
	requestTimeout = 15 * time.Minute // for a whole request, where ctx has no limit: 32 MiB at 37 kB/s
	stallTimeout   = 30 * time.Second // without a byte in either direction
)

// A Client asks one mirror or authority, each request on a stream of its own.
// Its methods may be called at the same time. Every request ends within 15
// minutes, and when no byte moves for 30 seconds. No two clients' requests
// differ but in what they ask for.
type Client struct {
	// Dial opens a directory stream. It obeys ctx.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Consensus fetches the newest consensus of network n and verifies it. have is
// the checkpoint of the one held, nil if none: the error is ErrNotNewer when the
// mirror has nothing newer, directory.ErrOlder when it sends something older all
// the same. The time is not looked at: see directory.Consensus.Usable.
func (c *Client) Consensus(ctx context.Context, n *directory.Network, have *directory.Checkpoint) (*directory.Bundle, error) {
	r := request{method: http.MethodGet, path: PathConsensus, limit: directory.MaxBundle}
	if have != nil {
		r.have = formatHave(have.ValidAfter, have.Digest)
	}
	body, err := c.do(ctx, &r)
	if err != nil {
		return nil, fmt.Errorf("fetch consensus: %w", err)
	}
	b, err := directory.OpenBundle(body, n)
	if err != nil {
		return nil, fmt.Errorf("fetch consensus: %w", err)
	}
	if have != nil && !b.Consensus.ValidAfter.After(have.ValidAfter) {
		return nil, fmt.Errorf("fetch consensus: %w", directory.ErrOlder)
	}
	return b, nil
}

// Publish uploads a descriptor to an authority.
func (c *Client) Publish(ctx context.Context, descriptor []byte) error {
	_, err := c.do(ctx, &request{method: http.MethodPost, path: PathDescriptor, body: descriptor, limit: maxPublish})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// Descriptor fetches a relay's newest descriptor. The caller verifies it.
func (c *Client) Descriptor(ctx context.Context, id keys.RelayID) ([]byte, error) {
	b, err := c.do(ctx, &request{method: http.MethodGet, path: PathOf + id.String(), limit: directory.MaxDescriptor})
	if err != nil {
		return nil, fmt.Errorf("fetch descriptor: %w", err)
	}
	return b, nil
}

// Get fetches any document, of at most limit bytes packed and unpacked.
func (c *Client) Get(ctx context.Context, path string, limit int64) ([]byte, error) {
	return c.do(ctx, &request{method: http.MethodGet, path: path, limit: limit})
}

// Post uploads body and returns the answer, of at most limit bytes.
func (c *Client) Post(ctx context.Context, path string, body []byte, limit int64) ([]byte, error) {
	return c.do(ctx, &request{method: http.MethodPost, path: path, body: body, limit: limit})
}

// A request is all that requests differ in.
type request struct {
	method, path string
	body         []byte
	have         string // of headerHave, "" if none
	limit        int64  // bytes of the answer
}

// do makes one request on a stream of its own.
func (c *Client) do(ctx context.Context, r *request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // unblocks what waits for conn
	defer stop()
	b, err := exchange(&stallConn{Conn: conn}, r)
	if ctx.Err() != nil { // what exchange says is only the consequence
		return nil, context.Cause(ctx)
	}
	return b, err
}

// exchange writes the request and meanwhile reads the answer, which may come
// before the other side has read all. It closes conn.
func exchange(conn net.Conn, r *request) ([]byte, error) {
	req, err := r.http()
	if err != nil {
		conn.Close()
		return nil, err
	}
	sent := make(chan error, 1)
	go func() { sent <- req.Write(conn) }() // ended by Close below
	b, err := answer(conn, req, r.limit)
	conn.Close()
	if sendErr := <-sent; errors.Is(err, ErrAnswer) && sendErr != nil && !closed(sendErr) {
		return nil, fmt.Errorf("send request: %w", sendErr) // the reason that no answer came
	}
	return b, err
}

// http returns the request as net/http writes it: these headers and no other.
func (r *request) http() (*http.Request, error) {
	var body io.Reader
	if r.method == http.MethodPost {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequest(r.method, "http://"+host+r.path, body)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Close = true                        // one request per stream
	req.Header["User-Agent"] = []string{""} // none
	req.Header.Set("Accept-Encoding", packing)
	if r.have != "" {
		req.Header.Set(headerHave, r.have)
	}
	return req, nil
}

// answer reads an answer whose body has at most limit bytes, packed and unpacked.
func answer(conn net.Conn, req *http.Request, limit int64) ([]byte, error) {
	in := &io.LimitedReader{R: conn, N: maxHeader}
	resp, err := http.ReadResponse(bufio.NewReader(in), req)
	if err != nil {
		if in.N <= 0 {
			return nil, fmt.Errorf("%w: header too long", ErrAnswer)
		}
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	// Closing the body would read it to its end; the stream is closed instead.
	if len(resp.TransferEncoding) > 0 || resp.ContentLength < 0 {
		return nil, fmt.Errorf("%w: without a length", ErrAnswer)
	}
	if resp.StatusCode != http.StatusOK {
		in.N = maxReason
		return nil, statusError(resp)
	}
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, resp.ContentLength)
	}
	in.N = limit + 1
	return body(resp, limit)
}

// body reads and unpacks the body of an answer.
func body(resp *http.Response, limit int64) ([]byte, error) {
	switch resp.Header.Get("Content-Encoding") {
	case "":
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		return b, nil
	case packing:
		return unpack(resp.Body, limit)
	}
	return nil, fmt.Errorf("%w: unknown encoding", ErrAnswer)
}

// statusError returns what a status other than 200 means.
func statusError(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusNotModified:
		return ErrNotNewer
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusServiceUnavailable:
		return &BusyError{RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxReason)) // what has come of it will do
	return &StatusError{Code: resp.StatusCode, Reason: printable(b)}
}

// retryAfter reads a number of seconds; what is none counts as a minute.
func retryAfter(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return time.Minute
	}
	return min(time.Duration(n)*time.Second, maxRetry)
}

// printable returns the first line of b, with what is no plain character
// replaced: it is for logs and comes from the other side.
func printable(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, line)
}

// closed reports whether err says no more than that one side has closed the stream.
func closed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// stallConn ends reads and writes when no byte moves in either direction.
type stallConn struct{ net.Conn }

// Read reads, unless nothing moves for stallTimeout. Where the stream is closed
// already, which a pipe says of the other side's end, too, the read itself tells
// how: an answer that was cut looks the same, whenever the other side went.
func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(stallTimeout)); err != nil && !closed(err) {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write writes piece by piece, each within stallTimeout; each puts off the end
// of a read that waits for the answer.
func (c *stallConn) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if err := c.Conn.SetDeadline(time.Now().Add(stallTimeout)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[:min(len(p), piece)])
		n, p = n+m, p[m:]
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
