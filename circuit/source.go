package circuit

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"tunic/cell"
	"tunic/cell/socket"
)

// readSize is how much ReadFrom takes from its reader at a time, in bytes: what
// four quanta carry, as much as a link writes at a time. It is copied once, into cells: where in a cell it begins
// is known only when the cell is sealed, since a marked one holds less. The copy
// costs 2 % of what sealing three layers does.
const readSize = 4 * quantum * cell.MaxData

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// A source reads from a reader, and from a TCP socket without holding a buffer
// while it waits: an exit has many idle streams.
type source struct {
	r   io.Reader
	raw syscall.RawConn // nil: not such a socket
	try func(fd uintptr) bool

	buf *[readSize]byte
	n   int
	err error
}

func newSource(r io.Reader) *source {
	s := &source{r: r, raw: socket.Raw(r)}
	s.try = s.tryRead
	return s
}

// next waits for data and returns it with what ended the waiting otherwise, or
// both. The data is valid until release.
func (s *source) next() ([]byte, error) {
	if s.raw == nil {
		s.buf = readBuffers.Get().(*[readSize]byte)
		n, err := s.r.Read(s.buf[:])
		return s.buf[:n], err
	}
	if err := s.raw.Read(s.try); err != nil {
		return nil, err
	}
	if s.buf == nil {
		return nil, s.err
	}
	return s.buf[:s.n], s.err
}

// tryRead reads what is there; false waits until there may be something.
func (s *source) tryRead(fd uintptr) bool {
	s.buf = readBuffers.Get().(*[readSize]byte)
	s.n, s.err = socket.Read(fd, s.buf[:])
	if s.err == nil {
		return true
	}
	s.release()
	return !errors.Is(s.err, socket.ErrWouldBlock)
}

// release gives the buffer back.
func (s *source) release() {
	if s.buf != nil {
		readBuffers.Put(s.buf)
		s.buf = nil
	}
}
