package detect

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

const ( // fixed by docs/protocol.md, "Likeness"
	mostBits     = 12  // of one coincidence
	rangeBits    = 12  // of one /24 (2017: two relays of different families share one once in 2^13.9 pairs)
	arrivalBits  = 8   // at most, of arriving in the same hours
	arrivalHours = 3   // hours apart that count as the same
	momentsBits  = 24  // at most, of all restarts, and of all key changes
	mostMoments  = 32  // restarts, and key changes, of one relay that count
	sameMinute   = 1   // minutes apart that count as the same
	lateStart    = 180 // minutes after Seen: earlier starts are the arrival once more
)

func log2(x float64) float64 { return math.Log2(x) }

// measure computes how surprising each value of each trait is: -log2 of the
// share of subnets that have it. Subnets are counted, not relays, so that a
// crowd in few places does not make its own habits common.
func (v *view) measure() {
	order := v.placed()
	for a := range traits {
		v.counts[a] = v.count(a)
		v.surprise[a] = v.share(a, order)
	}
	for i := range v.surprise[byRange] {
		v.surprise[byRange][i] = rangeBits
	}
	clear(v.surprise[bySubnet]) // no evidence by itself: large hosters hold whole ones
}

// placed lists the subjects by subnet; one whose place is not known has one of
// its own.
func (v *view) placed() []int32 {
	order := make([]int32, len(v.profiles))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		return cmp.Compare(v.profiles[a].values[bySubnet], v.profiles[b].values[bySubnet])
	})
	return order
}

// count counts the subjects by value of a trait.
func (v *view) count(a trait) []int32 {
	var counts []int32
	for i := range v.profiles {
		x := v.profiles[i].values[a]
		if x == unknown {
			continue
		}
		for int(x) >= len(counts) {
			counts = append(counts, 0)
		}
		counts[x]++
	}
	return counts
}

// share measures one trait. order is by subnet.
func (v *view) share(a trait, order []int32) []float32 {
	with := make([]int32, len(v.counts[a])) // subnets by value
	last := make([]int32, len(with))        // where the value was counted last, plus 2
	places, lastPlace := 0, int32(0)
	for _, i := range order {
		value, place := v.profiles[i].values[a], v.profiles[i].values[bySubnet]
		if value == unknown {
			continue
		}
		if place == unknown || place+2 != lastPlace {
			places++
		}
		if place == unknown || last[value] != place+2 {
			with[value]++
		}
		last[value], lastPlace = place+2, place+2
	}
	bits := make([]float32, len(with))
	for value, n := range with {
		bits[value] = float32(weight[a] * surpriseOf(int(n), places))
	}
	return bits
}

// surpriseOf is -log2(n/of), at most mostBits.
func surpriseOf(n, of int) float64 {
	if n == 0 || of == 0 {
		return 0
	}
	return min(mostBits, max(0, log2(float64(of)/float64(n))))
}

// measureMoments notes for each restart, or key change, how many subnets had one
// in the same minute.
func (v *view) measureMoments(of func(*Subject) []int64, into func(*profile) *[]moment) {
	type happening struct {
		minute int64
		place  int32
	}
	var all []happening
	for i := range v.subjects {
		list := momentsOf(&v.subjects[i], of(&v.subjects[i]))
		place := v.profiles[i].values[bySubnet]
		if place == unknown {
			place = -2 - int32(i)
		}
		for _, m := range list {
			all = append(all, happening{m, place})
			*into(&v.profiles[i]) = append(*into(&v.profiles[i]), moment{minute: m})
		}
	}
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b happening) int {
		return cmp.Or(cmp.Compare(a.minute, b.minute), cmp.Compare(a.place, b.place))
	})
	all = slices.Compact(all)
	at := map[int64]int{} // subnets by minute
	for _, h := range all {
		at[h.minute]++
	}
	places := v.places()
	for i := range v.profiles {
		list := *into(&v.profiles[i])
		for k := range list {
			m := list[k].minute
			list[k].bits = float32(surpriseOf(min(places, at[m-1]+at[m]+at[m+1]), places))
		}
	}
}

// places counts the subnets; subjects whose place is not known count one each.
func (v *view) places() int {
	n := len(v.counts[bySubnet])
	for i := range v.profiles {
		if v.profiles[i].values[bySubnet] == unknown {
			n++
		}
	}
	return n
}

// momentsOf returns the latest moments, ascending, without those that belong to
// the arrival.
func momentsOf(s *Subject, list []int64) []int64 {
	if len(list) == 0 {
		return nil
	}
	begin := s.Seen.Unix()/60 + lateStart
	list = slices.DeleteFunc(slices.Clone(list), func(m int64) bool { return m < begin })
	slices.Sort(list)
	list = slices.Compact(list)
	return list[max(0, len(list)-mostMoments):]
}

// evidence is what two subjects have in common, in bits.
func (v *view) evidence(i, j int) float64 {
	p, q := &v.profiles[i], &v.profiles[j]
	sum := float32(0)
	for a := range byAS {
		if x := p.values[a]; x == q.values[a] && x != unknown {
			sum += v.surprise[a][x]
		}
	}
	total := float64(sum) + v.placeEvidence(p, q)
	if p.timed && q.timed && max(p.seen-q.seen, q.seen-p.seen) <= arrivalHours*60 {
		total += v.arriving
	}
	if n := sharedBits(p.prefix, q.prefix) - v.chance; n > 0 {
		total += float64(min(n, mostBits))
	}
	return total + coincidences(p.starts, q.starts) + coincidences(p.rotations, q.rotations)
}

// placeEvidence is that of addresses: the range and how near they are in it, else
// the autonomous system.
func (v *view) placeEvidence(p, q *profile) float64 {
	if x := p.values[byRange]; x != unknown && x == q.values[byRange] {
		if !p.hasAddr {
			return rangeBits
		}
		apart := float64(max(p.addr, q.addr) - min(p.addr, q.addr))
		return rangeBits + max(0, 8-log2(2*apart+1))
	}
	if x := p.values[byAS]; x != unknown && x == q.values[byAS] {
		return float64(v.surprise[byAS][x])
	}
	return 0
}

// coincidences sums the bits of what happened to both in the same minutes.
func coincidences(a, b []moment) float64 {
	sum := 0.0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch d := a[i].minute - b[j].minute; {
		case d > sameMinute:
			j++
		case d < -sameMinute:
			i++
		default:
			sum += float64(min(a[i].bits, b[j].bits))
			i++
			j++
		}
	}
	return min(sum, momentsBits)
}

// common names the classes of evidence that a set shares, the strongest first.
func (v *view) common(set []int) string {
	type share struct {
		name string
		bits float64
	}
	var list []share
	of := spread(set)
	for a := range traits {
		sum, pairs := 0.0, 0
		for k, i := range of {
			for _, j := range of[:k] {
				pairs++
				if x := v.profiles[i].values[a]; x != unknown && x == v.profiles[j].values[a] {
					sum += float64(v.surprise[a][x])
				}
			}
		}
		if mean := sum / float64(max(1, pairs)); mean >= 1 {
			list = append(list, share{traitNames[a], mean})
		}
	}
	slices.SortStableFunc(list, func(a, b share) int { return cmp.Compare(b.bits, a.bits) })
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.name
	}
	if len(names) == 0 {
		return "alike in what they did when"
	}
	return "alike in " + strings.Join(names, ", ")
}
