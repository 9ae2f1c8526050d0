package link

import (
	"fmt"
	"sync"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
)

// cellsTag is what sealing adds to the cells of a record, in bytes.
const cellsTag = hybrid.TagSize

type writeBuffer [lengthSize + maxSealed]byte

var writeBuffers = sync.Pool{New: func() any { return new(writeBuffer) }}

// outbound is the writer's own state.
type outbound struct {
	sealer   *sealer
	buf      *writeBuffer // nil while the writer sleeps
	deadline time.Time    // the connection's write deadline; zero: none

	timer    *time.Timer
	timerAt  time.Time // when it fires; zero: not set
	lastSent time.Time
	padDue   time.Time // when PADDING is due; zero: to be drawn
	padFor   uint32    // the bounds that it was drawn from
}

// writeLoop writes what is queued until the link ends. It is started by newLink and
// ended by fail, or by Close once everything is written.
func (l *Link) writeLoop() {
	l.out.lastSent = time.Now()
	l.out.timer = time.NewTimer(time.Hour)
	l.out.timer.Stop()
	err := l.writeRecords()
	if err == nil {
		l.closeWrite()
	} else {
		l.fail(err)
	}
	for _, c := range l.sched.stop() {
		c.discard()
	}
	l.out.timer.Stop()
	l.giveBack()
	l.leaveLoop()
}

// writeRecords returns nil if the link is being flushed and nothing is left.
func (l *Link) writeRecords() error {
	for {
		now := time.Now()
		n := l.gather(now)
		if n > 0 {
			if err := l.write(n, now); err != nil {
				return err
			}
			continue
		}
		l.giveBack()
		if l.isFlushing() {
			return nil
		}
		if !l.sched.sleep() {
			continue
		}
		due, err := l.housekeep(now)
		if err != nil {
			return err
		}
		if err := l.sleep(due); err != nil {
			return err
		}
	}
}

// gather fills the buffer with up to a record of cells and returns how many.
func (l *Link) gather(now time.Time) (n int) {
	s := &l.sched
	s.mu.Lock()
	if len(s.heap) == 0 && s.control.n == 0 {
		s.mu.Unlock()
		return 0
	}
	if l.out.buf == nil {
		l.out.buf = writeBuffers.Get().(*writeBuffer)
	}
	weight := s.weight(now)
	for ; n < cell.RecordCells && s.control.n > 0; n++ {
		c := s.control.take()
		at := l.out.cell(n)
		cell.PutHeader(at, c.header)
		clear(at[cell.HeaderSize+copy(at[cell.HeaderSize:], c.body[:]):])
	}
	for n < cell.RecordCells {
		c, most := s.pop(weight, cell.RecordCells-n)
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

// cell returns the place of the record's i-th cell.
func (o *outbound) cell(i int) []byte {
	from := lengthSize + i*cell.Size
	return o.buf[from : from+cell.Size]
}

// copyCells puts a list of slots in the record from the i-th cell on, and releases
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

// write seals the n cells in the buffer once and writes them once.
func (l *Link) write(n int, now time.Time) error {
	rec, err := l.out.sealer.seal(l.out.buf[:lengthSize+n*cell.Size])
	if err != nil {
		return err
	}
	if err := take(l.ctx, l.pool.cfg.WriteLimit, len(rec)); err != nil {
		return ErrClosed // the only way: ctx has ended
	}
	if l.pool.cfg.WriteLimit != nil {
		now = time.Now() // the limit may have taken its time
	}
	if l.out.deadline.Sub(now) < writeTime { // at least writeTime, at most twice; set seldom
		l.out.deadline = now.Add(2 * writeTime)
		if err := l.conn.SetWriteDeadline(l.out.deadline); err != nil {
			return fmt.Errorf("set a deadline: %w", withoutAddress(err))
		}
	}
	if _, err := l.conn.Write(rec); err != nil {
		return fmt.Errorf("write: %w", withoutAddress(err))
	}
	l.written.Add(uint64(len(rec)))
	l.pool.counts.written.Add(uint64(len(rec)))
	l.out.lastSent, l.out.padDue = now, time.Time{}
	return nil
}

// giveBack returns the buffer to the pool.
func (l *Link) giveBack() {
	if l.out.buf != nil {
		poison(l.out.buf[:])
		writeBuffers.Put(l.out.buf)
		l.out.buf = nil
	}
}

// sleep waits until there is something to do, at the latest until due.
func (l *Link) sleep(due time.Time) error {
	o := &l.out
	if o.timerAt.IsZero() || due.Before(o.timerAt) {
		o.timer.Reset(time.Until(due))
		o.timerAt = due
	}
	select {
	case <-l.wake:
	case <-o.timer.C:
		o.timerAt = time.Time{}
	case <-l.ctx.Done():
		return ErrClosed
	}
	return nil
}

// housekeep does what is due on a link that has nothing to send, and returns when
// it is to be called again. It is called before each sleep; nothing keeps it from
// being called too often.
func (l *Link) housekeep(now time.Time) (due time.Time, err error) {
	due = l.keepaliveDue(now)
	if !now.Before(due) {
		l.control(controlCell{}, controlCells) // PADDING on circuit 0
		return now, nil
	}
	idle, ok := l.closeDue(now)
	if ok && !now.Before(idle) && l.closeIdle() {
		return time.Time{}, ErrIdle
	}
	if ok && idle.Before(due) {
		due = idle
	}
	return due, nil
}

// keepaliveDue returns when PADDING has to go out if nothing else does.
func (l *Link) keepaliveDue(now time.Time) time.Time {
	o := &l.out
	packed := l.padding.Load()
	p := unpackPadding(packed)
	if p.off() {
		return o.lastSent.Add(keepaliveTime)
	}
	if o.padDue.IsZero() || o.padFor != packed {
		o.padDue, o.padFor = o.lastSent.Add(p.draw()), packed
	}
	return o.padDue
}

// closeDue returns when the link closes if it stays without a circuit; ok is false
// while it has one.
func (l *Link) closeDue(now time.Time) (due time.Time, ok bool) {
	since, ok := l.idleSince()
	if !ok {
		return time.Time{}, false
	}
	if l.surplus.Load() {
		return since.Add(min(l.idle, l.idleSoon)), true
	}
	return since.Add(l.idle), true
}
