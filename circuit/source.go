package circuit

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"

	"tunic/cell"
	"tunic/cell/socket"
)

// What ReadFrom takes from its reader at a time, in bytes. It is copied once, into
// cells: where in a cell it begins is known only when the cell is sealed, since a
// marked one holds less. The copy costs 2 % of what sealing three layers does.
const ( // our choice
	// readSize is what four quanta carry.
	readSize = 4 * smallRead
	// smallRead is what one does: from a reader that has little, or that has to be
	// waited for with a buffer at hand, and where many streams hold large ones.
	smallRead = quantum * cell.MaxData
	// maxLargeReads is how many streams of a process hold a large buffer, while
	// what is in it waits for the circuit's window: 16 MB.
	maxLargeReads = 256
)

var (
	smallReads = sync.Pool{New: func() any { return new([smallRead]byte) }}
	largeReads = sync.Pool{New: func() any { return new([readSize]byte) }}
	largeOut   atomic.Int32 // of largeReads
)

// A source reads from a reader, and from a TCP socket without holding a buffer
// while it waits: an exit has many idle streams.
type source struct {
	r   io.Reader
	raw syscall.RawConn // nil: not such a socket
	try func(fd uintptr) bool

	small *[smallRead]byte
	large *[readSize]byte
	full  bool // the last read filled its buffer
	n     int
	err   error
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
		p := s.take(s.full)
		n, err := s.r.Read(p)
		s.full = n == len(p)
		return p[:n], err
	}
	s.n = 0
	if err := s.raw.Read(s.try); err != nil {
		return nil, err
	}
	return s.buffer()[:s.n], s.err
}

// tryRead reads what is there; false waits until there may be something.
func (s *source) tryRead(fd uintptr) bool {
	s.n, s.err = socket.Read(fd, s.take(true))
	if s.err == nil {
		return true
	}
	s.release()
	return !errors.Is(s.err, socket.ErrWouldBlock)
}

// take takes a buffer: a large one if it is wanted and not too many are out.
func (s *source) take(large bool) []byte {
	if large && largeOut.Add(1) > maxLargeReads {
		largeOut.Add(-1)
		large = false
	}
	if large {
		s.large = largeReads.Get().(*[readSize]byte)
	} else {
		s.small = smallReads.Get().(*[smallRead]byte)
	}
	return s.buffer()
}

// buffer returns the buffer that s has, nil if it has none.
func (s *source) buffer() []byte {
	switch {
	case s.large != nil:
		return s.large[:]
	case s.small != nil:
		return s.small[:]
	}
	return nil
}

// release gives the buffer back.
func (s *source) release() {
	if s.large != nil {
		largeReads.Put(s.large)
		s.large = nil
		largeOut.Add(-1)
	}
	if s.small != nil {
		smallReads.Put(s.small)
		s.small = nil
	}
}
