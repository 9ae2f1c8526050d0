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
// The window follows the path in the manner of Vegas: from how long cells take
// now and how long they take when nothing waits, the sender tells how many of its
// own cells wait in queues, and keeps that number between two bounds.
//
// Specification: docs/protocol.md, "Flow control".
package congestion

import "time"

// MaxWindow is the most cells that a window may ever be: queues are sized for it.
// Fixed by docs/protocol.md, "Windows".
const MaxWindow = 16_384

// Some window in which a SENDME falls due fits under every limit; does not
// compile otherwise.
const (
	minCwndMax   = 500
	maxSendmeInc = 254
	maxCwndMin   = 1_000
	maxCwndInit  = 10_000

	_ = uint(minCwndMax - maxSendmeInc)
	_ = uint(maxCwndMin - maxSendmeInc)
	_ = uint(MaxWindow - maxCwndInit)
)

// Params are the numbers that an end of a circuit follows. Thresholds and the
// step are in cells of a circuit that moves 10,000 cells a second; see [Sender].
type Params struct {
	SendmeInc int // cells that one SENDME acknowledges; both ends agree on it
	CwndInit  int // cells, the window at the start
	CwndMin   int // cells, the smallest window
	CwndMax   int // cells, the largest window

	Alpha int // the window grows with fewer of its cells waiting in queues,
	Beta  int // shrinks with more,
	Delta int // is cut with more
	Gamma int // slow start ends with more
	Step  int // by which it grows or shrinks in a round trip

	SlowStart int // percent of what is acknowledged that slow start adds
	FullGap   int // SENDMEs by which a window may be unused and count as full
	EwmaMax   int // SENDMEs over which times are smoothed, at most
	BaseAge   int // seconds after which the shortest time is looked for again
}

// A bound is a consensus parameter: what it sets, and what it may be.
// Fixed by docs/protocol.md, "Windows".
type bound struct {
	name             string
	of               func(p *Params) *int
	def, least, most int64
}

// bounds lists them in the order in which Clamp looks at them.
func bounds() [13]bound {
	return [...]bound{
		{"cc_sendme_inc", func(p *Params) *int { return &p.SendmeInc }, 31, 1, maxSendmeInc},
		{"cc_cwnd_max", func(p *Params) *int { return &p.CwndMax }, MaxWindow, minCwndMax, MaxWindow},
		{"cc_cwnd_min", func(p *Params) *int { return &p.CwndMin }, 62, 31, maxCwndMin},
		{"cc_cwnd_init", func(p *Params) *int { return &p.CwndInit }, 248, 31, maxCwndInit},
		{"cc_alpha", func(p *Params) *int { return &p.Alpha }, 186, 31, 1_000},
		{"cc_beta", func(p *Params) *int { return &p.Beta }, 217, 31, 2_000},
		{"cc_delta", func(p *Params) *int { return &p.Delta }, 310, 31, 4_000},
		{"cc_gamma", func(p *Params) *int { return &p.Gamma }, 186, 31, 4_000},
		{"cc_cwnd_inc", func(p *Params) *int { return &p.Step }, 31, 1, 1_000},
		{"cc_cwnd_inc_pct_ss", func(p *Params) *int { return &p.SlowStart }, 100, 1, 100},
		{"cc_cwnd_full_gap", func(p *Params) *int { return &p.FullGap }, 4, 0, 16},
		{"cc_ewma_max", func(p *Params) *int { return &p.EwmaMax }, 32, 2, 255},
		{"cc_base_age", func(p *Params) *int { return &p.BaseAge }, 10, 1, 600},
	}
}

// Bounds returns the least and the most that a parameter of the consensus counts as;
// ok is false where there is none of that name.
func Bounds(name string) (least, most int64, ok bool) {
	for _, b := range bounds() {
		if b.name == name {
			return b.least, b.most, true
		}
	}
	return 0, 0, false
}

// Default returns the parameters of a network that sets none.
func Default() Params {
	return FromConsensus(func(_ string, def, _, _ int64) int64 { return def })
}

// FromConsensus returns the parameters that a consensus sets. param looks one up
// by name: it returns def where there is none, else what is nearest to it of
// least…most.
func FromConsensus(param func(name string, def, least, most int64) int64) Params {
	var p Params
	for _, b := range bounds() {
		*b.of(&p) = int(param(b.name, b.def, b.least, b.most))
	}
	return p.Clamp()
}

// Clamp returns p with every number moved inside its bounds, and those that
// depend on each other in order.
func (p Params) Clamp() Params {
	for _, b := range bounds() {
		n := b.of(&p)
		*n = clamp(*n, int(b.least), int(b.most))
	}
	p.CwndMin = clamp(p.CwndMin, p.SendmeInc, p.CwndMax)
	p.CwndInit = clamp(p.CwndInit, p.CwndMin, p.CwndMax)
	p.Beta = max(p.Beta, p.Alpha)
	p.Delta = max(p.Delta, p.Beta)
	return p
}

func (p *Params) baseAge() time.Duration { return time.Duration(p.BaseAge) * time.Second }

func clamp(n, low, high int) int { return min(max(n, low), high) }
