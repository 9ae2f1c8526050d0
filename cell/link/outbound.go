package link

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/cell/socket"
)

// cellsTag is what sealing adds to the cells of a record, in bytes.
const cellsTag = hybrid.TagSize

const ( // our choice
	recordSize   = lengthSize + maxSealed // of a full record; bytes
	writeRecords = 8                      // that are written with one system call, at most
	writeCells   = writeRecords * cell.RecordCells
	// directWrites is how many system calls somebody who queues cells makes for a
	// link at a time: what others queue meanwhile must not keep a reader for long.
	directWrites = 2
)

type writeBuffer [writeRecords * recordSize]byte

var writeBuffers = sync.Pool{New: func() any { return new(writeBuffer) }}

// outbound is what writing needs. It belongs to whose turn it is: the scheduler says
// whose.
type outbound struct {
	sealer   *sealer
	raw      syscall.RawConn // nil: only the writer writes
	attempt  func(fd uintptr)
	patient  func(fd uintptr) bool
	buf      []byte // of large or one; nil while there is nothing to write
	large    *writeBuffer
	one      *recordBuffer
	holds    atomic.Int32 // the size of buf, for who counts memory
	from, to int          // records that are sealed and not written
	unpaid   int          // bytes of them that the limit has not let through yet
	crowded  bool         // the connection or the limit did not take everything at once
	pace     pace
	err      error     // why the writer has to end the link
	deadline time.Time // the connection's write deadline; zero: none

	timer    *time.Timer // of the writer's sleep
	timerAt  time.Time   // when it fires; zero: not set
	lastSent time.Time
	padDue   time.Time // when PADDING is due; zero: to be drawn
	padFor   uint32    // the bounds that it was drawn from

	n        int   // of the last attempt: bytes taken,
	writeErr error // and why not more
}

func (o *outbound) init(h *handshaken) {
	o.sealer, o.raw = h.out, socket.Raw(h.conn)
	o.attempt, o.patient = o.writeOnce, o.writePatiently
}

// pending reports whether something is sealed and not written.
func (o *outbound) pending() bool { return o.from < o.to }

// gather seals what is queued, as much as one write takes, and reports whether there
// was anything. While the connection is crowded that is one record, and a short one
// where the link is slow: what is sealed cannot be overtaken any more.
func (l *Link) gather(now time.Time) bool {
	o := &l.out
	room := writeCells
	if o.crowded || o.raw == nil || o.pace.cells < cell.RecordCells {
		room = o.pace.cells
	}
	n := l.pick(room, now)
	if n == 0 {
		return false
	}
	o.seal(n)
	return true
}

// pick fills the buffer with up to room cells and returns how many.
func (l *Link) pick(room int, now time.Time) (n int) {
	s := &l.sched
	s.mu.Lock()
	if len(s.heap) == 0 && s.control.n == 0 {
		s.mu.Unlock()
		return 0
	}
	room = l.takeBuffer(room)
	weight := s.weight(now)
	for ; n < room && s.control.n > 0; n++ {
		c := s.control.take()
		at := l.out.cell(n)
		cell.PutHeader(at, c.header)
		clear(at[cell.HeaderSize+copy(at[cell.HeaderSize:], c.body[:]):])
	}
	for n < room {
		c, most := s.pop(weight, room-n)
		if c == nil {
			break
		}
		s.mu.Unlock()
		list, taken := c.dequeue(most, weight)
		l.out.copyCells(n, list)
		n += taken
		s.mu.Lock()
	}
	s.mu.Unlock()
	return n
}

// cell returns the place of the i-th cell: behind each 31 a record ends.
func (o *outbound) cell(i int) []byte {
	from := i/cell.RecordCells*recordSize + lengthSize + i%cell.RecordCells*cell.Size
	return o.buf[from : from+cell.Size]
}

// copyCells puts a list of slots in the buffer from the i-th cell on, and releases
// them.
func (o *outbound) copyCells(i int, list *cell.Slot) {
	for list != nil {
		next := list.Next
		copy(o.cell(i), list.Cell()[:])
		list.Release()
		list = next
		i++
	}
}

// seal makes records of the n cells in the buffer. It may set o.err.
func (o *outbound) seal(n int) {
	o.from, o.to = 0, 0
	for n > 0 && o.err == nil {
		k := min(n, cell.RecordCells)
		var rec []byte
		rec, o.err = o.sealer.seal(o.buf[o.to : o.to+lengthSize+k*cell.Size])
		o.to += len(rec)
		n -= k
	}
	o.unpaid = o.to
}

