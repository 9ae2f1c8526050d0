package authority

import (
	"math"
	"time"
)

const ( // fixed by docs/protocol.md, "Facts": Tor's, so that figures compare
	fadeEvery  = 12 * time.Hour // all sums are multiplied by fade this often: half-life 6.8 days
	fade       = 0.95
	forgetting = 200 // fades after which nothing is left: 0.95^200 < 10⁻⁴
)

const (
	restartSlack = 2 * time.Minute // our choice: how far two descriptors' idea of a start may differ
	failuresDown = 3               // our choice: failed tests in a row before a relay is not Running
)

// A presence is whether a relay was there when last tested.
type presence uint8

const (
	unknown presence = iota // not tested since this authority started
	present
	absent
)

// history is what an authority has seen of one relay: pure bookkeeping of
// seconds, faded so that old ones count less. Time in which the authority did
// not run counts neither for nor against a relay.
type history struct {
	FirstSeen   time.Time // of its first descriptor
	LastReached time.Time // zero: never
	Started     time.Time // by its own word: published - uptime

	Run       float64 // seconds of the run that goes on, not faded
	RunSum    float64 // Σ weight × seconds of runs that ended
	RunWeight float64 // Σ weight of them
	Up        float64 // weighted seconds present
	Known     float64 // weighted seconds present or absent
	Faded     int64   // number of the last fade, in units of fadeEvery from 1970

	state    presence
	counted  time.Time // up to here time is in the sums; zero: not since the start
	failures int       // tests failed in a row
	tests    int       // since the start
}

// count brings the sums up to now, fading them where a boundary is crossed. A
// clock that steps back counts nothing.
func (h *history) count(now time.Time) {
	if now.Before(h.counted) {
		return
	}
	from := h.counted
	if from.IsZero() || h.state == unknown {
		from = now
	}
	h.counted = now
	last := fadeNumber(now)
	for from.Before(now) && h.Faded < last && last-h.Faded <= forgetting {
		h.Faded++
		end := time.Unix(0, 0).Add(time.Duration(h.Faded) * fadeEvery)
		if end.After(from) {
			h.add(min(end.Sub(from), now.Sub(from)))
			from = end
		}
		h.fadeBy(1)
	}
	if n := last - h.Faded; n > 0 {
		h.fadeBy(n)
		h.Faded = last
	}
	if from.Before(now) {
		h.add(now.Sub(from))
	}
}

func fadeNumber(now time.Time) int64 { return now.Unix() / int64(fadeEvery/time.Second) }

func (h *history) add(d time.Duration) {
	switch h.state {
	case present:
		h.Run += d.Seconds()
		h.Up += d.Seconds()
		h.Known += d.Seconds()
	case absent:
		h.Known += d.Seconds()
	}
}

func (h *history) fadeBy(n int64) {
	f := math.Pow(fade, float64(n))
	h.RunSum *= f
	h.RunWeight *= f
	h.Up *= f
	h.Known *= f
}

// reached notes a test that succeeded.
func (h *history) reached(now time.Time) {
	h.count(now)
	h.state, h.LastReached, h.failures = present, now, 0
	h.tests++
}

// missed notes a test that failed: a run ends with the first.
func (h *history) missed(now time.Time) {
	h.count(now)
	h.endRun()
	h.state = absent
	h.failures++
	h.tests++
}

// endRun puts the run that goes on to those that ended.
func (h *history) endRun() {
	if h.Run > 0 {
		h.RunSum += h.Run
		h.RunWeight++
		h.Run = 0
	}
}

// restarted notes, from a descriptor, when the relay says that it started, and
// ends the run if that is another start than the one before. It reports whether
// it is one that was not known.
func (h *history) restarted(now, started time.Time) bool {
	first, another := h.Started.IsZero(), started.Sub(h.Started) > restartSlack
	if !first && another {
		h.count(now)
		h.endRun()
	}
	h.Started = started
	return first || another
}

// moved notes a new address or link key: a run ends, and the relay has to be
// reached there before it is Running.
func (h *history) moved(now time.Time) {
	h.count(now)
	h.endRun()
	h.state, h.LastReached, h.failures, h.tests = unknown, time.Time{}, 0, 0
}

// betweenFailures is the mean of its runs in seconds, weighted.
func (h *history) betweenFailures() float64 {
	if h.Run == 0 && h.RunWeight == 0 {
		return 0
	}
	sum, weight := h.RunSum, h.RunWeight
	if h.Run > 0 {
		sum, weight = sum+h.Run, weight+1
	}
	return sum / weight
}

// fractionUp is the share of known time in which the relay was present.
func (h *history) fractionUp() float64 {
	if h.Known == 0 {
		if h.state == present {
			return 1
		}
		return 0
	}
	return h.Up / h.Known
}

// plausible reports whether the figures are some that this code can have
// written: a damaged file may hold others.
func (h *history) plausible() bool {
	for _, f := range []float64{h.Run, h.RunSum, h.RunWeight, h.Up, h.Known} {
		if f < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
			return false
		}
	}
	return h.Up <= h.Known*(1+1e-9) && h.Faded >= 0
}
