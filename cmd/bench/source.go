package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/proxy"
)

const ( // our choice, in bytes
	smallAnswer = 1 << 10   // that a request for the first byte gets
	sourceChunk = 64 << 10  // written at once to a stream
	drainChunk  = 256 << 10 // read at once from one

	fetchLimit = 30 * time.Second // that a request may take
)

// What a connection to the source asks for, by its first byte.
const (
	askStream = 's' // bytes without end
	askSmall  = '1' // smallAnswer bytes
)

// A source is the destination of the streams that are measured, a port of loopback.
type source struct {
	ln net.Listener
	wg sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	conns  map[net.Conn]struct{}
}

func newSource() (*source, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &source{ln: ln, conns: map[net.Conn]struct{}{}}
	s.wg.Go(s.accept) // ends with close
	return s, nil
}

func (s *source) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		if s.enter(c) {
			s.wg.Go(func() { defer s.leave(c); serveSource(c) }) // ends with the connection
		}
	}
}

// enter notes a connection, unless the source is closed.
func (s *source) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *source) leave(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *source) close() error {
	s.ln.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// serveSource answers one connection.
func serveSource(c net.Conn) {
	var ask [1]byte
	if _, err := io.ReadFull(c, ask[:]); err != nil {
		return
	}
	chunk := make([]byte, sourceChunk)
	if ask[0] == askSmall {
		_, _ = c.Write(chunk[:smallAnswer]) // who left early is no error here
		return
	}
	for {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}

// dial opens a stream to the source through a proxy, on a circuit that no other
// stream is on, and asks. The connection closes when ctx ends.
func (s *source) dial(ctx context.Context, socks string, ask byte) (conn net.Conn, done func(), err error) {
	d, err := proxy.SOCKS5("tcp", socks, &proxy.Auth{User: rand.Text(), Password: "bench"}, proxy.Direct)
	if err != nil {
		return nil, nil, err
	}
	through, ok := d.(proxy.ContextDialer)
	if !ok {
		return nil, nil, errors.New("the SOCKS library dials without a context")
	}
	limited, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	conn, err = through.DialContext(limited, "tcp", s.ln.Addr().String())
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok && strings.HasPrefix(op.Op, "socks") {
			err = fmt.Errorf("the proxy says: %s", strings.TrimPrefix(op.Err.Error(), "unknown error "))
		}
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	done = func() { stop(); conn.Close() }
	if _, err := conn.Write([]byte{ask}); err != nil {
		done()
		return nil, nil, err
	}
	return conn, done, nil
}

// drain reads a stream until ctx ends or the stream breaks. It calls got with 0 for
// the first bytes, then with how many came.
func (s *source) drain(ctx context.Context, socks string, got func(n int)) error {
	conn, done, err := s.dial(ctx, socks, askStream)
	if err != nil {
		return err
	}
	defer done()
	buf := make([]byte, drainChunk)
	for first := true; ; first = false {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("a stream broke off: %w", err)
		}
		if first {
			got(0)
		}
		if n > 0 {
			got(n)
		}
	}
}

// fetch asks for a small answer and returns when its first byte has come since
// before the connection to the proxy.
func (s *source) fetch(ctx context.Context, socks string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	began := time.Now()
	conn, done, err := s.dial(ctx, socks, askSmall)
	if err != nil {
		return 0, err
	}
	defer done()
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return 0, fmt.Errorf("first byte: %w", err)
	}
	took := time.Since(began)
	if n, err := io.Copy(io.Discard, conn); err != nil || n != smallAnswer-1 {
		return 0, fmt.Errorf("%d of %d bytes came: %w", n+1, smallAnswer, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return took, nil
}
