package linktest

import "time"

const ( // bytes
	segmentBytes = 1460    // what travels at a time: a segment of TCP on Ethernet
	windowBytes  = 4 << 20 // that have arrived unread before the writer waits: a receive window
)

// A Line is what one direction of a connection in memory does to its bytes. The zero
// value carries them at once.
type Line struct {
	Delay  time.Duration // from the end of a segment's sending to its arrival
	Rate   int           // bytes per second; 0: no limit
	Buffer int           // bytes written and not sent before the writer waits, where the connection's LimitUnsent does not say less; used with Rate
}

// time returns how long n bytes take to be sent.
func (l Line) time(n int) time.Duration {
	if l.Rate == 0 {
		return 0
	}
	return time.Duration(n) * time.Second / time.Duration(l.Rate)
}

// under is what one direction has on its line.
type under struct {
	segments []segment // in the order of their arrival
	free     time.Time // when all that is written has been sent
	timer    *time.Timer
}

// A segment is bytes on their way; none stand for the end.
type segment struct {
	bytes []byte
	at    time.Time // of arrival
}

// lineRoom returns how many bytes the line takes now, of n that are to be written.
// If it takes none, the writer is woken when it does. mu is held.
func (h *half) lineRoom(n int, now time.Time) int {
	if h.line.Rate == 0 {
		return n
	}
	unsent := 0
	if wait := h.under.free.Sub(now); wait > 0 {
		unsent = int(wait * time.Duration(h.line.Rate) / time.Second)
	}
	buffer := h.line.Buffer
	if h.unsent > 0 {
		buffer = min(buffer, h.unsent)
	}
	want := min(n, segmentBytes)
	if room := buffer - unsent; room >= want {
		return room
	}
	time.AfterFunc(h.line.time(unsent+want-buffer)+time.Microsecond, h.wake)
	return 0
}

// limitUnsent sets the limit.
func (h *half) limitUnsent(bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unsent = bytes
}

// wake has who waits look again.
func (h *half) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.change.Broadcast()
}

// depart puts b on the line, or the end if it is empty. mu is held.
func (h *half) depart(b []byte, now time.Time) {
	u := &h.under
	if u.free.Before(now) {
		u.free = now
	}
	for first := true; first || len(b) > 0; first = false {
		n := min(len(b), segmentBytes)
		u.free = u.free.Add(h.line.time(n))
		u.segments = append(u.segments, segment{append([]byte(nil), b[:n]...), u.free.Add(h.line.Delay)})
		b = b[n:]
	}
	if u.timer == nil {
		u.timer = time.AfterFunc(u.segments[0].at.Sub(now), h.arrive)
	}
}

// arrive is called by the timer: what is due can be read from now on.
func (h *half) arrive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	u, now := &h.under, time.Now()
	for len(u.segments) > 0 && !u.segments[0].at.After(now) {
		s := u.segments[0]
		u.segments = u.segments[1:]
		h.buf = append(h.buf, s.bytes...)
		h.ended = h.ended || len(s.bytes) == 0
	}
	u.timer = nil
	if len(u.segments) > 0 && !h.broken {
		u.timer = time.AfterFunc(u.segments[0].at.Sub(now), h.arrive)
	}
	h.change.Broadcast()
}
