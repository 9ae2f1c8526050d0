package mirror

import (
	"net"
	"net/http"
)

const ( // our choice
	// MaxStreams is the most directory streams of one process: each may hold a
	// goroutine and the buffers of a request. A third is kept for authorities
	// and a third for relays, so that strangers delay neither.
	MaxStreams = 256
	// MaxLinkStreams is the most directory streams of one link at a time.
	MaxLinkStreams = 4
)

// A Listener hands directory streams, which somebody else opened, to an
// http.Server. It counts them: see MaxStreams and MaxLinkStreams.
type Listener struct{}

// NewListener returns an empty listener.
func NewListener() *Listener { panic("unwritten") }

// Offer hands a stream over. It does not block. On an error (ErrFull,
// net.ErrClosed) the stream stays the caller's; else it is the server's, which
// closes it.
func (l *Listener) Offer(conn net.Conn, p Peer) error { panic("unwritten") }

// Accept waits for the next stream.
func (l *Listener) Accept() (net.Conn, error) { panic("unwritten") }

// Close makes Accept and Offer return net.ErrClosed and closes what was offered
// and not accepted.
func (l *Listener) Close() error { panic("unwritten") }

// Addr returns an address that says nothing.
func (l *Listener) Addr() net.Addr { panic("unwritten") }

// Streams returns how many streams are open.
func (l *Listener) Streams() int { panic("unwritten") }

// NewServer returns a server of h with this package's limits. Served on a
// Listener, its requests' contexts carry the peer: see PeerFrom.
func NewServer(h http.Handler) *http.Server { panic("unwritten") }
