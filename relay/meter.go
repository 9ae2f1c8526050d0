package relay

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tunic/cell/ceiling"
)

const ( // our choice
	// minBurst is the least burst in bytes: two full records of a link, since a
	// record that is larger than the burst could never be sent.
	minBurst = 32 << 10
	// windowSeconds is the length of the average that counts as bandwidth seen:
	// what a relay carried for shorter may have been a buffer that emptied.
	windowSeconds = 10
	// keptDays is how many days of observed bandwidth count.
	keptDays = 5
)

// A meter is one direction of the whole process: the token bucket that all
// links share, and the record of what went through it. Links take tokens for a
// record at a time, in the order in which they ask, so that none can starve
// another. It implements link.Limiter.
type meter struct {
	bucket *rate.Limiter
	gauge  *ceiling.Gauge // counts bytes

	mu     sync.Mutex // guards what follows
	window window
}

// newMeter returns a meter without a limit, which tells g what passes.
func newMeter(g *ceiling.Gauge) *meter {
	return &meter{bucket: rate.NewLimiter(rate.Inf, minBurst), gauge: g}
}

// set changes rate and burst, in bytes/s and bytes. A rate of 0 is none at all,
// a burst of 0 one second of the rate.
func (m *meter) set(perSecond, burst int64) {
	if perSecond <= 0 {
		m.bucket.SetLimit(rate.Inf)
		return
	}
	if burst <= 0 {
		burst = perSecond
	}
	m.bucket.SetBurst(int(min(max(burst, minBurst), 1<<40)))
	m.bucket.SetLimit(rate.Limit(perSecond))
}

// WaitN counts n bytes and waits until they may pass.
func (m *meter) WaitN(ctx context.Context, n int) error {
	m.count(time.Now(), n)
	return m.bucket.WaitN(ctx, n)
}

// AllowN reports whether n bytes may pass now, and counts them if so.
func (m *meter) AllowN(now time.Time, n int) bool {
	if !m.bucket.AllowN(now, n) {
		return false
	}
	m.count(now, n)
	return true
}

// count counts n bytes that pass at now.
func (m *meter) count(now time.Time, n int) {
	m.gauge.Add(n)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.window.add(now, uint64(n))
}

// Burst returns the most bytes that one WaitN may ask for.
func (m *meter) Burst() int { return m.bucket.Burst() }

// best returns the best average of the last days, in bytes/s.
func (m *meter) best(now time.Time) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.window.best(now)
}

// A peak is the best average of one day.
type peak struct {
	Day   int64  // days since 1970, UTC
	Bytes uint64 // per second
}

// A window finds the best average over [windowSeconds] of each of the last
// [keptDays] days. It takes the time as an argument, which must not go back.
type window struct {
	second  int64                 // Unix seconds of the newest bucket
	buckets [windowSeconds]uint64 // bytes by second, modulo
	sum     uint64                // of all buckets
	peaks   [keptDays]peak        // by day, modulo
}

// add counts n bytes that passed at now.
func (w *window) add(now time.Time, n uint64) {
	w.advance(now.Unix())
	w.buckets[w.second%windowSeconds] += n
	w.sum += n
	w.note(w.second, w.sum/windowSeconds)
}

// advance empties the buckets of the seconds that have passed.
func (w *window) advance(second int64) {
	if second <= w.second {
		return
	}
	for s := max(w.second+1, second-windowSeconds+1); s <= second; s++ {
		w.sum -= w.buckets[s%windowSeconds]
		w.buckets[s%windowSeconds] = 0
	}
	w.second = second
}

// note remembers an average, if it is the best of its day.
func (w *window) note(second int64, average uint64) {
	day := second / (24 * 60 * 60)
	p := &w.peaks[day%keptDays]
	if p.Day != day {
		*p = peak{Day: day}
	}
	p.Bytes = max(p.Bytes, average)
}

// best returns the best average of the last days.
func (w *window) best(now time.Time) uint64 {
	var out uint64
	today := now.Unix() / (24 * 60 * 60)
	for _, p := range w.peaks {
		if p.Day > today-keptDays && p.Day <= today {
			out = max(out, p.Bytes)
		}
	}
	return out
}

// history returns the peaks that still count, oldest first.
func (w *window) history(now time.Time) []peak {
	var out []peak
	today := now.Unix() / (24 * 60 * 60)
	for day := today - keptDays + 1; day <= today; day++ {
		if p := w.peaks[day%keptDays]; p.Day == day && p.Bytes > 0 {
			out = append(out, p)
		}
	}
	return out
}

// restore takes up peaks of an earlier run.
func (w *window) restore(peaks []peak, now time.Time) {
	today := now.Unix() / (24 * 60 * 60)
	for _, p := range peaks {
		if p.Day > today-keptDays && p.Day <= today {
			w.note(p.Day*24*60*60, p.Bytes)
		}
	}
}
