//go:build !unix

package socket

import "net"

// A Writer writes several buffers at a time to a connection.
type Writer struct{ conn net.Conn }

// NewWriter returns a Writer to conn.
func NewWriter(conn net.Conn) *Writer { return &Writer{conn} }

// WriteBuffers writes all of b, whose buffers it consumes, and returns how many bytes
// that were.
func (w *Writer) WriteBuffers(b *net.Buffers) (int64, error) { return b.WriteTo(w.conn) }
