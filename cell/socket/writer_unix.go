//go:build unix

package socket

import (
	"errors"
	"net"
	"syscall"
)

// A Writer writes to a connection several buffers at a time, and waits where it must,
// within the connection's write deadline. It serves one goroutine.
type Writer struct {
	conn    net.Conn
	raw     syscall.RawConn // nil: not a plain TCP connection
	attempt func(fd uintptr) bool

	bufs [][]byte // what is left
	n    int64
	err  error
}

// NewWriter returns a Writer to conn.
func NewWriter(conn net.Conn) *Writer {
	w := &Writer{conn: conn, raw: Raw(conn)}
	w.attempt = w.write
	return w
}

// WriteBuffers writes all of b, whose buffers it consumes, and returns how many bytes
// that were.
func (w *Writer) WriteBuffers(b *net.Buffers) (int64, error) {
	if w.raw == nil {
		return b.WriteTo(w.conn)
	}
	w.bufs, w.n, w.err = *b, 0, nil
	err := w.raw.Write(w.attempt)
	w.bufs = nil
	return w.n, errors.Join(err, w.err)
}

// write writes what the connection takes; false waits until it takes more.
func (w *Writer) write(fd uintptr) bool {
	for len(w.bufs) > 0 {
		n, err := writev(fd, w.bufs)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			w.err = err
			return true
		}
		w.n += int64(n)
		w.consume(n)
	}
	return true
}

// consume takes n bytes off the front of the buffers.
func (w *Writer) consume(n int) {
	for len(w.bufs) > 0 && n >= len(w.bufs[0]) {
		n -= len(w.bufs[0])
		w.bufs[0] = nil
		w.bufs = w.bufs[1:]
	}
	if n > 0 {
		w.bufs[0] = w.bufs[0][n:]
	}
}
