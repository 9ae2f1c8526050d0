package path

import (
	"math/rand/v2"
	"slices"
	"time"
)

const ( // fixed by docs/protocol.md, "Choosing a path": delays before an unreachable guard is tried again
	primaryBase = 5 * time.Second
	primaryCap  = 25 * time.Second // so that a returning primary is used again within 30 s
	otherBase   = 150 * time.Second
	otherCap    = 36 * time.Hour
)

// blame notes that the guard could not be reached and draws when it is tried
// again: between the base and three times the last delay, so that the clients
// of a guard that was down do not come back in step (proposal 336).
func (g *Guards) blame(s *guard, now time.Time, rng *rand.Rand) {
	c := s.tried()
	if c.reach == Unreachable && now.Before(c.retryAt) {
		return // several attempts shared one failure
	}
	base, limit := otherBase, otherCap
	if slices.Contains(g.primary, s) {
		base, limit = primaryBase, primaryCap
	}
	upper := min(max(3*c.delay, 2*base), limit)
	c.delay = base
	if upper > base {
		c.delay += time.Duration(rng.Int64N(int64(upper - base)))
	}
	c.reach, c.retryAt = Unreachable, now.Add(c.delay)
}
