package hybrid

import (
	"hash/maphash"
	"sync"
)

// generation is our choice, in handshakes: two generations of 2^17 keep at
// least the last 131,072 ephemerals, half a minute of all that one core can
// answer, in at most some 5 MB.
const generation = 1 << 17

// A Replay remembers the ephemeral keys of message 1, 8 bytes each under a
// keyed hash, so that a message seen before is not answered again. It remembers
// at least the last 2^17 and at most twice as many; the oldest are forgotten a
// generation at a time. The zero value is not ready: use [NewReplay]. It may be
// used by several goroutines.
type Replay struct {
	seed maphash.Seed

	mu       sync.Mutex // guards what follows
	current  map[uint64]struct{}
	previous map[uint64]struct{}
	limit    int
}

// NewReplay returns an empty memory.
func NewReplay() *Replay { return newReplay(generation) }

func newReplay(limit int) *Replay {
	return &Replay{seed: maphash.MakeSeed(), current: make(map[uint64]struct{}), limit: limit}
}

// Seen reports whether e is in the memory, and puts it there. Ask only after
// [Responder.ReadMessage1] has accepted the message: else anybody could fill
// the memory with bytes that cost nothing.
func (r *Replay) Seen(e [32]byte) bool {
	sum := maphash.Bytes(r.seed, e[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.current[sum]; ok {
		return true
	}
	if _, ok := r.previous[sum]; ok {
		return true
	}
	if len(r.current) >= r.limit {
		r.current, r.previous = make(map[uint64]struct{}), r.current
	}
	r.current[sum] = struct{}{}
	return false
}
