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
// open; a failure ends both. It returns the reason to end the stream with, which
// after two orderly ends is 0.
func relayBytes(s carrier, conn net.Conn) cell.EndReason {
	w := newWatch(s, conn)
	defer w.stop()
	out := make(chan struct{})
	go func() { // ends with the stream, or when conn closes
		defer close(out)
		if _, err := s.WriteTo(conn); err != nil {
			w.end(err)
			return
		}
		w.half()
		if err := closeWrite(conn); err != nil {
			w.end(err)
		}
	}()
	_, err := s.ReadFrom(conn)
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
	over   <-chan struct{} // closed when the client has given the stream up

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	moved int64          // bytes of both directions when last looked at
	since time.Time      // when they were last seen to change
	idle  time.Duration  // without a change, until the end
	why   cell.EndReason // 0 while nothing has gone wrong
}

func newWatch(s carrier, conn net.Conn) *watch {
	w := &watch{stream: s, conn: conn, over: s.Done(), since: time.Now(), idle: idleOpen}
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
	case <-w.over:
		if quiet >= watchEvery {
			return cell.EndMisc
		}
	default:
	}
	if quiet >= w.idle {
		return cell.EndTimeout
	}
	if w.why == 0 {
		w.timer.Reset(watchEvery)
	}
	return 0
}

// end ends both directions because of err. Where the client has closed the
// stream in so many words the connection closes in order, since all that was
// sent is written; else the destination must not take the end for one that was
// meant.
func (w *watch) end(err error) {
	if _, ok := errors.AsType[*circuit.EndError](err); ok {
		w.note(cell.EndMisc)
		w.conn.Close()
		return
	}
	w.abort(exit.Reason(err))
}

// abort ends both directions at once.
func (w *watch) abort(reason cell.EndReason) {
	w.note(reason)
	if c, ok := w.conn.(interface{ SetLinger(int) error }); ok {
		c.SetLinger(0)
	}
	w.conn.Close()
}

// note remembers why the connection ends; the first reason stays.
func (w *watch) note(reason cell.EndReason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why == 0 {
		w.why = reason
	}
	w.timer.Stop()
}

// reason returns why the connection was aborted, 0 if it was not.
func (w *watch) reason() cell.EndReason {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// stop ends the timer.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}
