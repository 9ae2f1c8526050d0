package congestion

import (
	"math/bits"
	"time"
)

// A view is what the SENDMEs have shown of the path.
//
// Each gives a pair: how long its cell took, and how many cells were on the way
// when it left. In the shortest time that the path has shown, the base, part of
// them would have arrived: that is the path's own content, its bandwidth-delay
// product. The others wait in queues.
type view struct {
	rtt  time.Duration // smoothed; 0: no SENDME yet
	rate int           // smoothed, cells a second

	lately standing // of an eighth of the window
	whole  standing // of this round, without lately

	base, before time.Duration // the shortest time of this epoch and of the last; 0: none

	stalled           bool          // the clock has shown no time for a round trip
	lastSent, lastNow time.Duration // of the SENDME before
}

// A standing is the shortest time of several cells: what all of them had to wait,
// not what a burst of our own cost some of them.
type standing struct {
	rtt   time.Duration
	cells int // on the way when that cell left
	n     int // SENDMEs
}

const ( // fixed by docs/protocol.md, "The size of the window"
	referenceRate = 10_000          // cells a second at which thresholds hold as they are: 41 Mbit/s
	unit          = 256             // thresholds are multiplied by so many 256ths
	leastScale    = unit / 3        // of a threshold: 62 cells for an alpha of 186, two SENDMEs; below 4.6 Mbit/s
	mostScale     = unit * 8        // of a threshold; above 2.6 Gbit/s
	mostRate      = 1 << 24         // cells a second: 69 Gbit/s
	clockJump     = 5_000           // (T) a round trip that many times longer or shorter than usual is the clock's
	longestTrip   = 5 * time.Minute // nobody waits longer for a SENDME
	fewSamples    = 4               // SENDMEs, at least, that show what stands in queues
)

func (s *standing) add(o standing) {
	if s.n == 0 || o.n > 0 && o.rtt < s.rtt {
		s.rtt, s.cells = o.rtt, o.cells
	}
	s.n += o.n
}

// measure takes in one SENDME, and reports whether its time can be believed. While
// a dip lasts it looks for a shorter base only: the window is far from where it
// will be.
func (w *view) measure(a ack, v *vegas) bool {
	// SENDMEs that come at once although their cells left apart came late, or the
	// clock stood still: then the later ones seem to have been faster than the
	// path is.
	crowded := w.rtt > 0 && a.now-w.lastNow < (a.sent-w.lastSent)/2
	w.lastSent, w.lastNow = a.sent, a.now
	rtt := a.now - a.sent
	if !w.believable(rtt, v.steady) {
		return false
	}
	rtt = min(rtt, longestTrip)
	if !crowded && (w.base == 0 || rtt < w.base) {
		w.base = rtt
	}
	if v.dip.to > 0 {
		return true
	}
	w.lately.add(standing{rtt, a.cells, 1})
	rate := min(int(int64(a.cells)*int64(time.Second)/int64(rtt)), mostRate)
	if w.rtt == 0 {
		w.rtt, w.rate = rtt, rate
		return true
	}
	n := 2
	if v.steady {
		n = clamp(v.cwnd/(2*v.p.SendmeInc), 2, v.p.EwmaMax)
	}
	w.rtt = time.Duration(smooth(int64(w.rtt), int64(rtt), int64(n)))
	w.rate = int(smooth(int64(w.rate), int64(rate), int64(n)))
	return true
}

// smooth is the N-EWMA of proposal 324.
func smooth(old, sample, n int64) int64 { return (2*sample + (n-1)*old) / (n + 1) }

// believable reports whether a round trip is the path's and not the clock's.
func (w *view) believable(rtt time.Duration, steady bool) bool {
	if rtt <= 0 {
		w.stalled = true
		return false
	}
	if steady && w.rtt > 0 && (rtt/clockJump > w.rtt || w.stalled && rtt < w.rtt/clockJump) {
		return false
	}
	w.stalled = false
	return true
}

// fold adds what was seen lately to what was seen in this round.
func (w *view) fold() {
	w.whole.add(w.lately)
	w.lately = standing{}
}

// shortest returns the base: the shortest time of the last two epochs.
func (w *view) shortest() time.Duration {
	if w.base == 0 || w.before > 0 && w.before < w.base {
		return w.before
	}
	return w.base
}

// age begins an epoch.
func (w *view) age() {
	if w.base > 0 {
		w.before, w.base = w.base, 0
	}
}

// estimate returns how many cells the path itself holds, and how many of ours wait
// in its queues.
func (w *view) estimate(s standing) (bdp, queue int) {
	base := w.shortest()
	if base == 0 || base >= s.rtt {
		return s.cells, 0
	}
	bdp = int(int64(s.cells) * int64(base) / int64(s.rtt))
	return bdp, s.cells - bdp
}

// delay returns how long a cell waited that took so long.
func (w *view) delay(rtt time.Duration) time.Duration { return max(0, rtt-w.shortest()) }

// scaled returns a threshold in cells: it grows with the square root of the
// circuit's rate.
func (w *view) scaled(threshold int) int {
	scale := root(uint64(w.rate) * (unit * unit) / referenceRate)
	return max(1, threshold*clamp(int(scale), leastScale, mostScale)/unit)
}

// root returns the square root of n, rounded down.
func root(n uint64) uint64 {
	if n < 2 {
		return n
	}
	x := uint64(1) << ((bits.Len64(n) + 1) / 2) // not below the root
	for y := (x + n/x) / 2; y < x; y = (x + n/x) / 2 {
		x = y
	}
	return x
}
