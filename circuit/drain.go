package circuit

import (
	"time"

	"tunic/cell"
)

// drain decides what the receiver of a stream's data tells the sender: to stop
// when too much is unread, to go on when nothing is, and how fast its reader takes
// data. It is a state machine: the time comes as an argument.
//
// The reader's pace is what it takes in the time in which there is something to
// take, so that a sender that is slow, or kept slow by an earlier rate, does not
// make the reader look slow. Nothing is measured before the first XOFF: most
// streams never need one.
type drain struct {
	off  bool         // the peer was told to stop
	late int          // DATA cells that may still come while off
	over time.Time    // since when there is more unread than the limit; zero: there is not
	told cell.XOnRate // in force; 0: no limit

	pace int64         // smoothed, bytes per second; 0: not known
	took int64         // bytes of the sample under way
	busy time.Duration // in which there was something to take, up to since
	from time.Time     // since when there is; zero: there is not, or the sample has not begun
}

// needsTime reports whether arrived needs the time; most often it does not.
func (d *drain) needsTime(n, unread int) bool {
	return !d.off && (unread > xoffLimit || d.told != 0 && unread == n)
}

// measures reports whether the reader's pace matters: taken needs the time then.
func (d *drain) measures() bool { return d.off || d.told != 0 }

// arrived takes in that n bytes came, after which unread are there, and reports
// whether to send XOFF: the reader has left more than the limit for a while, so
// that it is slow and not merely about to run, or has left very much.
func (d *drain) arrived(n, unread int, now time.Time) (stop bool, err error) {
	if d.off {
		if d.late--; d.late < 0 {
			return false, violation("DATA beyond XOFF and a window")
		}
		return false, nil
	}
	if d.told != 0 && unread == n {
		d.from = now
	}
	if unread <= xoffLimit {
		return false, nil
	}
	if d.over.IsZero() {
		d.over = now
	}
	return now.Sub(d.over) >= xoffGrace || unread > xoffAtOnce, nil
}

// stop says that XOFF is sent. Up to late cells are on their way.
func (d *drain) stop(late int) { *d = drain{off: true, late: late} }

// taken takes in that the reader has n bytes more, after which unread are left,
// and reports whether to send XON, with which rate.
func (d *drain) taken(n, unread int, now time.Time) (rate cell.XOnRate, send bool) {
	if unread <= xoffLimit {
		d.over = time.Time{}
	}
	if !d.measures() {
		return 0, false
	}
	whole := d.measure(n, unread, now)
	rate = d.advice()
	switch {
	case d.off && unread == 0:
		d.took, d.busy = 0, 0 // the next sample is of what comes from now on
	case !d.off && whole && moved(d.told, rate):
	default:
		return 0, false
	}
	d.off, d.told = false, rate
	return rate, true
}

// measure adds to the sample, and reports whether that made it whole. A sample
// that follows XOFF begins with the first bytes that the reader takes: how long it
// did not read at all says nothing of how fast it reads.
func (d *drain) measure(n, unread int, now time.Time) (whole bool) {
	if d.from.IsZero() {
		d.from = now
	} else {
		d.took += int64(n)
	}
	if d.took >= xonSample {
		whole = d.feed(d.busy + now.Sub(d.from))
		d.took, d.busy, d.from = 0, 0, now
	}
	if unread == 0 {
		d.busy += now.Sub(d.from)
		d.from = time.Time{}
	}
	return whole
}

// feed smooths the pace with a whole sample (N-EWMA with N = 2), unless the clock
// stood still.
func (d *drain) feed(busy time.Duration) bool {
	if busy <= 0 {
		return false
	}
	pace := int64(float64(d.took) / busy.Seconds())
	if d.pace != 0 {
		pace = (2*pace + d.pace) / 3
	}
	d.pace = pace
	return true
}

// advice returns the pace as a rate.
func (d *drain) advice() cell.XOnRate {
	units := (d.pace + rateUnit - 1) / rateUnit
	if units == 0 || units >= int64(noRate) {
		return 0
	}
	return max(cell.XOnRate(units), minRate)
}

// moved reports whether a rate is so far from the one in force that the sender
// should know.
func moved(told, rate cell.XOnRate) bool {
	if told == rate {
		return false
	}
	return rate == 0 || 4*int64(rate) > 5*int64(told) || 4*int64(rate) < 3*int64(told)
}
