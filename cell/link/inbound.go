package link

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tunic/cell/socket"
)

// readRecords is our choice: how many records a busy link reads with one system call.
const readRecords = 8

type readBuffer [readRecords * recordSize]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

// A recordBuffer holds a record that is not complete, or not written.
type recordBuffer [recordSize]byte

var recordBuffers = sync.Pool{New: func() any { return new(recordBuffer) }}

// release gives b back, whose first n bytes were used.
func (b *recordBuffer) release(n int) {
	poison(b[:n])
	recordBuffers.Put(b)
}

// errStalled says that a record began and did not go on.
var errStalled = errors.New("record stalled")

// inbound reads and opens the records of a connection. It holds a buffer only while
// there is something in it, and while it waits one that is no larger than a record:
// on a TCP connection it waits for readability first and then takes a large one from
// the pool. It serves one goroutine, except poke.
type inbound struct {
	conn    net.Conn
	raw     syscall.RawConn // nil: wait inside conn.Read
	attempt func(fd uintptr) bool
	opener  *opener
	poked   atomic.Bool  // whoever waits in next must return errPoked
	holds   atomic.Int32 // the size of its buffers, for who counts memory

	buf      *readBuffer   // nil if from == to, and while it waits
	rest     *recordBuffer // holds what buf held, from its beginning on; nil if there is a buf
	from, to int           // what is in the buffer and not taken yet
	used     int           // how far buf has been filled
	need     int           // the length of the record that begins at from; 0: not read yet
	tiny     [lengthSize]byte

	idle     func()    // called before it waits; nil: nothing
	own      bool      // the read deadline is ours to set: the handshake is over
	since    time.Time // when a record was first seen incomplete; zero: it was not
	deadline time.Time // the connection's read deadline; zero: none

	n     int   // of the last attempt: bytes read,
	err   error // why not,
	empty bool  // or that there was nothing while a record is incomplete
}

// errPoked says that poke was called.
var errPoked = errors.New("poked")

func newInbound(conn net.Conn, o *opener) *inbound {
	in := &inbound{conn: conn, opener: o, raw: socket.Raw(conn)}
	in.attempt = in.readOnce
	return in
}

// next returns the cells of the next record, and waits for it. They lie in the
// buffer: they are valid until the next call of any method.
func (in *inbound) next() ([]byte, error) {
	for {
		if cells, err := in.take(); cells != nil || err != nil {
			return cells, err
		}
		if err := in.fill(); err != nil {
			return nil, err
		}
	}
}

// take returns the cells of the next record if all of it has been read, else nil;
// they are valid like those of next.
func (in *inbound) take() ([]byte, error) {
	if in.need == 0 && in.to-in.from >= lengthSize {
		n, err := in.opener.length(in.buf[in.from:])
		if err != nil {
			return nil, err
		}
		in.need, in.from = n, in.from+lengthSize
	}
	if in.need == 0 || in.to-in.from < in.need {
		return nil, nil
	}
	sealed := in.buf[in.from : in.from+in.need : in.from+in.need]
	in.from, in.need, in.since = in.from+in.need, 0, time.Time{}
	return in.opener.open(sealed)
}

// partial reports whether a record has begun and is not complete.
func (in *inbound) partial() bool { return in.need > 0 || in.to > in.from }

// fill reads what there is, and waits for it if there is nothing.
func (in *inbound) fill() error {
	if in.buf != nil { // what is left of the last read goes to the front
		in.used = max(in.used, in.to)
		in.to = copy(in.buf[:], in.buf[in.from:in.to])
		in.from = 0
	}
	for {
		var err error
		if in.raw != nil {
			err = in.fillRaw()
		} else {
			err = in.fillPlain()
		}
		if !in.own || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err := in.expired(time.Now()); err != nil {
			return err
		}
	}
}

// fillRaw reads from the socket itself.
func (in *inbound) fillRaw() error {
	for {
		in.n, in.err, in.empty = 0, nil, false
		if err := in.raw.Read(in.attempt); err != nil {
			return fmt.Errorf("read: %w", withoutAddress(err))
		}
		if !in.empty {
			in.to += in.n
			return in.err
		}
		if err := in.watch(time.Now()); err != nil {
			return err
		}
	}
}

