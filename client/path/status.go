package path

import (
	"slices"
	"time"

	"tunic/directory/keys"
)

// GuardInfo describes a member of the sample to the client's user.
type GuardInfo struct {
	ID        keys.RelayID
	Listed    bool
	Primary   bool
	Reach     Reach
	Sampled   time.Time // set back by a random time, as stored
	Confirmed time.Time // zero: never used
	RetryAt   time.Time // when an unreachable guard is tried again; zero otherwise
}

// List describes the guards in the order in which they are tried, then those
// that are not listed at present.
func (g *Guards) List() []GuardInfo {
	list := make([]GuardInfo, 0, len(g.sample))
	add := func(s *guard) {
		info := GuardInfo{ID: s.id, Listed: s.node >= 0, Primary: slices.Contains(g.primary, s), Reach: s.reach,
			Sampled: s.sampled, Confirmed: s.confirmed}
		if s.reach == Unreachable {
			info.RetryAt = s.retryAt
		}
		list = append(list, info)
	}
	for s := range g.ranked {
		add(s)
	}
	for _, s := range g.sample {
		if s.node < 0 {
			add(s)
		}
	}
	return list
}
