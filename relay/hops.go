package relay

import (
	"errors"
	"sync"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

// hops is the circuits that have this relay as a hop.
type hops struct {
	mu     sync.Mutex // guards what follows
	all    map[*circuit.Hop]*allowance
	serial uint64 // of the next hop
}

// An allowance is what one circuit may still ask for: streams and lookups, as a
// token bucket. hops.mu guards it.
type allowance struct {
	serial uint64
	tokens float64
	last   time.Time
}

// add counts h, unless it is gone already.
func (s *hops) add(h *circuit.Hop) {
	s.mu.Lock()
	s.serial++
	s.all[h] = &allowance{serial: s.serial, tokens: streamBurst, last: time.Now()}
	s.mu.Unlock()
	select {
	case <-h.Done(): // HopClosed may have come before
		s.remove(h)
	default:
	}
}

func (s *hops) remove(h *circuit.Hop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, h)
}

// serialOf returns a number that tells h apart from other hops, and from links:
// see creates.serialOf.
func (s *hops) serialOf(h *circuit.Hop) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	const hop = 1 << 63
	if a := s.all[h]; a != nil {
		return hop | a.serial
	}
	return hop
}

func (s *hops) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// allow takes one token of h's.
func (s *hops) allow(h *circuit.Hop, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.all[h]
	if a == nil {
		return false
	}
	a.tokens = min(streamBurst, a.tokens+streamRate*max(0, now.Sub(a.last).Seconds()))
	a.last = now
	if a.tokens < 1 {
		return false
	}
	a.tokens--
	return true
}

// HopClosed forgets a circuit. One that broke the protocol is counted: honest
// neighbours never cause it.
func (r *Relay) HopClosed(h *circuit.Hop) {
	r.hops.remove(h)
	if d, ok := errors.AsType[*circuit.DestroyError](h.Err()); ok && d.Hop < 0 && d.Reason == cell.ReasonProtocol {
		r.counts.refuse(causeProtocol)
	}
}
