package detect

import (
	"slices"

	"tunic/directory"
	"tunic/directory/rules"
)

const (
	hoursPerYear = 8766
	maxEpisodes  = 1000 // our choice: far beyond a year's false alarms of all windows
)

// An episode is a stretch of hours in which more relays arrived than the usual
// rate explains.
type episode struct {
	From   int              `json:"from"` // hours from 1970, [From, To)
	To     int              `json:"to"`
	Window int              `json:"window"` // hours
	Part   bool             `json:"part"`   // only a stratum had too many: its hours are usual otherwise
	Bits   float64          `json:"bits"`   // -log2 of the greatest surprise
	Group  directory.Digest `json:"group"`  // the batch found in it, zero: none yet
}

// level is log2 of the tail probability below which a window is flagged. Each
// window is tested once an hour.
func level(r *rules.Rules) float64 {
	return log2(float64(r.Detection.FalseAlarms) / 1000 / hoursPerYear)
}

// flag tests all windows that end in the hours [from, to), the shortest first:
// what a short window explains does not count in a longer one.
func (t *State) flag(from, to int, established int, r *rules.Rules) {
	flagged := t.flagged()
	u := newUsual(&t.Arrivals, flagged, established)
	trailing := r.Detection.TrailingDays * 24
	for end := from + 1; end <= to; end++ {
		for _, w := range windows {
			events, hours := u.within(end-w, end)
			if hours == 0 || events < r.Detection.Least {
				continue
			}
			f := u.fit(w, end-w, trailing, float64(hours))
			tail := log2Tail(events, f.mean, f.size)
			if tail >= level(r) {
				continue
			}
			t.mark(episode{From: end - w, To: end, Window: w, Bits: min(-tail, 1e6)})
			u = newUsual(&t.Arrivals, t.flagged(), established)
		}
	}
}

// mark adds an episode, or lengthens the one of equal window that it touches.
func (t *State) mark(e episode) {
	for i := range t.Episodes {
		o := &t.Episodes[i]
		if o.Window == e.Window && o.Part == e.Part && e.From <= o.To && o.From <= e.To && max(o.To, e.To)-min(o.From, e.From) <= longest {
			o.From, o.To, o.Bits = min(o.From, e.From), max(o.To, e.To), max(o.Bits, e.Bits)
			return
		}
	}
	t.Episodes = append(t.Episodes, e)
	if over := len(t.Episodes) - maxEpisodes; over > 0 {
		t.Episodes = slices.Delete(t.Episodes, 0, over)
	}
}

// flagged is the set of hours in which all arrivals were too many.
func (t *State) flagged() map[int]bool {
	m := map[int]bool{}
	for _, e := range t.Episodes {
		if e.Part {
			continue
		}
		for h := max(e.From, t.Arrivals.First); h < e.To; h++ {
			m[h] = true
		}
	}
	return m
}

// covered reports whether an episode of a part lies in one of all arrivals, whose
// batch is found with an eye to parts as well.
func (t *State) covered(e *episode) bool {
	return e.Part && slices.ContainsFunc(t.Episodes, func(o episode) bool {
		return !o.Part && o.From <= e.From && e.To <= o.To
	})
}
