package circuit

import (
	"sync"
	"time"
)

// A deadline ends the waiting on one condition at a time that may be moved. The
// condition's lock guards it.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

// set moves the deadline and wakes who waits on c, whose lock is held.
func (d *deadline) set(t time.Time, c *sync.Cond) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if !t.IsZero() {
		if wait := time.Until(t); wait > 0 {
			d.timer = time.AfterFunc(wait, func() {
				c.L.Lock()
				defer c.L.Unlock()
				c.Broadcast()
			})
		}
	}
	c.Broadcast()
}

// passed reports whether the deadline has passed. The lock is held.
func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// stop ends the timer: nobody will wait any more.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
