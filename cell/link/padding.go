package link

import (
	"math/rand/v2"
	"time"
)

// off reports whether no padding is sent.
func (p Padding) off() bool { return p.High <= 0 }

// withDefaults replaces the zero value by the default, a negative one by none, and
// cuts the rest to what the wire can say.
func (p Padding) withDefaults() Padding {
	switch {
	case p.Low < 0 || p.High < 0:
		return Padding{}
	case p == Padding{}:
		return Padding{defaultPadLow, defaultPadHigh}
	}
	p.High = min(p.High, maxPadding).Truncate(time.Millisecond)
	p.Low = min(p.Low, p.High).Truncate(time.Millisecond)
	return p
}

// clamp returns what a relay that would pad by p grants a client that asks for q:
// none if either wants none, else nothing more frequent than p.
func (p Padding) clamp(q Padding) Padding {
	if p.off() || q.off() {
		return Padding{}
	}
	return Padding{max(p.Low, q.Low), max(p.High, q.High)}
}

// draw returns how long after a cell the next PADDING is due.
func (p Padding) draw() time.Duration {
	spread := int64(p.High - p.Low)
	if spread <= 0 {
		return p.Low
	}
	return p.Low + time.Duration(max(rand.Int64N(spread), rand.Int64N(spread)))
}

// pack returns p as one word: milliseconds, low in the upper half.
func (p Padding) pack() uint32 {
	return uint32(p.Low.Milliseconds())<<16 | uint32(p.High.Milliseconds())
}

func unpackPadding(v uint32) Padding {
	return Padding{time.Duration(v>>16) * time.Millisecond, time.Duration(v&0xffff) * time.Millisecond}
}
