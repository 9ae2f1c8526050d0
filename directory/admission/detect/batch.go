package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

const ( // fixed by docs/protocol.md, "Batches"
	honestDeviations = 2      // above the usual: as many honest arrivals are supposed
	batchBits        = 1      // evidence from which on an arrival belongs to the batch
	earlyHours       = 7 * 24 // of history, before which numbers alone decide nothing
	earlyBits        = 4      // evidence that an arrival needs then
	leastTrait       = -3     // bits that one trait says against it at most
	leastShared      = 0.5    // other members, by probability, that a value is shared with
	rounds           = 8      // of the estimate
	leastStrange     = 0.02   // share of a batch's values that are anybody's, at least
	fewReference     = 200    // newcomers; with fewer of them all are the reference
	mostBins         = 48     // parts of the time of an episode
)

// A batch is the question who of an episode's arrivals came together. Each
// arrival (a family is one) is either of the batch, whose values of each trait
// are the other members' or anybody's, or honest, whose values are anybody's.
type batch struct {
	v       *view
	units   []int     // subjects
	values  [][]int32 // by unit: traits, and the part of the time
	odds    []float64 // by unit: log2 of batch to honest before anything is compared
	anybody [traits + 1][]float64
	strange [traits + 1]float64 // share of the batch's values that are anybody's
	belongs []float64           // by unit: probability
	bits    []float64           // by unit: evidence
	shared  [traits + 1]float64 // bits that each trait adds, over the batch
}

// weightIn is what a bit of a trait counts in a batch; the last is the time.
func weightIn(a int) float64 {
	if a == int(traits) {
		return 1
	}
	return weight[a]
}

// newBatch asks about the units, which arrived in the given parts of the time.
func (v *view) newBatch(units []int, parts []int32, bins int, odds []float64, reference []int) *batch {
	b := &batch{v: v, units: units, odds: odds, belongs: make([]float64, len(units)), bits: make([]float64, len(units))}
	for k, i := range units {
		b.values = append(b.values, append(slices.Clone(v.profiles[i].values[:]), parts[k]))
		b.belongs[k] = 1 / (1 + math.Exp2(-odds[k]))
	}
	for a := range traits {
		b.anybody[a] = v.anybody(a, reference)
		b.strange[a] = 0.5
	}
	b.strange[traits] = 0.5
	b.anybody[traits] = slices.Repeat([]float64{1 / float64(bins)}, bins)
	return b
}

// anybody is the share of the reference that has each value; one that nobody has
// counts half a subject.
func (v *view) anybody(a trait, reference []int) []float64 {
	share := slices.Repeat([]float64{0.5}, len(v.counts[a]))
	n := 1.0
	for _, i := range reference {
		if x := v.profiles[i].values[a]; x != unknown {
			share[x]++
			n++
		}
	}
	for x := range share {
		share[x] = min(1, share[x]/n)
	}
	return share
}

// members estimates who belongs to the batch and returns the subjects of the
// units with that much evidence at least.
func (b *batch) members(least float64) []int {
	for range rounds {
		clear(b.bits)
		for a := range int(traits) + 1 {
			b.compare(a)
		}
		for k, bits := range b.bits {
			b.belongs[k] = 1 / (1 + math.Exp2(-b.odds[k]-bits))
		}
	}
	var list []int
	for k, i := range b.units {
		if b.bits[k] >= least && b.odds[k]+b.bits[k] >= batchBits {
			list = append(list, i)
		}
	}
	return list
}

// compare adds the evidence of one trait and estimates anew how much of it is
// anybody's. A unit is compared with the others, never with itself.
func (b *batch) compare(a int) {
	having := make([]float64, len(b.anybody[a])) // members by value
	all := 0.0
	for k, values := range b.values {
		if x := values[a]; x != unknown {
			having[x] += b.belongs[k]
			all += b.belongs[k]
		}
	}
	strange, weight := 0.0, 0.0
	b.shared[a] = 0
	for k, values := range b.values {
		x := values[a]
		if x == unknown || all-b.belongs[k] < 1 {
			continue
		}
		own := having[x] - b.belongs[k]
		if own < leastShared { // of relays that are hardly suspected none draws in another
			own = 0
		}
		own /= all - b.belongs[k]
		of := b.strange[a] * b.anybody[a][x]
		p := (1-b.strange[a])*own + of
		bits := weightIn(a) * min(mostBits, max(leastTrait, log2(p/b.anybody[a][x])))
		b.bits[k] += bits
		b.shared[a] += b.belongs[k] * bits
		strange += b.belongs[k] * of / p
		weight += b.belongs[k]
	}
	if weight > 0 {
		b.strange[a] = min(1, max(leastStrange, strange/weight))
	}
}

