package relay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const ( // our choice; [T] protocol.md, "Denial of service" has Tor's
	strangerRate  = 3  // circuits a second and address of clients (T)
	strangerBurst = 90 // circuits at once (T)
	// In networks with private addresses all nodes and clients may share one.
	privateRate  = 1000
	privateBurst = 10_000
	// maxSources is how many addresses are remembered; beyond, the one longest
	// unheard of is forgotten, which gives it a full bucket again. 3 MiB.
	maxSources = 1 << 15
)

// A sourceLimit bounds how many circuits clients of one address begin: a token
// bucket for each IPv4 address and each IPv6 /64.
type sourceLimit struct {
	rate, burst float64

	mu      sync.Mutex // guards what follows
	buckets *simplelru.LRU[netip.Prefix, *bucket]
}

type bucket struct {
	tokens float64
	last   time.Time
}

func newSourceLimit(rate, burst float64) *sourceLimit {
	l, err := simplelru.NewLRU[netip.Prefix, *bucket](maxSources, nil)
	if err != nil {
		panic("relay: " + err.Error()) // only for a size below 1
	}
	return &sourceLimit{rate: rate, burst: burst, buckets: l}
}

// allow takes one token of a's bucket, if there is one.
func (s *sourceLimit) allow(a netip.Addr, now time.Time) bool {
	key := sourceOf(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buckets.Get(key)
	if !ok {
		b = &bucket{tokens: s.burst, last: now}
		s.buckets.Add(key, b)
	}
	b.tokens = min(s.burst, b.tokens+s.rate*max(0, now.Sub(b.last).Seconds()))
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// sourceOf returns what counts as one source: the least that a provider hands
// to one customer.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Prefix for the zero Addr: one source for all that have none
	return p
}
