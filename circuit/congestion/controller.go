package congestion

import "time"

// A controller decides how large the window is.
type controller interface {
	// window returns how many cells may be on the way, between CwndMin and
	// CwndMax.
	window() int
	// acked takes in that the oldest mark on the way was acknowledged.
	acked(a ack)
}

// An ack is what a controller learns from one SENDME.
type ack struct {
	rtt      time.Duration // since the cell was sent that it answers
	inflight int           // cells on the way, those just acknowledged included
	blocked  bool          // the circuit's first link has stopped taking cells
}

// fixed is a window that does not change: CwndInit cells.
type fixed int

func (f fixed) window() int { return int(f) }
func (f fixed) acked(ack)   {}
