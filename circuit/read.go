package circuit

import (
	"io"
	"net"
	"os"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/socket"
)

// receive takes a message for the stream. It runs on the link's reader.
func (s *Stream) receive(m cell.Message, b *link.Batch) error {
	switch m.Command {
	case cell.Data:
		return s.deliver(m.Data, b)
	case cell.Connected:
		return s.receiveConnected(m)
	case cell.End:
		reason, err := cell.ParseEnd(m.Data)
		if err != nil {
			return err
		}
		return s.peerEnded(reason, b)
	}
	return s.receiveFlow(m)
}

// deliver puts data where a reader finds it, and wakes the reader when b is
// flushed.
func (s *Stream) deliver(p []byte, b *link.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.rx.closed:
		return errMoved
	case len(p) == 0:
		return violation("DATA without data")
	case s.circ != nil && !s.rx.connected:
		return violation("DATA before CONNECTED")
	case s.rx.gotEnd != 0:
		return violation("DATA after END")
	}
	switch total := s.end.unread.Add(int64(len(p))); {
	case total > maxUnreadOfAny:
		return &fault{cell.ReasonResource, violation("unread data beyond the circuit's limit")}
	case total > maxUnread && s.rx.drain.off:
		s.end.unread.Add(int64(-len(p)))
		return s.giveUp(cell.EndResource, errTooSlow)
	}
	s.rx.buf.put(p)
	s.wake(b)
	return s.arrived(len(p), b)
}

// arrived takes in that n bytes have come, and stops the peer if need be. mu is
// held.
func (s *Stream) arrived(n int, b *link.Batch) error {
	d, now := &s.rx.drain, time.Time{}
	if d.needsTime(n, s.unread()) {
		now = time.Now()
	}
	stop, err := d.arrived(n, s.unread(), now)
	if err != nil || !stop {
		return err
	}
	d.stop(s.end.maxDrop)
	return s.end.send(cell.XOff, s.id, nil, b)
}

// unread returns how many bytes have come that the application has not taken. mu
// is held.
func (s *Stream) unread() int { return s.rx.buf.n + s.rx.lent }

// wake wakes the reader, if one waits. mu is held.
func (s *Stream) wake(b *link.Batch) {
	if !s.rx.waits {
		return
	}
	s.rx.waits = false
	if b == nil {
		s.rx.cond.Broadcast()
		return
	}
	b.Add((*wakeup)(s))
}

// A wakeup is a stream whose reader is to be woken.
type wakeup Stream

// FlushBatch wakes the reader.
func (w *wakeup) FlushBatch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rx.cond.Broadcast()
}

// await waits until there is something to read. mu is held. The error is what a
// read returns instead.
func (s *Stream) await() error {
	for {
		switch {
		case s.rx.closed:
			return s.rx.why
		case s.rx.deadline.passed():
			return os.ErrDeadlineExceeded
		case s.rx.buf.n > 0:
			return nil
		case s.rx.err != nil:
			return s.rx.err
		}
		s.rx.waits = true
		s.rx.cond.Wait()
	}
}

// Read reads what has come, and waits if there is nothing.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.readMu.Lock()
	defer s.readMu.Unlock()
	n, err := s.read(p)
	if n > 0 {
		s.end.check(err)
		return n, nil
	}
	return 0, err
}

// read takes data into p. An error beside data is one of sending XON.
func (s *Stream) read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(); err != nil {
		return 0, err
	}
	n = s.rx.buf.get(p)
	return n, s.consumed(n)
}

// consumed takes in that the application has n bytes more, and tells the peer what
// follows for it: to go on, or at another rate. mu is held.
func (s *Stream) consumed(n int) error {
	s.end.unread.Add(int64(-n))
	if s.rx.gotEnd != 0 || s.rx.closed || s.rx.gone != nil {
		return nil
	}
	d, now := &s.rx.drain, time.Time{}
	if d.measures() {
		now = time.Now()
	}
	rate, send := d.taken(n, s.unread(), now)
	if !send {
		return nil
	}
	data, _ := rate.AppendBinary(nil)
	return s.end.send(cell.XOn, s.id, data, nil)
}

// WriteTo writes to w what comes, until the peer's orderly end: each time that it
// wakes, all there is up to writeAtOnce, in one write where w takes several
// buffers. After an error of w what it did not take is lost.
func (s *Stream) WriteTo(w io.Writer) (n int64, err error) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if conn, ok := w.(*net.TCPConn); ok {
		w = struct {
			io.Writer
			BuffersWriter
		}{conn, socket.NewWriter(conn)}
	}
	var bufs net.Buffers
	for {
		first, size, err := s.take()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		k, err := writeChunks(w, first, &bufs)
		n += k
		s.end.check(s.giveBack(size))
		if err != nil {
			return n, err
		}
	}
}

// take waits for data and takes it out of the buffer.
func (s *Stream) take() (first *chunk, size int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(); err != nil {
		return nil, 0, err
	}
	first, size = s.rx.buf.take(writeAtOnce)
	s.rx.lent, s.rx.lentAt = s.rx.lent+size, first.at
	return first, size, nil
}

// giveBack says that size bytes of what take returned are with the
// application.
func (s *Stream) giveBack(size int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rx.lent -= size
	return s.consumed(size)
}

// A BuffersWriter stands before a connection, and hands several buffers to it as
// net.Buffers.WriteTo does to the connection itself: with one system call. It consumes
// them.
type BuffersWriter interface {
	WriteBuffers(b *net.Buffers) (int64, error)
}

// writeChunks writes and releases the chunks. bufs is room to work in.
func writeChunks(w io.Writer, first *chunk, bufs *net.Buffers) (n int64, err error) {
	defer releaseAll(first)
	to, ok := w.(BuffersWriter)
	if !ok && first.next == nil {
		k, err := w.Write(first.data[first.r:first.w])
		return int64(k), err
	}
	list := (*bufs)[:0]
	for c := first; c != nil; c = c.next {
		list = append(list, c.data[c.r:c.w])
	}
	*bufs = list // which writing consumes
	if ok {
		n, err = to.WriteBuffers(bufs)
	} else {
		n, err = bufs.WriteTo(w)
	}
	clear(list)
	*bufs = list[:0]
	return n, err
}
