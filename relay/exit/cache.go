package exit

import (
	"math/rand/v2"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const ( // fixed by docs/protocol.md, "Resolving"
	minTTL = time.Minute // what a client is told, and about how long an answer is kept
	maxTTL = time.Hour
)

const ( // our choice
	cacheSize      = 4096 // answers kept, some 700 bytes each at most: 3 MiB
	answerMemory   = 700
	minAbsence     = 10 * time.Second
	maxAbsence     = time.Minute // a name that has just been registered is not kept away for longer
	defaultAbsence = 30 * time.Second
)

// A question is what one lookup asks.
type question struct {
	name  string // lower case, no final dot
	qtype uint16
}

// A result is what became of a lookup: addresses or names, or err, which is
// errAbsent (final), errUnavailable or errBusy (transient). Those who share a
// lookup share the slices and do not change them.
type result struct {
	addrs []netip.Addr
	names []string
	ttl   time.Duration // clamped, as the client is told
	err   error
}

type cached struct {
	result
	until time.Time
}

// A cache keeps results; when it is full the one used longest ago goes.
type cache struct{ entries *lru.Cache[question, cached] }

func newCache() cache {
	entries, err := lru.New[question, cached](cacheSize)
	if err != nil {
		panic("exit: " + err.Error()) // only for a size below 1
	}
	return cache{entries}
}

func (c cache) get(q question, now time.Time) (result, bool) {
	e, ok := c.entries.Get(q)
	if !ok || !now.Before(e.until) {
		return result{}, false
	}
	return e.result, true
}

// Held returns about how many bytes the answers kept take.
func (e *Exit) Held() int64 { return int64(e.resolver.cache.entries.Len()) * answerMemory }

// put keeps r for its TTL less a drawn part of up to a quarter, so that when an
// entry ends does not say when somebody first asked.
func (c cache) put(q question, r result, now time.Time) {
	keep := r.ttl - rand.N(r.ttl/4+1)
	c.entries.Add(q, cached{r, now.Add(max(keep, minAbsence))})
}
