package relay

import (
	"context"
	"net"
	"net/http"
	"time"

	"tunic/cell"
	"tunic/cell/work"
	"tunic/circuit"
	"tunic/directory"
	"tunic/directory/mirror"
)

// BeginDir hands a stream to the directory's server. It runs on a link's reader.
func (r *Relay) BeginDir(s *circuit.Stream) {
	h := s.Hop()
	switch {
	case r.draining.Load():
		s.Refuse(cell.EndHibernating)
		return
	case !r.hops.allow(h, time.Now()):
		r.counts.refuse(causeStreams)
		s.Refuse(cell.EndResource)
		return
	}
	if s.Connect(cell.ConnectedReply{}) != nil {
		return
	}
	conn, peer := r.dirPeer(s, h)
	if err := r.dirs.Offer(conn, peer); err != nil {
		r.counts.refuse(causeDirectory)
		s.Refuse(cell.EndResource)
	}
}

// dirPeer says who opened a directory stream. Only the neighbour itself asks on a
// circuit made with CREATE_DIR; on any other it is somebody behind it, a stranger.
func (r *Relay) dirPeer(s *circuit.Stream, h *circuit.Hop) (net.Conn, mirror.Peer) {
	l := h.Link()
	if h.Kind() != circuit.KindDir {
		return s, mirror.Peer{Class: work.Stranger, Link: r.hops.serialOf(h)}
	}
	id, _, _ := l.Peer()
	conn := dirConn{s, net.TCPAddrFromAddrPort(l.RemoteAddr())}
	return conn, mirror.Peer{ID: id, Class: r.classOf(l), Link: r.creates.serialOf(l)}
}

// dirConn is a directory stream that shows the address of the neighbour that
// opened it: an authority tells a relay which address it has.
type dirConn struct {
	*circuit.Stream
	remote net.Addr
}

// RemoteAddr returns the neighbour's address.
func (c dirConn) RemoteAddr() net.Addr { return c.remote }

// dirHandler serves directory streams by the handler that is set at the moment.
func (r *Relay) dirHandler(w http.ResponseWriter, req *http.Request) {
	if h := r.handler.Load(); h != nil {
		(*h).ServeHTTP(w, req)
		return
	}
	http.Error(w, "no directory here", http.StatusServiceUnavailable)
}

// ask returns a client of an authority's directory.
func (r *Relay) ask(a *directory.Authority) *mirror.Client {
	return &mirror.Client{Dial: func(ctx context.Context) (net.Conn, error) { return r.dialDir(ctx, a) }}
}

// dialDir opens a directory stream to an authority, on a circuit of its own over
// the one link that there is to it.
func (r *Relay) dialDir(ctx context.Context, a *directory.Authority) (net.Conn, error) {
	l, err := r.pool.Dial(ctx, authorityTarget(a))
	if err != nil {
		return nil, err
	}
	c, err := circuit.OpenDir(ctx, l, r.circuitParams())
	if err != nil {
		return nil, err
	}
	s, err := c.BeginDir()
	if err != nil {
		c.Close()
		return nil, err
	}
	return ownDirConn{s, c}, nil
}

// ownDirConn is a directory stream that has its circuit to itself.
type ownDirConn struct {
	*circuit.Stream
	circuit *circuit.Circuit
}

// Close closes the circuit.
func (c ownDirConn) Close() error {
	c.Stream.Close()
	return c.circuit.Close()
}
