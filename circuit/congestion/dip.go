package congestion

import "time"

// A dip makes the window small for a moment, so that our part of the queue drains:
// then everybody who shares it sees how long the path takes without. Who comes late
// would else take the others' queue for the path's own length, and more than a fair
// share. So that all dip together, it follows what everybody notices: somebody's
// slow start, or a probe.
type dip struct {
	to    int           // cells, the window while it lasts; 0: no dip
	at    time.Duration // when its round began
	left  int           // rounds until it ends
	calm  int           // rounds that must pass after one until a queue may cause another
	seen  bool          // the path was seen all but empty since the last
	epoch time.Duration // when the base is looked for again
}

// A probe makes the queue grow until everybody who shares it notices, and dips.
type probe struct {
	rounds int           // for which it has lasted, from 1; 0: none
	window int           // before it
	delay  time.Duration // in queues before it
}

const ( // fixed by docs/protocol.md, "The size of the window"
	dipRounds   = 2       // for which the window stays small after the queue has drained
	waitRounds  = 3       // for which a dip waits for others at most
	idleTrips   = 4       // round trips without a SENDME after which a dip is over: nothing was sent
	leastCalm   = 8       // rounds
	mostCalm    = 1 << 12 // rounds
	calmGrowth  = 4       // queues that come and go by themselves soon cause no dips
	probeRounds = 6       // at most
	probeGrowth = 7       // quarters of the delay before: more than delta over alpha
)

// sink begins a dip.
func (v *vegas) sink(now time.Duration, s standing) {
	bdp, _ := v.sees.estimate(s)
	v.dip.to = max(bdp-v.sees.scaled(v.p.Delta), v.p.SendmeInc)
	v.dip.at, v.dip.left = now, dipRounds
	v.dip.epoch, v.dip.seen = now+v.p.baseAge(), false
	v.rounds, v.run, v.probe.rounds = 0, 0, 0
}

// over takes in a SENDME in a dip, and reports whether that ends it: when the
// window was small for enough rounds, or for one after the path was seen empty.
func (d *dip) over(a ack, v *vegas) bool {
	if a.sent <= d.at || a.cells > d.to {
		return false // the queue of before
	}
	d.left--
	waits := int64(v.sees.rate) * int64(v.sees.delay(min(a.now-a.sent, longestTrip))) / int64(time.Second)
	if d.left > 1 && waits <= int64(v.sees.scaled(v.p.Alpha)/quietShare) {
		d.left = 1
	}
	d.at = a.now
	if d.left > 0 {
		return false
	}
	d.to = 0
	return true
}

// idle reports whether a dip has waited in vain for a SENDME: the application has
// sent nothing, and the path is empty anyway.
func (d *dip) idle(now, rtt time.Duration) bool { return now-d.at > idleTrips*rtt }

// notice looks for a queue that has grown fast: somebody has begun, or probes. Then
// the window is cut and dips.
func (v *vegas) notice(a ack, s standing) bool {
	bdp, queue := v.sees.estimate(s)
	if queue <= v.sees.scaled(v.p.Delta) || v.rounds < v.dip.calm || v.probe.rounds > 0 {
		return false
	}
	v.cwnd = clamp(max(bdp+v.sees.scaled(v.p.Beta), v.cwnd/2), v.p.CwndMin, v.cwnd)
	v.sink(a.now, s)
	v.dip.left = waitRounds
	v.dip.calm = min(calmGrowth*v.dip.calm, mostCalm)
	return true
}

// age looks whether it is time for the base to be looked for again, and if it has
// not shown itself, begins a probe.
func (d *dip) age(now time.Duration, v *vegas) {
	if now < d.epoch {
		return
	}
	delay := v.sees.delay(v.sees.whole.rtt)
	v.sees.age()
	if !d.seen {
		v.probe = probe{1, v.cwnd, delay}
		d.calm = max(d.calm/calmGrowth, leastCalm)
		return
	}
	d.epoch, d.seen = now+v.p.baseAge(), false
}

// swell is a round of a probe.
func (v *vegas) swell(a ack) {
	s := v.sees.whole
	_, queue := v.sees.estimate(s)
	if v.sees.delay(s.rtt) >= v.probe.delay*probeGrowth/4 || v.probe.rounds == probeRounds || v.cwnd >= 2*v.probe.window {
		v.cwnd = v.probe.window
		v.sink(a.now, s)
		return
	}
	v.cwnd = min(v.cwnd+min(queue, v.cwnd/2), v.p.CwndMax)
	v.probe.rounds++
	v.turn(a.now)
}
