package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell"
	"tunic/circuit"
	"tunic/relay/exit"
)

// A carrier is the relay's end of a stream, as relayBytes needs it.
type carrier interface {
	io.ReaderFrom
	io.WriterTo
	CloseWrite() error
	Refuse(reason cell.EndReason)
	Done() <-chan struct{}
}

// relayBytes moves bytes between a stream and its connection, each direction
// until its own end. The end of one direction is passed on and leaves the other
// open; a failure ends both. It returns the reason to end the stream with, which
// after two orderly ends is 0.
func relayBytes(s carrier, conn net.Conn) cell.EndReason {
	w := newWatched(conn, s.Done())
	defer w.stop()
	out := make(chan struct{})
	go func() { // ends with the stream, or when conn closes
		defer close(out)
		if _, err := s.WriteTo(w); err != nil {
			w.end(err)
			return
		}
		w.half()
		if err := w.CloseWrite(); err != nil {
			w.end(err)
		}
	}()
	_, err := s.ReadFrom(w)
	if err == nil {
		w.half()
		err = s.CloseWrite()
	}
	if err != nil {
		w.end(err)
		s.Refuse(w.reason())
	}
	<-out
	return w.reason()
}

// watched is a connection to a destination with limits on how long nothing
// happens on it, and on what is left to do when the client has gone.
type watched struct {
	net.Conn
	over  <-chan struct{} // closed when the client has given the stream up
	last  atomic.Int64    // when a byte last moved, nanoseconds since begun
	idle  atomic.Int64    // nanoseconds without a byte after which it ends
	begun time.Time

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	why   cell.EndReason // 0 while nothing has gone wrong
}

func newWatched(conn net.Conn, over <-chan struct{}) *watched {
	w := &watched{Conn: conn, over: over, begun: time.Now()}
	w.idle.Store(int64(idleOpen))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(watchEvery, w.check)
	return w
}

// Read reads from the connection.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.touch()
	return n, err
}

// Write writes to the connection.
func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.touch()
	return n, err
}

// WriteBuffers writes several buffers to the connection, in one system call where
// it can; package circuit looks for it.
func (w *watched) WriteBuffers(b *net.Buffers) (int64, error) {
	n, err := b.WriteTo(w.Conn)
	w.touch()
	return n, err
}

func (w *watched) touch() { w.last.Store(int64(time.Since(w.begun))) }

// CloseWrite sends the end of what is written, where the connection can.
func (w *watched) CloseWrite() error {
	if c, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// half shortens the limit: one direction has ended.
func (w *watched) half() {
	w.touch()
	w.idle.Store(int64(idleHalf))
}

// check is called by the timer: it ends a connection that is idle, or whose
// client left some time ago and what it sent is still not written.
func (w *watched) check() {
	quiet := time.Since(w.begun) - time.Duration(w.last.Load())
	select {
	case <-w.over:
		if quiet >= watchEvery {
			w.abort(cell.EndMisc)
			return
		}
	default:
	}
	if quiet >= time.Duration(w.idle.Load()) {
		w.abort(cell.EndTimeout)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why == 0 {
		w.timer.Reset(watchEvery)
	}
}

// end ends both directions because of err. Where the client has closed the
// stream in so many words the connection closes in order, since all that was
// sent is written; else the destination must not take the end for one that was
// meant.
func (w *watched) end(err error) {
	if _, ok := errors.AsType[*circuit.EndError](err); ok {
		w.note(cell.EndMisc)
		w.Conn.Close()
		return
	}
	w.abort(exit.Reason(err))
}

// abort ends both directions at once.
func (w *watched) abort(reason cell.EndReason) {
	w.note(reason)
	if c, ok := w.Conn.(interface{ SetLinger(int) error }); ok {
		c.SetLinger(0)
	}
	w.Conn.Close()
}

// note remembers why the connection ends; the first reason stays.
func (w *watched) note(reason cell.EndReason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why == 0 {
		w.why = reason
	}
	w.timer.Stop()
}

// reason returns why the connection was aborted, 0 if it was not.
func (w *watched) reason() cell.EndReason {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// stop ends the timer.
func (w *watched) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}
