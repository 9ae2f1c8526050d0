package congestion

import "time"

// vegas is a window that follows the path, after Tor's proposal 324; what differs
// from it is told in docs/protocol.md, "Choices and their reasons". Times are
// distances from the sender's first cell.
type vegas struct {
	p    Params
	cwnd int
	sees view

	steady         bool          // slow start is over
	round          time.Duration // when it began; the first cell sent since then ends it
	rounds         int           // since the last dip
	used, usedLast bool          // the window was used up in this round; in the one before
	peak, last     int           // the most cells on the way in this round; in the one before
	run            int           // rounds in a row in which nothing waited and the window grew
	blocked        bool          // at the last SENDME

	dip   dip
	probe probe
}

const ( // fixed by docs/protocol.md, "The size of the window"
	bdpShare    = 4  // the part of the path's content that may wait, if more than gamma, before slow start ends
	growthShare = 4  // the part of what was on the way by which the window grows in a round while nothing waits
	quietShare  = 4  // nothing waits: less than this part of alpha
	emptyShare  = 8  // the path was seen empty: no more than this part of alpha
	settling    = 2  // rounds after a dip that still show the dip
	longestRun  = 16 // doublings of a step, more than any window takes
)

func newVegas(p Params) *vegas {
	v := &vegas{p: p, cwnd: p.CwndInit}
	v.dip.calm = leastCalm
	return v
}

func (v *vegas) window() int {
	if v.dip.to > 0 {
		return min(v.dip.to, v.cwnd)
	}
	return v.cwnd
}

func (v *vegas) sent(inflight int, now time.Duration) {
	v.peak = max(v.peak, inflight)
	v.used = v.used || inflight+v.p.FullGap*v.p.SendmeInc >= v.cwnd
	if v.dip.to > 0 && v.dip.idle(now, v.sees.rtt) {
		v.dip.to = 0
		v.turn(now)
	}
}

func (v *vegas) acked(a ack) {
	if !v.sees.measure(a, v) {
		return // a clock that says nothing moves no window
	}
	edge := a.blocked && !v.blocked
	v.blocked = a.blocked
	switch {
	case v.dip.to > 0:
		if v.dip.over(a, v) {
			v.turn(a.now)
		}
	case !v.steady:
		v.start(a)
	case a.sent >= v.round || edge:
		v.sees.fold()
		v.steer(a)
	case v.sees.lately.n >= v.eighth():
		v.notice(a, v.sees.lately)
		v.sees.fold()
	}
}

// eighth is how many SENDMEs an eighth of the window is.
func (v *vegas) eighth() int { return max(fewSamples, v.cwnd/v.p.SendmeInc/8) }

// full reports whether the window is used up but for a gap. Only then it grows, and
// never beyond twice what was on the way: what is not used has not been tried.
func (v *vegas) full() bool {
	return (v.used || v.usedLast) && v.cwnd < 2*max(v.peak, v.last)
}

// turn begins a round.
func (v *vegas) turn(now time.Duration) {
	v.round = now
	v.rounds++
	v.last, v.peak = v.peak, 0
	v.usedLast, v.used = v.used, false
	v.sees.whole, v.sees.lately = standing{}, standing{}
}

// start is slow start: the window grows by what is acknowledged, until cells begin
// to wait. It ends with a dip: the queue that it has built drains, and everybody
// who shares it sees the path without.
func (v *vegas) start(a ack) {
	bdp, queue := v.sees.estimate(v.sees.lately)
	enough := v.sees.lately.n >= v.eighth()
	gamma := max(v.sees.scaled(v.p.Gamma), bdp/bdpShare)
	switch {
	case queue >= gamma && enough || v.blocked:
		v.cwnd = clamp(bdp+gamma, v.p.CwndMin, v.cwnd)
		v.steady = true
		v.sink(a.now, v.sees.lately)
		return
	case v.full():
		v.cwnd = min(v.cwnd+max(1, v.p.SendmeInc*v.p.SlowStart/100), v.p.CwndMax)
		v.steady, v.dip.epoch = v.cwnd == v.p.CwndMax, a.now+v.p.baseAge()
	}
	if a.sent >= v.round {
		v.turn(a.now)
	}
	if enough {
		v.sees.lately = standing{}
	}
}

// steer is the steady state: once in a round it moves the window towards where
// between alpha and beta cells wait.
func (v *vegas) steer(a ack) {
	if v.probe.rounds > 0 {
		v.swell(a)
		return
	}
	if v.notice(a, v.sees.whole) {
		return
	}
	if v.rounds > settling {
		v.move()
		v.dip.age(a.now, v)
	}
	v.turn(a.now)
}

// move makes one step.
func (v *vegas) move() {
	bdp, queue := v.sees.estimate(v.sees.whole)
	alpha, beta, delta := v.sees.scaled(v.p.Alpha), v.sees.scaled(v.p.Beta), v.sees.scaled(v.p.Delta)
	step := v.sees.scaled(v.p.Step)
	run := 0
	switch {
	case queue > delta:
		v.cwnd = min(v.cwnd, max(bdp+beta, v.cwnd/2))
	case queue > beta || v.blocked:
		v.cwnd -= max(step, (queue-beta)/2)
	case queue < alpha && v.full():
		step = max(step, (alpha-queue)/2)
		most := v.cwnd + step
		if queue < alpha/quietShare {
			run = min(v.run+1, longestRun)
			most = max(most, v.sees.whole.cells+v.sees.whole.cells/growthShare)
		}
		v.cwnd = min(v.cwnd+step<<max(run-1, 0), most)
	}
	v.run = run
	v.cwnd = clamp(v.cwnd, v.p.CwndMin, v.p.CwndMax)
	if queue <= alpha/emptyShare {
		v.dip.seen = true
	}
}
