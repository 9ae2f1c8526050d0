package detect

import (
	"maps"
	"slices"
)

// A stratum is a part of the arrivals that is counted by itself: those of one
// subnet, of one autonomous system, or of one policy and port. A batch too small
// to show among all arrivals shows in its part. The version is no stratum: after
// a release every newcomer has the new one.
type stratum uint64

// strata lists those that a subject belongs to.
func (v *view) strata(i int) []stratum {
	p := &v.profiles[i].values
	list := make([]stratum, 0, 3)
	if p[bySubnet] != unknown {
		list = append(list, stratum(p[bySubnet])<<2)
	}
	if p[byAS] != unknown {
		list = append(list, stratum(p[byAS])<<2|1)
	}
	if p[byPort] != unknown {
		list = append(list, (stratum(p[byPolicy])<<32|stratum(p[byPort]))<<2|2)
	}
	return list
}

// A census is how the relays of longer standing divide into strata.
type census struct {
	having map[stratum]int
	all    int
}

// census counts those seen before an hour, and founders.
func (v *view) census(hour int) census {
	c := census{having: map[stratum]int{}}
	for i := range v.subjects {
		if s := &v.subjects[i]; !v.founder(s) && hourOf(s.Seen) >= hour {
			continue
		}
		c.all++
		for _, x := range v.strata(i) {
			c.having[x]++
		}
	}
	return c
}

const ( // our choice
	partWindows = 4    // the first of windows: over weeks the shares themselves shift
	partDoubt   = 0.25 // added to 1/size: newcomers are not made quite as those before them
)

// of is the fit of a stratum's arrivals where those of all have the fit f: the
// share is as uncertain as the few relays are that it is known from.
func (c census) of(x stratum, f fit) fit {
	n := float64(c.having[x]) + 0.5
	share := min(1, n/float64(c.all+1))
	return fit{mean: f.mean * share, size: 1 / (1/f.size + 1/n + partDoubt)}
}

// byStratum lists the hours of the events in each stratum, ascending.
func (v *view) byStratum(list []arrival) map[stratum][]int {
	hours := map[stratum][]int{}
	for _, a := range list {
		if a.event {
			for _, x := range v.strata(a.subject) {
				hours[x] = append(hours[x], a.hour)
			}
		}
	}
	return hours
}

// flagParts tests the strata, each at the events in the hours [from, to), over
// windows that end with the event. The level is divided by the number of strata.
func (t *State) flagParts(v *view, list []arrival, u *usual, c census, from, to int) {
	trailing := v.rules.Detection.TrailingDays * 24
	hours := v.byStratum(list)
	most := level(v.rules) - log2(float64(max(1, len(hours))))
	least := v.rules.Detection.Least
	fits := [partWindows]fit{}
	for k, w := range windows[:partWindows] {
		fits[k] = u.fit(w, to-w, trailing, float64(w))
	}
	for _, x := range slices.Sorted(maps.Keys(hours)) {
		at := hours[x]
		for last := len(at) - 1; last >= least-1 && at[last] >= from; last-- {
			for k, w := range windows[:partWindows] {
				first, _ := slices.BinarySearch(at, at[last]-w+1)
				f := c.of(x, fits[k])
				if n := last - first + 1; n >= least && log2Tail(n, f.mean, f.size) < most {
					t.mark(episode{From: max(0, at[last]+1-w), To: at[last] + 1, Window: w, Part: true, Bits: min(1e6, -log2Tail(n, f.mean, f.size))})
					break
				}
			}
		}
	}
}

// oddsOf returns for each unit log2 of how much likelier it is of a batch than
// honest by numbers alone: by those of all arrivals, or of a stratum that has far
// too many. f is the fit of all of them.
func (v *view) oddsOf(units []int, f fit, c census) []float64 {
	n := float64(len(units))
	all := excess(n, max(1, f.supposed()))
	having := map[stratum]int{}
	for _, i := range units {
		for _, x := range v.strata(i) {
			having[x]++
		}
	}
	most := level(v.rules) - log2(float64(max(1, len(having))))
	parts := make(map[stratum]float64, len(having))
	for x, m := range having {
		part := c.of(x, f)
		parts[x] = all
		if m >= v.rules.Detection.Least && log2Tail(m, part.mean, part.size) < most {
			parts[x] = max(all, excess(float64(m), max(0.5, part.supposed())))
		}
	}
	odds := make([]float64, len(units))
	for k, i := range units {
		odds[k] = all
		for _, x := range v.strata(i) {
			odds[k] = max(odds[k], parts[x])
		}
	}
	return odds
}

// excess is log2 of the ratio of those of n beyond the honest to the honest.
func excess(n, honest float64) float64 { return log2(max(n-honest, n/50) / honest) }

// supposed is how many honest arrivals are supposed.
func (f fit) supposed() float64 { return f.mean + honestDeviations*f.deviation() }
