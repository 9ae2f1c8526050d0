package circuit

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell"
	"tunic/cell/link"
)

// A Stream is one stream on a circuit: a net.Conn that also has CloseWrite,
// WriteTo and ReadFrom. Its methods may be called at the same time; two reads
// wait for each other, as do two writes.
//
// At the client it may be written to at once, before the destination is
// connected; at a relay after [Stream.Connect]. After CloseWrite the peer's
// application reads EOF, and the other direction goes on. Close gives up both:
// what was written before is still delivered. A read returns what has come before
// it fails: with io.EOF after the peer's orderly end, with an [*EndError] after
// any other, with the circuit's error if that is gone.
type Stream struct {
	end  *end
	id   cell.StreamID // fixed before anybody else sees the stream
	hop  *Hop          // at a relay
	circ *Circuit      // at a client

	sent    atomic.Bool
	readMu  sync.Mutex // one reader at a time
	writeMu sync.Mutex // one writer at a time
	batch   link.Batch // guarded by writeMu, as is memory
	memory  int        // bytes that what is being written takes, unsent or not

	mu sync.Mutex // guards rx
	rx receiving
	tx outgoing // guarded by the lock of the direction in which this end sends
}

// receiving is what has come on a stream and how it stands.
type receiving struct {
	cond     sync.Cond // somebody may read
	waits    bool      // somebody does, and is not about to be woken
	deadline deadline
	buf      buffer
	lent     int       // bytes taken out of buf and not yet consumed
	lentAt   time.Time // when the first of them came
	err      error     // what a read returns when buf is empty
	drain    drain

	connected bool // CONNECTED has come, or been sent
	reply     cell.ConnectedReply
	opened    event          // connected, or never will be
	over      event          // nothing that is sent can arrive
	sentEnd   cell.EndReason // the first that this end sent; 0 for none
	gotEnd    cell.EndReason // the last that came; 0 for none
	closed    bool           // by this end
	why       error          // it is closed, for who reads or writes
	gone      error          // the circuit is
}

// An event happens once. Its channel is made when somebody asks for it.
type event struct {
	happened bool
	c        chan struct{}
}

func (e *event) happen() {
	if !e.happened && e.c != nil {
		close(e.c)
	}
	e.happened = true
}

func (e *event) channel() <-chan struct{} {
	if e.c == nil {
		e.c = make(chan struct{})
		if e.happened {
			close(e.c)
		}
	}
	return e.c
}

// outgoing is the sending half of a stream.
type outgoing struct {
	cond     sync.Cond // something may be sent
	deadline deadline
	err      error     // why nothing more is sent
	closed   bool      // by this end's user
	inLine   bool      // it waits for room; see sending
	waits    time.Time // since when a write has waited, with its data; zero: none does
	holds    int       // bytes of memory that a write which waits keeps its data in
	flow     flow
	refill   *time.Timer // wakes who waits for the peer's rate; nil before the first time
}

// newStream returns a stream that is not in a table yet.
func newStream(e *end) *Stream {
	s := &Stream{end: e}
	s.rx.cond.L = &s.mu
	s.tx.cond.L = &e.tx.mu
	return s
}

// Circuit returns the client's circuit that the stream is on; nil at a relay.
func (s *Stream) Circuit() *Circuit { return s.circ }

// Hop returns the relay's hop that the stream is on; nil at a client.
func (s *Stream) Hop() *Hop { return s.hop }

// LocalAddr returns an unspecified address: nobody learns one of ours. It is a
// *net.TCPAddr, which SOCKS servers expect.
func (s *Stream) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// RemoteAddr returns an unspecified address; see [Stream.Connected].
func (s *Stream) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// Sent reports whether a byte of the application's has been sent into the stream:
// from then on the destination may have acted on it.
func (s *Stream) Sent() bool { return s.sent.Load() }

// Connected returns what the exit said when it was connected; false before.
func (s *Stream) Connected() (cell.ConnectedReply, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rx.reply, s.rx.connected
}

// WaitConnected waits until the exit is connected to the destination. Else the
// error is an [*EndError], the circuit's, net.ErrClosed or the context's.
func (s *Stream) WaitConnected(ctx context.Context) error {
	select {
	case <-s.opened():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rx.connected {
		return nil
	}
	return s.rx.err
}

// opened returns a channel that is closed when the stream is connected or never
// will be.
func (s *Stream) opened() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rx.opened.channel()
}

// Done returns a channel that is closed when nothing that this end sends can
// reach the peer's application any more: the peer has given the stream up, it was
// closed here, or the circuit is gone. A relay gives up dialling then.
func (s *Stream) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rx.over.channel()
}

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// SetReadDeadline sets when Read and WriteTo stop waiting, with an error that is
// os.ErrDeadlineExceeded. The zero time is never.
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rx.closed {
		return errClosed
	}
	s.rx.deadline.set(t, &s.rx.cond)
	return nil
}

// SetWriteDeadline does the same for Write, and for ReadFrom's writes.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.end.tx.mu.Lock()
	defer s.end.tx.mu.Unlock()
	if s.tx.closed {
		return errClosed
	}
	s.tx.deadline.set(t, &s.tx.cond)
	return nil
}
