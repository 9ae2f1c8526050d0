package link

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// sources counts what each source has: a source is an IPv4 address or an IPv6 /64.
// Connections of known relays are not counted.
type sources struct {
	links int     // at once
	rate  float64 // handshakes per second
	burst float64

	mu    sync.Mutex
	table map[netip.Prefix]*source
	prune int       // size at which the table is looked through for what it need not hold
	again time.Time // when a full table is looked through next
}

func newSources(l *Limits) *sources {
	return &sources{links: l.SourceLinks, rate: l.SourceRate, burst: float64(l.SourceBurst),
		table: map[netip.Prefix]*source{}, prune: smallTable}
}

// A source is one of them.
type source struct {
	links  int
	tokens float64 // handshakes, as of at
	at     time.Time
}

// A sourceHold is one connection's part of its source's share. A nil one is
// unlimited.
type sourceHold struct {
	all  *sources
	key  netip.Prefix
	once sync.Once
}

// sourceOf returns the source of an address.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // a transport without addresses: all are one source
	}
	return prefix
}

// sourceNumber returns the source of an address as a keyed number.
func (p *Pool) sourceNumber(a netip.Addr) uint64 { return maphash.Comparable(p.seed, sourceOf(a)) }

// hold counts one more connection of a source. It returns nil and false if that is
// one too many.
func (s *sources) hold(a netip.Addr, now time.Time) (*sourceHold, bool) {
	key := sourceOf(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.table[key]
	if src == nil {
		if !s.roomLocked(now) {
			return nil, false
		}
		src = &source{tokens: s.burst, at: now}
		s.table[key] = src
	}
	if src.links >= s.links {
		return nil, false
	}
	src.links++
	return &sourceHold{all: s, key: key}, true
}

// roomLocked makes room for one more source: those that have no connection and all
// their tokens are forgotten.
func (s *sources) roomLocked(now time.Time) bool {
	if len(s.table) < s.prune {
		return true
	}
	if len(s.table) >= maxSources && now.Before(s.again) {
		return false
	}
	for key, src := range s.table {
		src.refill(s, now)
		if src.links == 0 && src.tokens >= s.burst {
			delete(s.table, key)
		}
	}
	s.prune = min(maxSources, max(smallTable, 2*len(s.table)))
	s.again = now.Add(time.Second)
	return len(s.table) < maxSources
}

const smallTable = 64 // our choice: sources, below which the table is not looked through

// refill adds the tokens of the time that has passed.
func (src *source) refill(s *sources, now time.Time) {
	if d := now.Sub(src.at); d > 0 {
		src.tokens = min(s.burst, src.tokens+d.Seconds()*s.rate)
		src.at = now
	}
}

// allow takes a token for one handshake.
func (h *sourceHold) allow(now time.Time) bool {
	if h == nil {
		return true
	}
	h.all.mu.Lock()
	defer h.all.mu.Unlock()
	src := h.all.table[h.key] // there as long as something is held
	src.refill(h.all, now)
	if src.tokens < 1 {
		return false
	}
	src.tokens--
	return true
}

// release ends the hold. Only the first call does something.
func (h *sourceHold) release() {
	if h == nil {
		return
	}
	h.once.Do(func() {
		h.all.mu.Lock()
		defer h.all.mu.Unlock()
		h.all.table[h.key].links--
	})
}
