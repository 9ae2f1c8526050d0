// Package proxy offers local front ends on a client's dialer, so that any
// program's traffic can go through the network: today SOCKS5 (RFC 1928, 1929)
// by go-socks5. It knows no circuits and resolves no names: a host name goes to
// the exit as it came.
//
// go-socks5 does the protocol; [session] stands between it and the connection
// and mends what that library leaves open: isolation by user name and
// password, deadlines, reply codes, half-close, and callers that are no SOCKS
// clients. Documentation: docs/running-a-client.md, "SOCKS".
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"tunic/cell"
	"tunic/client"
)

const ( // our choice
	maxConns     = 4096             // connections of one server; more are closed at once
	requestLimit = 10 * time.Second // for greeting and request together
	dialLimit    = 2 * time.Minute  // for a request's stream to open, as tor's SocksTimeout
	halfIdle     = 15 * time.Minute // a half-closed connection without a byte ends
	unsentBytes  = 128 << 10        // with the kernel, for a program that does not read: one write of a stream
	backoffMin   = 5 * time.Millisecond
	backoffMax   = time.Second
)

// A Dialer opens streams through the network; [*client.Client] is one.
type Dialer interface {
	Dial(ctx context.Context, r client.Request) (net.Conn, error)
	Resolve(ctx context.Context, r cell.ResolveRequest, isolation string) (cell.ResolvedReply, error)
}

// A Server is a SOCKS5 server on a dialer.
type Server struct {
	dialer Dialer
	log    *slog.Logger

	mu       sync.Mutex // guards what follows
	closed   bool
	conns    map[net.Conn]struct{}
	listener map[net.Listener]struct{}

	sessions sync.WaitGroup
	stop     context.CancelFunc
	ctx      context.Context // ends with Close; parent of every dial
}

// NewServer returns a server that opens its streams with d. It logs neither
// clients nor destinations.
func NewServer(d Dialer, log *slog.Logger) *Server {
	ctx, stop := context.WithCancel(context.Background())
	return &Server{dialer: d, log: log, ctx: ctx, stop: stop,
		conns: map[net.Conn]struct{}{}, listener: map[net.Listener]struct{}{}}
}

// Serve answers connections on ln until Close, which is when it returns
// [net.ErrClosed]. Streams that come in by different listeners never share a
// circuit.
func (s *Server) Serve(ln net.Listener) error {
	if !s.track(ln) {
		return net.ErrClosed
	}
	defer ln.Close()
	backoff := backoffMin
	for {
		conn, err := ln.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return net.ErrClosed
			}
			// Out of descriptors, most likely: what runs goes on, and frees some.
			s.log.Warn("accept failed", "error", err, "retry", backoff)
			select {
			case <-s.ctx.Done():
				return net.ErrClosed
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, backoffMax)
			continue
		}
		backoff = backoffMin
		if !s.admit(conn) {
			conn.Close()
			continue
		}
		go func() { // ends with the connection; Close closes it
			defer s.release(conn)
			newSession(s, conn, ln.Addr().String()).serve()
		}()
	}
}

func (s *Server) track(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listener[ln] = struct{}{}
	return true
}

// admit takes in a connection, unless there is no room. From here on Close waits for
// it: what is counted later it could miss.
func (s *Server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= maxConns {
		return false
	}
	s.conns[conn] = struct{}{}
	s.sessions.Add(1)
	return true
}

func (s *Server) release(conn net.Conn) {
	defer s.sessions.Done()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	conn.Close()
}

// Close ends all connections and waits for their goroutines. What is open then was
// not at its end, and the programs are told so.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	s.closed = true
	for ln := range s.listener {
		ln.Close()
	}
	for c := range s.conns {
		reset(c)
	}
	s.mu.Unlock()
	s.sessions.Wait()
	return nil
}
