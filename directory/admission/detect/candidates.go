package detect

import (
	"cmp"
	"slices"
)

const ( // our choice: what bounds the work, whatever is registered
	fewSubjects = 256 // all pairs are compared
	rareBits    = 5   // surprise from which on sharing a value makes two a pair to compare,
	rareMoment  = 2   // of a moment;
	mostPeers   = 64  // subjects compared for one value: the most alike, where more have it. Of a value that fewer have all
	mostRare    = 4   // moments of one subject that are looked up
	prefixPeers = 8   // neighbours by identity
)

// An index finds the subjects that share something rare with one.
type index struct {
	v       *view
	lists   [][]int32 // subjects in an order in which those who share a value follow each other
	place   [][]int32 // by list and subject: where it is in the list, -1 not
	first   [][]int32 // by list and subject: where its value begins
	last    [][]int32 // and ends
	seen    []int32   // by the time of arrival
	seenAt  []int32
	starts  []mention
	rotated []mention
	stamp   []int32 // by subject: for whom it was listed last, plus 1
}

// A mention is one rare moment of a subject.
type mention struct {
	minute  int64
	subject int32
}

// newIndex sorts the subjects by each trait; among those of equal value the ones
// of like make are neighbours.
func newIndex(v *view) *index {
	x := &index{v: v, stamp: make([]int32, len(v.subjects))}
	if len(v.subjects) <= fewSubjects {
		return x
	}
	alike := v.alike()
	for a := byVersion; a <= byRange; a++ {
		x.addTrait(a, alike)
	}
	x.addArrivals()
	x.starts = mentions(v, func(p *profile) []moment { return p.starts })
	x.rotated = mentions(v, func(p *profile) []moment { return p.rotations })
	return x
}

// alike lists the subjects so that those of equal traits are together.
func (v *view) alike() []int32 {
	order := make([]int32, len(v.profiles))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		p, q := &v.profiles[a], &v.profiles[b]
		for _, t := range [...]trait{byPolicy, byPort, byVersion, byNickname, bySubnet} {
			if c := cmp.Compare(p.values[t], q.values[t]); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(p.addr, q.addr), cmp.Compare(a, b))
	})
	return order
}

// addTrait lists the subjects whose value of a is rare, by value.
func (x *index) addTrait(a trait, alike []int32) {
	counts, rare := x.v.counts[a], x.v.surprise[a]
	begin := make([]int32, len(counts)+1)
	for value, n := range counts {
		if n < 2 || n > mostPeers && float64(rare[value]) < rareBits*weight[a] {
			n = 0
		}
		begin[value+1] = begin[value] + n
	}
	n := len(x.v.profiles)
	list := make([]int32, begin[len(counts)])
	place, first, last := make([]int32, n), make([]int32, n), make([]int32, n)
	next := slices.Clone(begin)
	for _, i := range alike {
		place[i] = -1
		value := x.v.profiles[i].values[a]
		if value == unknown || begin[value] == begin[value+1] {
			continue
		}
		place[i], first[i], last[i] = next[value], begin[value], begin[value+1]
		list[next[value]] = i
		next[value]++
	}
	x.lists, x.place = append(x.lists, list), append(x.place, place)
	x.first, x.last = append(x.first, first), append(x.last, last)
}

// addArrivals lists the subjects by the time at which they were first seen.
func (x *index) addArrivals() {
	x.seenAt = make([]int32, len(x.v.profiles))
	for i := range x.v.profiles {
		if x.v.profiles[i].timed {
			x.seen = append(x.seen, int32(i))
		}
		x.seenAt[i] = -1
	}
	slices.SortStableFunc(x.seen, func(a, b int32) int {
		return cmp.Compare(x.v.profiles[a].seen, x.v.profiles[b].seen)
	})
	for at, i := range x.seen {
		x.seenAt[i] = int32(at)
	}
}

// mentions lists the latest rare moments of all, by minute.
func mentions(v *view, of func(*profile) []moment) []mention {
	var all []mention
	for i := range v.profiles {
		n := 0
		for _, m := range slices.Backward(of(&v.profiles[i])) {
			if m.bits >= rareMoment && n < mostRare {
				all = append(all, mention{m.minute, int32(i)})
				n++
			}
		}
	}
	slices.SortFunc(all, func(a, b mention) int {
		return cmp.Or(cmp.Compare(a.minute, b.minute), cmp.Compare(a.subject, b.subject))
	})
	return all
}

// peers calls f once for each subject that may be like i.
func (x *index) peers(i int, f func(j int)) {
	tell := func(j int32) {
		if int(j) != i && x.stamp[j] != int32(i)+1 {
			x.stamp[j] = int32(i) + 1
			f(int(j))
		}
	}
	if len(x.v.subjects) <= fewSubjects {
		for j := range x.v.subjects {
			tell(int32(j))
		}
		return
	}
	for l, list := range x.lists {
		if at := x.place[l][i]; at >= 0 {
			near(list[x.first[l][i]:x.last[l][i]], int(at-x.first[l][i]), tell)
		}
	}
	if at := x.seenAt[i]; at >= 0 {
		near(x.seen, int(at), tell)
	}
	meet(x.starts, x.v.profiles[i].starts, tell)
	meet(x.rotated, x.v.profiles[i].rotations, tell)
	for j := max(0, i-prefixPeers); j < min(len(x.v.subjects), i+prefixPeers+1); j++ {
		if sharedBits(x.v.profiles[i].prefix, x.v.profiles[j].prefix) > x.v.chance {
			tell(int32(j))
		}
	}
}

// near calls f for the subjects next to list[at].
func near(list []int32, at int, f func(int32)) {
	from := max(0, min(at-mostPeers/2, len(list)-mostPeers))
	for _, j := range list[from:min(len(list), from+mostPeers)] {
		f(j)
	}
}

// meet calls f for the subjects to which something happened in the minutes of
// own rare moments.
func meet(all []mention, own []moment, f func(int32)) {
	n := 0
	for _, m := range slices.Backward(own) {
		if m.bits < rareMoment {
			continue
		}
		if n++; n > mostRare {
			return
		}
		at, _ := slices.BinarySearchFunc(all, m.minute-sameMinute, func(a mention, minute int64) int { return cmp.Compare(a.minute, minute) })
		for k := at; k < min(len(all), at+mostPeers) && all[k].minute <= m.minute+sameMinute; k++ {
			f(all[k].subject)
		}
	}
}