// readOnce is called when the socket may be readable. It returns false to wait.
func (in *inbound) readOnce(fd uintptr) bool {
	in.enlarge()
	n, err := socket.Read(fd, in.buf[in.to:])
	if errors.Is(err, socket.ErrWouldBlock) {
		in.shrink()
		if !in.partial() || !in.since.IsZero() {
			in.prepareWait()
			return false
		}
		in.empty = true // once per record: look at the clock before waiting on
		return true
	}
	in.n, in.err = n, err
	if n == 0 {
		in.shrink()
	}
	return true
}

// prepareWait calls idle.
func (in *inbound) prepareWait() {
	if in.idle != nil {
		in.idle()
	}
}

// fillPlain reads through the connection, with the buffer only once something came.
func (in *inbound) fillPlain() error {
	if in.partial() && in.since.IsZero() {
		if err := in.watch(time.Now()); err != nil {
			return err
		}
	}
	in.shrink()
	in.prepareWait()
	var n int
	var err error
	if in.rest == nil {
		if n, err = in.conn.Read(in.tiny[:]); n > 0 {
			in.enlarge()
			copy(in.buf[:], in.tiny[:n])
		}
		in.to += n
	} else if n, err = in.conn.Read(in.rest[in.to:]); n > 0 {
		in.to += n
		in.enlarge()
	}
	if n > 0 {
		return nil // an error comes again
	}
	if err != nil {
		return fmt.Errorf("read: %w", withoutAddress(err))
	}
	return nil
}

// shrink puts what is in the large buffer in a small one, and gives the large one
// back.
func (in *inbound) shrink() {
	if in.buf == nil {
		return
	}
	if in.to > 0 {
		in.rest = recordBuffers.Get().(*recordBuffer)
		copy(in.rest[:], in.buf[:in.to])
	}
	poison(in.buf[:in.used])
	readBuffers.Put(in.buf)
	in.buf, in.used = nil, 0
	in.noteHeld()
}

// enlarge takes a large buffer, with what a small one held.
func (in *inbound) enlarge() {
	if in.buf != nil {
		return
	}
	in.buf = readBuffers.Get().(*readBuffer)
	if in.rest != nil {
		copy(in.buf[:], in.rest[:in.to])
		in.rest.release(in.to)
		in.rest = nil
	}
	in.noteHeld()
}

// release gives the buffers back whatever is in them.
func (in *inbound) release() {
	if in.rest != nil {
		in.rest.release(in.to)
		in.rest = nil
	}
	in.used = max(in.used, in.to)
	in.from, in.to, in.need = 0, 0, 0
	in.shrink()
	in.noteHeld()
}

// noteHeld counts the memory of the buffers.
func (in *inbound) noteHeld() {
	bytes := 0
	if in.buf != nil {
		bytes += len(in.buf)
	}
	if in.rest != nil {
		bytes += len(in.rest)
	}
	in.holds.Store(int32(bytes))
}

// watch notes that a record is incomplete, and sees to it that the read deadline
// is at least stallTime away and at most twice that, so that it is set seldom.
func (in *inbound) watch(now time.Time) error {
	in.since = now
	if !in.own || in.deadline.Sub(now) >= stallTime {
		return nil
	}
	return in.setDeadline(now.Add(2 * stallTime))
}

// expired handles a read deadline that has passed.
func (in *inbound) expired(now time.Time) error {
	switch {
	case in.poked.Load():
		return errPoked
	case !in.partial():
		return in.setDeadline(time.Time{})
	case in.since.IsZero():
		in.since = now
		return in.setDeadline(now.Add(2 * stallTime))
	case now.Sub(in.since) >= stallTime:
		return errStalled
	}
	return in.setDeadline(in.since.Add(stallTime))
}

// setDeadline sets the read deadline, unless poke has set one meanwhile.
func (in *inbound) setDeadline(t time.Time) error {
	in.deadline = t
	if err := in.conn.SetReadDeadline(t); err != nil {
		return fmt.Errorf("set a deadline: %w", withoutAddress(err))
	}
	if in.poked.Load() {
		return errPoked
	}
	return nil
}

// poke makes next return errPoked, now and from then on wherever it would have to
// wait. It may be called from any goroutine.
func (in *inbound) poke() {
	in.poked.Store(true)
	in.conn.SetReadDeadline(longAgo)
}
