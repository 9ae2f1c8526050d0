package link

import (
	"errors"
	"fmt"
	"time"

	"tunic/cell/socket"
)

// writeLoop writes what others could not, and does what is due on a quiet link. It is
// started by add and by wakeWriter, and ends when there is nothing to do, so that a
// quiet link has no such goroutine; for good by fail, or by Close once everything is
// written.
func (l *Link) writeLoop() {
	for {
		if l.sched.claim() {
			if over, err := l.writeTurn(); over {
				l.endWriting(err)
				return
			}
		}
		if l.sched.park() {
			return
		}
	}
}

// endWriting is the end of the link's last writer, which has the turn and keeps it. err
// is nil if everything was written.
func (l *Link) endWriting(err error) {
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

// writeTurn begins with the turn and gives it back, unless over says that the link has
// ended: with err, or because it is being flushed and nothing is left.
func (l *Link) writeTurn() (over bool, err error) {
	o := &l.out
	if l.fired.Swap(false) {
		o.timerAt = time.Time{}
	}
	for {
		now := time.Now()
		switch {
		case l.ctx.Err() != nil:
			return true, ErrClosed
		case o.err != nil: // of somebody else's turn
			return true, o.err
		case o.pending() || l.gather(now):
			if err := l.write(now); err != nil {
				return true, err
			}
			continue
		}
		l.giveBack()
		if l.isFlushing() {
			return true, nil
		}
		due, err := l.housekeep(now)
		if err != nil {
			return true, err
		}
		if due.IsZero() {
			continue // there is PADDING to send
		}
		o.wakeBy(due)
		if released, _ := l.sched.release(); released {
			return false, nil
		}
	}
}

// write writes what is sealed, and waits for the limit and the connection.
func (l *Link) write(now time.Time) error {
	o := &l.out
	if o.err != nil {
		return o.err
	}
	if o.unpaid > 0 && l.pool.cfg.WriteLimit != nil {
		if err := take(l.ctx, l.pool.cfg.WriteLimit, o.unpaid); err != nil {
			return ErrClosed // the only way: ctx has ended
		}
		now = time.Now() // the limit may have taken its time
	}
	o.unpaid = 0
	if o.deadline.Sub(now) < writeTime { // at least writeTime, at most twice; set seldom
		o.deadline = now.Add(2 * writeTime)
		if err := l.conn.SetWriteDeadline(o.deadline); err != nil {
			return fmt.Errorf("set a deadline: %w", withoutAddress(err))
		}
	}
	n, err := l.writeAll()
	l.sent(n, now)
	if err != nil {
		return fmt.Errorf("write: %w", withoutAddress(err))
	}
	return nil
}

// writeAll writes what is pending, and waits for the connection.
func (l *Link) writeAll() (n int, err error) {
	o := &l.out
	if o.raw == nil {
		return l.conn.Write(o.buf[o.from:o.to])
	}
	o.n, o.writeErr = 0, nil
	if err := o.raw.Write(o.patient); err != nil {
		return o.n, err
	}
	return o.n, o.writeErr
}

// writePatiently writes what the connection takes; false waits until it takes more.
func (o *outbound) writePatiently(fd uintptr) bool {
	for o.from+o.n < o.to && o.writeErr == nil {
		var n int
		n, o.writeErr = socket.Write(fd, o.buf[o.from+o.n:o.to])
		o.n += n
	}
	if errors.Is(o.writeErr, socket.ErrWouldBlock) {
		o.crowded, o.writeErr = true, nil
		return false
	}
	return true
}

// housekeep does what is due on a link that has nothing to send, and returns when it is
// to be called again: zero if it has queued PADDING, which is sent first. It is called at
// the end of each turn of the writer; more often does no harm.
func (l *Link) housekeep(now time.Time) (due time.Time, err error) {
	due = l.keepaliveDue(now)
	if !now.Before(due) {
		l.control(controlCell{}, controlCells) // PADDING on circuit 0
		return time.Time{}, nil
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
		return since.Add(min(l.idleTime(), l.idleSoon)), true
	}
	return since.Add(l.idleTime()), true
}
