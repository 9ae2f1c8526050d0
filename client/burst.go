package client

import (
	"math"
	"time"
)

// A demand is what is asked for of one port: when, and how many circuits at once. A
// program that gives each site or each user a circuit of its own takes many in a
// moment, and will do so again; most programs take one now and then.
type demand struct {
	at    time.Time // when the port was last asked for
	since time.Time // what follows is as of then: when a circuit was last taken
	burst float64   // circuits taken of late, each half in burstHalf
	peak  float64   // the largest burst, half in peakHalf
}

// take counts a circuit that was taken out of the stock, or would have been.
func (d *demand) take(now time.Time) {
	passed := now.Sub(d.since)
	d.burst = fade(d.burst, passed, burstHalf) + 1
	d.peak = max(fade(d.peak, passed, peakHalf), d.burst)
	d.since = now
}

// wanted returns how many unused circuits the port is worth.
func (d *demand) wanted(now time.Time) int {
	peak := fade(d.peak, now.Sub(d.since), peakHalf)
	return min(max(portCircuits, int(peak+0.5)), maxStock)
}

// fade returns what is left of x after a while.
func fade(x float64, passed, half time.Duration) float64 {
	return x * math.Exp2(-passed.Seconds()/half.Seconds())
}

// predict notes that a port was asked for.
func (p *pool) predict(port uint16, now time.Time) {
	if port == 0 {
		return
	}
	if p.ports[port] == nil {
		p.ports[port] = &demand{}
	}
	p.ports[port].at = now
	for len(p.ports) > maxPorts {
		oldest := port
		for q, d := range p.ports {
			if d.at.Before(p.ports[oldest].at) {
				oldest = q
			}
		}
		delete(p.ports, oldest)
	}
}

// took notes that an unused circuit was taken for a port.
func (p *pool) took(port uint16, now time.Time) {
	p.taken = now
	if d := p.ports[port]; d != nil {
		d.take(now)
	}
}
