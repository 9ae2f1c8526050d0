package ceiling

import (
	"runtime/metrics"
	"time"
)

const ( // our choice
	// notice is how many bytes in one direction wake a guard that sleeps. What
	// they can make a relay hold before it looks is some 50 MB: CREATE cells are
	// 1.5 KB for a circuit whose first window has 70.
	notice = 1 << 20
	// lookEvery is how often a guard looks while bytes move: ten gigabits a second
	// fill 300 MB in it.
	lookEvery = 250 * time.Millisecond
	// busyRate is how many bytes a second are a load, and not the murmur of idle
	// circuits.
	busyRate = 4 << 20
	// settled is how long there must have been no load until the guard looks less
	// often.
	settled = 2 * time.Second
	// Memory is given back when there has been no load for releaseFirst, and once
	// more after releaseAgain: circuits have dropped the keys made ready for
	// their cells by then, and streams their last buffers.
	releaseFirst = 10 * time.Second
	releaseAgain = 40 * time.Second
	// worthwhile is how many bytes more than after the last time, and at least a
	// quarter of that, the process must have for giving back to be worth it.
	worthwhile = 2 << 20
	// What grows slowly, as by many handshakes, is no load: memory is given back for
	// it once in releaseEvery at most, when the process has this many bytes more than
	// after the last time, and at least a half of that.
	slowGrowth   = 8 << 20
	releaseEvery = time.Minute
)

// A usage is what the process has from the system.
type usage struct {
	objects  uint64 // bytes of heap objects, with those that are garbage by now
	retained uint64 // bytes mapped and not given back
}

// read asks the runtime.
func read() usage {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(s)
	return usage{objects: s[0].Value.Uint64(), retained: s[1].Value.Uint64() - s[2].Value.Uint64()}
}

// pace decides when a guard looks and when it gives memory back. It has no clock.
type pace struct {
	limit    uint64
	at       time.Time // of the last step
	moved    uint64    // bytes at the last step
	busy     time.Time // when there was a load last; zero: never
	releases int       // made since then, 2 also where the first was not worth it
	floor    uint64    // retained after the last release; 0: there was none
	freed    time.Time // when that was
}

// A decision is what to do now, and when to decide again; next is 0 when nothing
// has to be done until bytes move.
type decision struct {
	look, release bool
	next          time.Duration
}

// step takes in that moved bytes have passed so far, and what the process uses.
func (p *pace) step(now time.Time, moved uint64, u usage) decision {
	passed := moved - p.moved
	if p.at.IsZero() || passed > 0 && float64(passed) >= busyRate*now.Sub(p.at).Seconds() {
		p.busy, p.releases = now, 0
	}
	p.at, p.moved = now, moved
	d := decision{look: u.objects >= p.limit-p.limit/4}
	quiet := now.Sub(p.busy)
	switch {
	case u.objects >= p.limit/2 || quiet < settled || passed >= notice: // the last: how fast do they come?
		d.next = lookEvery
	case p.releases == 0 && quiet >= releaseFirst:
		d.release, p.releases = p.worthIt(u), 1
		if !d.release {
			p.releases = 2
		}
	case p.releases == 1 && quiet >= releaseAgain:
		d.release = true
		p.releases = 2
	case p.releases == 2 && p.grown(u):
		d.release = now.Sub(p.freed) >= releaseEvery
	}
	if d.release {
		p.freed = now
	}
	if d.next == 0 {
		d.next = p.nextRelease(quiet)
	}
	if d.next == 0 && !d.release && p.grown(u) {
		d.next = max(lookEvery, releaseEvery-now.Sub(p.freed))
	}
	return d
}

// nextRelease returns how long it is until memory may be given back, 0 if it need
// not be any more. The time may have passed while the guard had to look.
func (p *pace) nextRelease(quiet time.Duration) time.Duration {
	switch p.releases {
	case 0:
		return max(lookEvery, releaseFirst-quiet)
	case 1:
		return max(lookEvery, releaseAgain-quiet)
	}
	return 0
}

// worthIt reports whether the process has grown since memory was given back.
func (p *pace) worthIt(u usage) bool {
	return p.floor == 0 || u.retained >= p.floor+max(worthwhile, p.floor/4)
}

// grown reports whether the process has grown much since.
func (p *pace) grown(u usage) bool {
	return p.floor > 0 && u.retained >= p.floor+max(slowGrowth, p.floor/2)
}

// released notes what is left after memory was given back.
func (p *pace) released(u usage) { p.floor = u.retained }