// likeness names the traits that the batch shares, for people.
func (b *batch) likeness() string {
	var names []string
	members := 0.0
	for _, p := range b.belongs {
		members += p
	}
	for a, sum := range b.shared[:traits] {
		if sum >= members {
			names = append(names, traitNames[a])
		}
	}
	if len(names) == 0 {
		return "alike in the hour"
	}
	return "alike in " + strings.Join(names, ", ")
}

// A stretch is the arrivals of an episode, and of as much time before and after
// it.
type stretch struct {
	from, to int // hours
	width    int // of a part, hours
	units    []int
	hours    []int // in which they arrived
}

func (v *view) stretchOf(e *episode, list []arrival) stretch {
	pad := min(e.Window, 24)
	s := stretch{from: e.From - pad, to: e.To + pad}
	s.width = (s.to - s.from + mostBins - 1) / mostBins
	for _, a := range list {
		if a.event && a.hour >= s.from && a.hour < s.to {
			s.units, s.hours = append(s.units, a.subject), append(s.hours, a.hour)
		}
	}
	return s
}

// parts returns in which part of the time each unit arrived, and how many there
// are.
func (s *stretch) parts() (parts []int32, n int) {
	for _, h := range s.hours {
		parts = append(parts, int32((h-s.from)/s.width))
	}
	return parts, (s.to - s.from + s.width - 1) / s.width
}

// odds returns those of each unit: the episode's own, and those of the time
// around it.
func (s *stretch) odds(v *view, e *episode, u *usual, c census) []float64 {
	odds := make([]float64, len(s.units))
	inside := func(h int) bool { return h >= e.From && h < e.To }
	for _, core := range [...]bool{true, false} {
		hours := float64(e.To - e.From)
		if !core {
			hours = float64(s.to-s.from) - hours
		}
		var units, at []int
		for k, h := range s.hours {
			if inside(h) == core {
				units, at = append(units, s.units[k]), append(at, k)
			}
		}
		f := u.fit(e.Window, s.from, v.rules.Detection.TrailingDays*24, hours)
		for k, o := range v.oddsOf(units, f, c) {
			odds[at[k]] = o
		}
	}
	return odds
}

// batchOf finds the members of an episode's batch, families in full. list is of
// all late arrivals.
func (v *view) batchOf(e *episode, list []arrival, u *usual, c census) (members []int, why string) {
	s := v.stretchOf(e, list)
	least := v.rules.Detection.Least
	if len(s.units) < least {
		return nil, ""
	}
	parts, bins := s.parts()
	b := v.newBatch(s.units, parts, bins, s.odds(v, e, u, c), v.reference(s.from, s.to))
	needed := math.Inf(-1)
	if _, known := u.within(e.From-v.rules.Detection.TrailingDays*24, e.From); known < earlyHours {
		needed = earlyBits
	}
	chosen := map[int]bool{}
	for _, i := range b.members(needed) {
		chosen[i] = true
	}
	if len(chosen) < least { // families count once here too
		return nil, ""
	}
	for _, a := range list {
		if chosen[list[a.unit].subject] && a.hour >= s.from && a.hour < s.to {
			members = append(members, a.subject)
		}
	}
	slices.Sort(members)
	f := u.fit(e.Window, s.from, v.rules.Detection.TrailingDays*24, float64(s.to-s.from))
	return members, fmt.Sprintf("%d arrivals in %d hours where %.1f are usual; %s", len(s.units), s.to-s.from, f.mean, b.likeness())
}

// reference lists whom an episode's arrivals are compared with: those who came
// lately, but not in its hours, or if these are few all who did not.
func (v *view) reference(from, to int) []int {
	var recent, all []int
	for i := range v.subjects {
		s := &v.subjects[i]
		h := hourOf(s.Seen)
		if h >= from && h < to && !v.founder(s) {
			continue
		}
		all = append(all, i)
		if !v.founder(s) && h >= from-v.rules.Detection.TrailingDays*24 {
			recent = append(recent, i)
		}
	}
	if len(recent) >= fewReference {
		return recent
	}
	return all
}
