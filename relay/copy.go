package relay

import (
	"errors"
	"io"
	"net"
	"sync"
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
	Moved() (sent, delivered int64)
}

// relayBytes moves bytes between a stream and its connection, each direction
// until its own end. The end of one direction is passed on and leaves the other
// open; a failure ends both, behind what the destination sent before it. It
// returns the reason to end the stream with, which after two orderly ends is 0.
func relayBytes(s carrier, conn net.Conn) cell.EndReason {
	w := newWatch(s, conn)
	defer w.stop()
	out, read := make(chan struct{}), make(chan struct{})
	go func() { // ends with the stream, or when conn breaks or closes
		defer close(out)
		if _, err := s.WriteTo(conn); err != nil {
			w.end(err)
			return
		}
		w.half()
		if err := closeWrite(conn); err != nil {
			w.end(err)
			return
		}
		select {
		case <-w.gone: // nobody is left to answer
			w.note(cell.EndMisc, false)
			conn.Close()
		case <-read:
		}
	}()
	_, err := s.ReadFrom(conn)
	close(read)
	switch {
	case err != nil:
		w.end(err)
	case broken(conn):
		<-out // the writer was told why in the reader's place, and ends
	}
	if !w.failed() {
		w.half()
		if err := s.CloseWrite(); err != nil {
			w.end(err)
		}
	}
	if w.failed() {
		s.Refuse(w.reason())
	}
	<-out
	return w.reason()
}

// closeWrite sends the end of what is written, where the connection can.
func closeWrite(conn net.Conn) error {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// A watch ends a stream and its connection when nothing has moved for too long,
// and when the client has gone and what it sent is still not written. It looks at
// the stream's counts from time to time and does not stand in the way of bytes.
type watch struct {
	stream carrier
	conn   net.Conn
	gone   <-chan struct{} // closed when the client has given the stream up

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	moved int64          // bytes of both directions when last looked at
	since time.Time      // when they were last seen to change
	idle  time.Duration  // without a change, until the end
	why   cell.EndReason // 0 while nothing has gone wrong
	ended bool           // nothing says that the destination did not end its direction before
	over  bool           // the timer is not set again
}

func newWatch(s carrier, conn net.Conn) *watch {
	w := &watch{stream: s, conn: conn, gone: s.Done(), since: time.Now(), idle: idleOpen}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(watchEvery, w.check)
	return w
}

// half shortens the limit: one direction has ended.
func (w *watch) half() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle, w.since = idleHalf, time.Now()
}

// check is called by the timer.
func (w *watch) check() {
	if reason := w.look(time.Now()); reason != 0 {
		w.abort(reason)
	}
}

// look says why the stream must end now, or 0, and sets the timer again.
func (w *watch) look(now time.Time) cell.EndReason {
	sent, delivered := w.stream.Moved()
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := sent + delivered; m != w.moved {
		w.moved, w.since = m, now
	}
	quiet := now.Sub(w.since)
	select {
	case <-w.gone:
		if quiet >= watchEvery {
			return cell.EndMisc
		}
	default:
	}
	if quiet >= w.idle {
		return cell.EndTimeout
	}
	if !w.over {
		w.timer.Reset(watchEvery)
	}
	return 0
}

// end ends both directions because of err. Where the client has closed the
// stream in so many words the connection closes in order, since all that was
// sent is written. Where the destination has broken the connection, who reads
// from it gets what it sent before and then meets the end as well. Else the
// destination must not take the end for one that was meant.
func (w *watch) end(err error) {
	if _, ok := errors.AsType[*circuit.EndError](err); ok {
		w.note(cell.EndMisc, false)
		w.conn.Close()
		return
	}
	if broke, mayHaveEnded := exit.Broken(err); broke {
		w.note(cell.EndReset, mayHaveEnded)
		return
	}
	w.abort(exit.Reason(err))
}

// abort ends both directions at once.
func (w *watch) abort(reason cell.EndReason) {
	w.note(reason, false)
	w.stop()
	reset(w.conn)
}

// reset closes a connection so that the other side sees that it broke, where the
// connection can say so.
func reset(conn net.Conn) {
	if c, ok := conn.(interface{ SetLinger(int) error }); ok {
		c.SetLinger(0)
	}
	conn.Close()
}

// note remembers why the connection ends, and whether it may be that the
// destination had ended its own direction before: the first reason stays, the
// first that says that it had not too. Who writes to a connection that who reads
// from it has seen break is not told that it broke.
func (w *watch) note(reason cell.EndReason, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = ended && (w.ended || w.why == 0)
	if w.why == 0 {
		w.why = reason
	}
}

// failed reports whether what the destination sent is not all that it meant to.
func (w *watch) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why != 0 && !w.ended
}

// reason returns why the connection ends, 0 if nothing has gone wrong.
func (w *watch) reason() cell.EndReason {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// stop ends the timer.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}