// transmit writes what is queued, as far as the connection and the limit take it at
// once, and leaves the rest to the writer. It is called with the turn, which it gives
// back or hands over; it waits for nothing.
func (l *Link) transmit() {
	o := &l.out
	for range directWrites {
		now := time.Now()
		if o.raw == nil || l.gather(now) && !l.writeNow(now) {
			break
		}
		l.giveBack()
		if !unpackPadding(l.padding.Load()).off() {
			o.wakeBy(l.keepaliveDue(now))
		}
		if released, wake := l.sched.release(); released {
			if wake {
				l.wakeWriter()
			}
			return
		}
	}
	l.sched.handOver()
	l.wakeWriter()
}

// writeNow writes what is sealed, and reports whether that was everything.
func (l *Link) writeNow(now time.Time) bool {
	o := &l.out
	if o.err != nil {
		return false
	}
	if lim := l.pool.cfg.WriteLimit; lim != nil && !lim.AllowN(now, o.unpaid) {
		o.crowded = true
		return false
	}
	o.unpaid = 0
	o.err = l.tryWrite(now)
	return o.err == nil && !o.pending()
}

// tryWrite writes as much of what is sealed as the connection takes at once.
func (l *Link) tryWrite(now time.Time) error {
	o := &l.out
	o.n, o.writeErr = 0, nil
	if err := o.raw.Control(o.attempt); err != nil {
		return fmt.Errorf("write: %w", withoutAddress(err))
	}
	l.sent(o.n, now)
	if o.writeErr != nil && !errors.Is(o.writeErr, socket.ErrWouldBlock) {
		return fmt.Errorf("write: %w", o.writeErr)
	}
	o.crowded = o.crowded || o.pending()
	return nil
}

func (o *outbound) writeOnce(fd uintptr) {
	o.n, o.writeErr = socket.Write(fd, o.buf[o.from:o.to])
}

// sent counts n bytes as written.
func (l *Link) sent(n int, now time.Time) {
	o := &l.out
	if n <= 0 {
		return
	}
	o.from += n
	if o.crowded || o.pending() || o.raw == nil {
		o.pace.wrote(l.conn, n, now)
	} else {
		o.pace.flowed(n)
	}
	l.written.Add(uint64(n))
	l.pool.counts.written.Add(uint64(n))
	o.lastSent, o.padDue = now, time.Time{}
}

// giveBack returns the buffer to the pool: everything is written.
func (l *Link) giveBack() {
	o := &l.out
	o.crowded = false
	o.pace.rest()
	if o.buf != nil {
		l.releaseBuffer()
		o.holds.Store(0)
	}
}

// takeBuffer sees to it that there is a buffer for room cells, and returns for how
// many there is one: a link of a node that has many large buffers out gets one record's,
// or keeps it. Nothing is pending.
func (l *Link) takeBuffer(room int) int {
	o := &l.out
	large := room > cell.RecordCells && (o.large != nil || l.pool.takeLargeWrite())
	if !large {
		room = min(room, cell.RecordCells)
	}
	if o.buf != nil && large == (o.large != nil) {
		return room
	}
	if o.buf != nil {
		l.releaseBuffer()
	}
	if large {
		o.large = writeBuffers.Get().(*writeBuffer)
		o.buf = o.large[:]
	} else {
		o.one = recordBuffers.Get().(*recordBuffer)
		o.buf = o.one[:]
	}
	o.holds.Store(int32(len(o.buf)))
	return room
}

// takeLargeWrite counts one more large buffer, if there may be one.
func (p *Pool) takeLargeWrite() bool {
	if p.largeWrites.Add(1) > maxLargeWrites {
		p.largeWrites.Add(-1)
		return false
	}
	return true
}

// releaseBuffer gives it back, whichever it is.
func (l *Link) releaseBuffer() {
	o := &l.out
	if o.large != nil {
		poison(o.buf[:o.to])
		writeBuffers.Put(o.large)
		l.pool.largeWrites.Add(-1)
	} else {
		o.one.release(min(o.to, len(o.one)))
	}
	o.buf, o.large, o.one = nil, nil, nil
}

// wakeBy has the writer wake at a time at the latest.
func (o *outbound) wakeBy(due time.Time) {
	if o.timerAt.IsZero() || due.Before(o.timerAt) {
		o.timer.Reset(time.Until(due))
		o.timerAt = due
	}
}
