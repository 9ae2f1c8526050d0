package admission

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"math"
	"slices"

	"tunic/directory"
	"tunic/directory/keys"
)

// A rank is what the place of a relay in the keep order rests on.
type rank struct {
	relay      int // index
	running    bool
	first, age int
	draw       [sha256.Size]byte
}

// compareKeep is the order in which places are given away: relays that run, the
// one first listed on the earliest day, the one that served longest, the lowest
// draw. Age before everything that can be bought, so that a newcomer never takes
// the place of a relay that runs.
//
// The draw is SHA-256 over the day's shared random value and the identity. It
// decides only among relays of the same day and age, and an identity with a low
// draw cannot be searched for: one chosen before the value is known is an
// independent draw each day, and one made after it was first listed on a later
// day than those it would have to displace.
func compareKeep(a, b *rank) int {
	if a.running != b.running {
		if a.running {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.age, a.age), bytes.Compare(a.draw[:], b.draw[:]))
}

// keepOrder returns the ranks of all relays, the one kept first at the beginning.
func keepOrder(relays []Relay, random directory.Digest) []rank {
	ranks := make([]rank, len(relays))
	var in []byte
	for i := range relays {
		r := &relays[i]
		in = append(append(append(in[:0], keys.LabelKeepOrder...), random[:]...), r.ID[:]...)
		ranks[i] = rank{i, r.Flags.Has(directory.Running), r.firstOrNever(), r.Age, sha256.Sum256(in)}
	}
	slices.SortFunc(ranks, func(a, b rank) int { return compareKeep(&a, &b) })
	return ranks
}

// never is the first day of a relay whose first day is not known: it is younger
// than all others.
const never = math.MaxInt

func (r *Relay) firstOrNever() int {
	if r.First <= 0 {
		return never
	}
	return r.First
}
