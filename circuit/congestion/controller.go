package congestion

import "time"

// A controller decides how large the window is.
type controller interface {
	// window returns how many cells may be on the way: at least SendmeInc, so
	// that a SENDME falls due, at most CwndMax.
	window() int
	// sent takes in that a cell was sent, with inflight cells on the way, that one
	// included.
	sent(inflight int, now time.Duration)
	// acked takes in that the oldest mark on the way was acknowledged.
	acked(a ack)
}

// An ack is what a controller learns from one SENDME. Times are distances from
// the sender's first cell.
type ack struct {
	sent    time.Duration // when the cell was sent that it answers
	cells   int           // that were on the way then, that one included
	now     time.Duration
	blocked bool // the circuit's first link has stopped taking cells
}
