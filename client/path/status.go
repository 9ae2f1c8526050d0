package path

import (
	"slices"
	"time"

	"tunic/directory/keys"
)

// GuardInfo describes a member of the sample to the client's user.
type GuardInfo struct {
	ID        keys.RelayID
	Listed    bool // it may be used by what the consensus says
	Fit       bool // and would be drawn today
	Primary   bool
	Reach     Reach
	Expires   time.Time // the end of its life
	Confirmed time.Time // zero: never used; set back by a random time, as stored
	RetryAt   time.Time // when an unreachable guard is tried again; zero otherwise
	Cohort    string    // first day of the epoch in which it was first listed; "" if that says nothing any more
}

// List describes the guards in the order in which they are tried, then those
// that are not listed at present.
func (g *Guards) List() []GuardInfo {
	list := make([]GuardInfo, 0, len(g.sample))
	add := func(s *guard) {
		info := GuardInfo{ID: s.id, Listed: s.listed(), Fit: s.fit, Primary: slices.Contains(g.primary, s), Reach: s.reach(),
			Expires: s.expires.time(), Confirmed: s.confirmed.time()}
		if s.node >= 0 && g.view.nodes[s.node].cohort != 0 {
			info.Cohort = g.view.cohortName(g.view.nodes[s.node].cohort)
		}
		if s.reach() == Unreachable {
			info.RetryAt = s.contact.retryAt
		}
		list = append(list, info)
	}
	for s := range g.ranked {
		add(s)
	}
	for _, s := range g.sample {
		if !s.listed() {
			add(s)
		}
	}
	return list
}
