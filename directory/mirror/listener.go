package mirror

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"tunic/cell/work"
)

const ( // our choice
	// MaxStreams is the most directory streams of one process: each may hold a
	// goroutine and the buffers of a request. A third is kept for authorities
	// and a third for relays, so that strangers delay neither.
	MaxStreams = 256
	// MaxLinkStreams is the most directory streams of one link at a time.
	MaxLinkStreams = 4

	headerTimeout = 10 * time.Second // for the first lines of a request
)

// A Listener hands directory streams, which somebody else opened, to an
// http.Server. It counts them: see MaxStreams and MaxLinkStreams.
type Listener struct {
	offered chan *peerConn // never full: there are at most MaxStreams

	mu      sync.Mutex // guards what follows
	closed  bool
	open    [work.Authority + 1]int // streams by class
	links   map[uint64]int          // streams by link
	serving int                     // streams accepted that the server is not done with
	idle    sync.Cond               // on mu: serving is 0
}

// NewListener returns an empty listener.
func NewListener() *Listener {
	l := &Listener{offered: make(chan *peerConn, MaxStreams), links: make(map[uint64]int)}
	l.idle.L = &l.mu
	return l
}

// Offer hands a stream over. It does not block. On an error (ErrFull,
// net.ErrClosed) the stream stays the caller's; else it is the server's, which
// closes it.
func (l *Listener) Offer(conn net.Conn, p Peer) error {
	p.Class = min(p.Class, work.Authority)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	if !l.hasRoomLocked(p) {
		return ErrFull
	}
	l.open[p.Class]++
	l.links[p.Link]++
	l.offered <- &peerConn{Conn: conn, peer: p, from: l}
	return nil
}

// hasRoomLocked holds, for the stream's class and each above it, the streams of
// that class and those below to what they may take together.
func (l *Listener) hasRoomLocked(p Peer) bool {
	used := 0
	for c, n := range l.open {
		used += n
		if c := work.Class(c); c >= p.Class && used >= c.Share(MaxStreams) {
			return false
		}
	}
	return l.links[p.Link] < MaxLinkStreams
}

// release takes a stream off the counts.
func (l *Listener) release(p Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[p.Class]--
	if l.links[p.Link]--; l.links[p.Link] == 0 {
		delete(l.links, p.Link)
	}
}

// Accept waits for the next stream.
func (l *Listener) Accept() (net.Conn, error) {
	c, ok := <-l.offered
	if !ok {
		return nil, net.ErrClosed
	}
	l.mu.Lock()
	l.serving++
	l.mu.Unlock()
	return c, nil
}

// served notes that the server is done with a stream.
func (l *Listener) served() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.serving--; l.serving == 0 {
		l.idle.Broadcast()
	}
}

// Wait waits until the server, which is one of NewServer's, is done with every
// stream that it accepted. It is called after both have been closed.
func (l *Listener) Wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.serving > 0 {
		l.idle.Wait()
	}
}

// Close makes Accept and Offer return net.ErrClosed and closes what was offered
// and not accepted.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.offered)
	l.mu.Unlock()
	for c := range l.offered {
		c.Close()
	}
	return nil
}

// Addr returns an address that says nothing.
func (l *Listener) Addr() net.Addr { return nowhere{} }

// Streams returns how many streams are open.
func (l *Listener) Streams() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := 0
	for _, n := range l.open {
		sum += n
	}
	return sum
}

type nowhere struct{}

// Network returns the name of no network.
func (nowhere) Network() string { return "circuit" }

// String returns no address.
func (nowhere) String() string { return "directory" }

// peerConn is a directory stream with who opened it.
type peerConn struct {
	net.Conn
	peer Peer
	from *Listener
	once sync.Once
}

// Close closes the stream and takes it off the listener's counts.
func (c *peerConn) Close() error {
	c.once.Do(func() { c.from.release(c.peer) })
	return c.Conn.Close()
}

// NewServer returns a server of h with this package's limits: one request per
// stream, of 8 KiB of header within 10 s. Served on a Listener, its requests'
// contexts carry the peer: see PeerFrom. It logs nothing: what it would say names
// addresses.
func NewServer(h http.Handler) *http.Server {
	s := &http.Server{
		Handler:                      h,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 replyTime, // Reply and ReadBody put it off
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if p, ok := c.(*peerConn); ok {
				return WithPeer(ctx, p.peer.ID, p.peer.Class)
			}
			return ctx
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if p, ok := c.(*peerConn); ok && state == http.StateClosed {
				p.from.served()
			}
		},
	}
	s.SetKeepAlivesEnabled(false)
	return s
}
