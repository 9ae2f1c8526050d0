package link

import (
	"fmt"
	"time"
)

// writeLoop writes what others could not, and does what is due on a quiet link, until
// the link ends. It is started by newLink, with the turn, and ended by fail, or by
// Close once everything is written.
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
	l.out.giveBack()
	l.leaveLoop()
}

// writeRecords begins and ends with the turn. It returns nil if the link is being
// flushed and nothing is left.
func (l *Link) writeRecords() error {
	o := &l.out
	for {
		now := time.Now()
		switch {
		case o.err != nil: // of somebody else's turn
			return o.err
		case o.pending() || l.gather(now):
			if err := l.write(now); err != nil {
				return err
			}
			continue
		}
		o.giveBack()
		if l.isFlushing() {
			return nil
		}
		due, err := l.housekeep(now)
		if err != nil {
			return err
		}
		o.wakeBy(due)
		if released, _ := l.sched.release(); !released {
			continue
		}
		if err := l.sleep(); err != nil {
			return err
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
	if o.raw != nil {
		if err := l.tryWrite(now); err != nil || !o.pending() {
			return err
		}
	}
	if o.deadline.Sub(now) < writeTime { // at least writeTime, at most twice; set seldom
		o.deadline = now.Add(2 * writeTime)
		if err := l.conn.SetWriteDeadline(o.deadline); err != nil {
			return fmt.Errorf("set a deadline: %w", withoutAddress(err))
		}
	}
	n, err := l.conn.Write(o.buf[o.from:o.to])
	l.sent(n, now)
	if err != nil {
		return fmt.Errorf("write: %w", withoutAddress(err))
	}
	return nil
}

// sleep waits until there is something to do and it is the writer's turn.
func (l *Link) sleep() (err error) {
	fired, ended := false, l.ctx.Done()
	for {
		select {
		case <-l.wake:
		case <-l.out.timer.C:
			fired = true
		case <-ended:
			ended, err = nil, ErrClosed // nobody holds the turn for long
		}
		if l.sched.claim() {
			break
		}
	}
	if fired {
		l.out.timerAt = time.Time{}
	}
	return err
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
		return since.Add(min(l.idleTime(), l.idleSoon)), true
	}
	return since.Add(l.idleTime()), true
}
