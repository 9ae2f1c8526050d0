package work

import "time"

const ( // our choice
	// restShare is how many times what its entries cost a worker rests while the node
	// is busy. Workers are half of the processors by default, so that a quarter of
	// that half stays for entries: an eighth of all.
	restShare = 3
	// leastRest is what is saved up before a worker rests: sleeping costs too, and a
	// handful of entries after a pause need none.
	leastRest = 5 * time.Millisecond
)

// A debt is the rest that one worker owes. It has no clock.
type debt struct {
	owed time.Duration
	last time.Time // when an entry was done last
}

// add returns how long the worker rests now, after an entry that has cost so much. What
// it idled since the last one, resting or for want of entries, is paid.
func (d *debt) add(now time.Time, cost time.Duration, busy bool) time.Duration {
	idle := now.Sub(d.last) - cost
	d.last = now
	d.owed = max(0, d.owed-max(0, idle))
	if !busy {
		return 0
	}
	if d.owed += restShare * cost; d.owed < leastRest {
		return 0
	}
	return d.owed
}
