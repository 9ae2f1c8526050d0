package client

import (
	"context"
	"io"
	"net"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/client/path"
	"tunic/directory"
)

// A network opens links and circuits. There is one behind a client; tests put
// in another that needs no relays.
type network interface {
	// build opens a circuit along p. It calls opened when the first hop answers,
	// and gives each later one a limit to do so. What fails before that through
	// the guard's own fault is a *guardError, what fails later a *hopError.
	build(ctx context.Context, p path.Path, limit time.Duration, opened func()) (builtCircuit, error)
	// probe makes sure that there is a link to the relay.
	probe(ctx context.Context, r *directory.Relay) error
	// consensus fetches one newer than have, which may be nil, and verifies it;
	// opened and errors as in build.
	consensus(ctx context.Context, t link.Target, have *directory.Bundle, opened func()) (*directory.Bundle, error)
	// follow has circuits that begin from now on take the consensus' parameters.
	follow(c *directory.Consensus)
	// skew returns how far the clock of the last one linked to was ahead of
	// ours, by its own word.
	skew() time.Duration
	// links describes the open links.
	links() []link.LinkInfo
	// close ends all links and waits for what runs.
	close() error
}

// A builtCircuit is the client's end of a whole circuit; *circuit.Circuit is
// one but for the type of Begin.
type builtCircuit interface {
	Begin(ctx context.Context, host string, port uint16, flags cell.BeginFlags, first []byte) (stream, error)
	Resolve(ctx context.Context, r cell.ResolveRequest) (cell.ResolvedReply, error)
	Streams() int
	Heard() uint64 // how much has come from its far end
	Held() (bytes int64, oldest time.Duration)
	Done() <-chan struct{}
	Err() error
	Close() error
}

// A stream is what a circuit's Begin returns; *circuit.Stream is one.
type stream interface {
	net.Conn
	io.ReaderFrom
	io.WriterTo
	CloseWrite() error
	WaitConnected(ctx context.Context) error
	Connected() (cell.ConnectedReply, bool)
}

// A cache keeps the newest consensus; *mirror.Cache is one.
type cache interface {
	Current() *directory.Bundle
	Put(*directory.Bundle) error
}

// A guardError is the guard's own failure: its link, or the first hop.
type guardError struct{ err error }

func (e *guardError) Error() string { return "guard: " + e.err.Error() }
func (e *guardError) Unwrap() error { return e.err }

// A hopError is a failure further out: a circuit could not be extended to the
// relay at a position.
type hopError struct {
	position path.Position
	err      error
}

func (e *hopError) Error() string { return e.position.String() + ": " + e.err.Error() }
func (e *hopError) Unwrap() error { return e.err }
