package link

import (
	"maps"
	"net"
	"slices"
	"time"
)

// fail ends the link at once; err is the reason if it is the first. It may be
// called from any goroutine.
func (l *Link) fail(err error) {
	l.mu.Lock()
	if l.state == ended {
		l.mu.Unlock()
		return
	}
	l.endLocked(err)
}

// endLocked ends the link and unlocks l.mu, which is held.
func (l *Link) endLocked(err error) {
	if l.state == open {
		l.err = err
		close(l.done)
	}
	l.state = ended
	l.mu.Unlock()
	l.cancel()
	l.conn.Close() // unblocks both loops
	l.wakeWriter() // where there is none
}

// Close ends the link: no circuit can send from now on, what is queued is written,
// and the connection closed; all that takes two seconds at most. It starts that and
// returns at once, so that a link's own callbacks may call it; [Pool.Close] waits.
func (l *Link) Close() {
	l.mu.Lock()
	if l.state != open {
		l.mu.Unlock()
		return
	}
	l.state, l.err = flushing, ErrClosed
	l.closing = time.AfterFunc(flushTime+lingerTime, func() { l.fail(ErrClosed) })
	close(l.done)
	all := slices.Collect(maps.Values(l.circuits))
	l.mu.Unlock()
	for _, c := range all {
		c.close()
	}
	l.in.poke()
	l.wakeWriter()
}

// isFlushing reports whether Close was called and the connection still stands.
func (l *Link) isFlushing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == flushing
}

// closeIdle ends the link if it still has no circuit, and reports whether it did.
func (l *Link) closeIdle() bool {
	l.mu.Lock()
	if l.state != open || len(l.circuits) > 0 {
		l.mu.Unlock()
		return false
	}
	l.endLocked(ErrIdle)
	return true
}

// touch counts as a use of an idle link, so that who was handed it has time to open
// a circuit. It reports whether the link takes circuits.
func (l *Link) touch(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idleFrom = now
	return l.state == open
}

// closeWrite tells the peer that nothing more comes, once everything is written.
func (l *Link) closeWrite() {
	if half, ok := l.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	l.conn.Close()
}

// leaveLoop is called by each loop at its end. The last one ends the link.
func (l *Link) leaveLoop() {
	if l.loops.Add(-1) > 0 {
		return
	}
	l.fail(ErrClosed)
	l.mu.Lock()
	if l.closing != nil {
		l.closing.Stop()
	}
	l.mu.Unlock()
	l.pool.forget(l)
}

// linger reads on without looking, so that the connection is not reset before the
// peer has read what was flushed: until the peer closes too, or Close's time is up.
func (l *Link) linger() {
	l.conn.SetReadDeadline(time.Time{})
	var b [512]byte
	for {
		if _, err := l.conn.Read(b[:]); err != nil {
			return
		}
	}
}

var _ interface{ CloseWrite() error } = (*net.TCPConn)(nil)
