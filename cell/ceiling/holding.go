package ceiling

import (
	"cmp"
	"slices"
	"time"
)

// A Holding is what one circuit, stream or link keeps in memory and could be rid
// of.
type Holding struct {
	Bytes  int64
	Oldest time.Duration // how long the oldest of it has waited
	End    func()        // drops it, and ends what it belongs to
}

// Excess returns what to end so that base and the rest are at most nine tenths of
// limit, or all of it: first what has waited longest. Age, not size: a size could
// be kept small in many circuits (the Sniper attack). It sorts all.
func Excess(all []Holding, base, limit int64) []Holding {
	total := base
	for _, h := range all {
		total += h.Bytes
	}
	if total <= limit {
		return nil
	}
	slices.SortFunc(all, func(a, b Holding) int { return cmp.Compare(b.Oldest, a.Oldest) })
	n := 0
	for ; n < len(all) && total > limit-limit/10; n++ {
		total -= all[n].Bytes
	}
	return all[:n]
}
