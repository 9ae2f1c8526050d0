// Package congestion decides how many cells of data one end of a circuit may
// have on the way, and checks that the other end acknowledges only what it has
// received. It is a state machine: no connection, no clock, no goroutine; whoever
// holds the circuit's lock for a direction calls it and brings the time along.
// It knows tags of cells, and neither cells nor keys.
//
// The end that sends data holds a [Sender], the end that receives it a
// [Receiver]. Only DATA cells count. The receiver answers every 31st, counted
// from the circuit's start, with a SENDME that carries that cell's tag; the tag
// stands for all cells before it, because each layer chains the tags.
//
// Specification: docs/protocol.md, "Flow control".
package congestion

const ( // fixed by docs/protocol.md, "Flow control"; cells
	// MaxWindow is the most that a window may ever be: queues are sized for it.
	MaxWindow = 16_384

	minSendmeInc, maxSendmeInc = 1, 254
	minCwndInit, maxCwndInit   = 31, 10_000
	minCwndMin, maxCwndMin     = 31, 1_000
	minCwndMax                 = 500
)

// Some window in which a SENDME falls due fits under every limit; does not
// compile otherwise.
const (
	_ = uint(minCwndMax - maxSendmeInc)
	_ = uint(maxCwndMin - maxSendmeInc)
	_ = uint(MaxWindow - maxCwndInit)
)

// Params are the numbers that both ends of a circuit follow; all in cells.
type Params struct {
	SendmeInc int // cells that one SENDME acknowledges; 1 to 254
	CwndInit  int // the window at the start; 31 to 10,000
	CwndMin   int // the smallest window; 31 to 1,000, at least SendmeInc
	CwndMax   int // the largest window; 500 to 16,384, at least CwndMin
}

// Default returns the parameters of a network that sets none.
func Default() Params {
	return Params{
		SendmeInc: 31,    // the cells of one record
		CwndInit:  1_024, // the window stays at that: 512 KiB on the way
		CwndMin:   124,
		CwndMax:   MaxWindow,
	}
}

// Clamp returns p with every number moved inside its bounds.
func (p Params) Clamp() Params {
	p.SendmeInc = clamp(p.SendmeInc, minSendmeInc, maxSendmeInc)
	p.CwndMax = clamp(p.CwndMax, minCwndMax, MaxWindow)
	p.CwndMin = clamp(p.CwndMin, max(minCwndMin, p.SendmeInc), min(maxCwndMin, p.CwndMax))
	p.CwndInit = clamp(p.CwndInit, max(minCwndInit, p.CwndMin), min(maxCwndInit, p.CwndMax))
	return p
}

func clamp(n, low, high int) int { return min(max(n, low), high) }
