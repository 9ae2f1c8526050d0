package detect

import (
	"cmp"
	"slices"
	"time"

	"tunic/directory"
)

// windows are the lengths over which arrivals are counted, in hours.
var windows = [...]int{1, 6, 24, 3 * 24, 7 * 24, 30 * 24}

const (
	longest  = 30 * 24         // hours of the longest window
	maxHours = (365 + 31) * 24 // of counts kept: the greatest detect_trailing, and a window
)

// hourOf counts hours from 1970.
func hourOf(t time.Time) int { return int(t.Unix() / 3600) }

// An arrival is a subject that was first seen lately.
type arrival struct {
	subject int // its index
	hour    int
	event   bool // counts: the first of its family in the longest window
	unit    int  // the arrival that stands for its family, an index of arrivals
}

// arrivals lists those who were first seen in the hours [from, to), by hour and
// then in the subjects' order; founders and those of a later time are not among
// them. Members of one family, or of families linked by a common member, are one
// event: the first of them.
func (v *view) arrivals(from, to int) []arrival {
	var list []arrival
	for i := range v.subjects {
		s := &v.subjects[i]
		if h := hourOf(s.Seen); h >= from && h < to && !v.founder(s) {
			list = append(list, arrival{subject: i, hour: h})
		}
	}
	v.spreadDays(list)
	slices.SortFunc(list, func(a, b arrival) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.subject, b.subject))
	})
	v.joinFamilies(list)
	return list
}

// spreadDays gives those whose day alone is known an hour each, evenly over it:
// else a whole day's arrivals would count as one hour's.
func (v *view) spreadDays(list []arrival) {
	perDay := map[int][]int{}
	for i, a := range list {
		if v.subjects[a.subject].DayOnly {
			perDay[a.hour/24] = append(perDay[a.hour/24], i)
		}
	}
	for day, of := range perDay {
		for k, i := range of {
			list[i].hour = day*24 + k*24/len(of)
		}
	}
}

// joinFamilies says which arrivals are one event.
func (v *view) joinFamilies(list []arrival) {
	head := make([]int, len(list)) // union-find; the head is the earliest
	find := func(i int) int {
		for head[i] != i {
			head[i] = head[head[i]]
			i = head[i]
		}
		return i
	}
	first := map[directory.Digest]int{}
	for i, a := range list {
		head[i] = i
		for _, f := range v.subjects[a.subject].Family {
			j, ok := first[f]
			if !ok {
				first[f] = i
				continue
			}
			x, y := find(i), find(j)
			head[max(x, y)] = min(x, y)
		}
	}
	for i := range list {
		list[i].unit = find(i)
		list[i].event = list[i].unit == i
	}
}

// A series is the number of arrivals in each hour. Hours before it began are not
// known.
type series struct {
	First  int      `json:"first"` // the hour of Counts[0]
	Counts []uint16 `json:"counts"`
}

func (s *series) end() int { return s.First + len(s.Counts) }

// extend makes the series cover [from, to), or from where it began before that, as
// far as maxHours allow. What is new counts 0; hours from to on, of a clock that
// was put back, are forgotten.
func (s *series) extend(from, to int) {
	if len(s.Counts) > 0 && s.First < to {
		from = min(from, s.First)
	}
	from = min(max(from, to-maxHours), to)
	counts := make([]uint16, to-from)
	for i, n := range s.Counts {
		if at := s.First + i - from; at >= 0 && at < len(counts) {
			counts[at] = n
		}
	}
	s.First, s.Counts = from, counts
}

// note counts the events; an hour never counts less than before, since relays
// that left were there.
func (s *series) note(list []arrival) {
	fresh := map[int]int{}
	for _, a := range list {
		if a.event {
			fresh[a.hour]++
		}
	}
	for h, n := range fresh {
		if i := h - s.First; i >= 0 && i < len(s.Counts) {
			s.Counts[i] = max(s.Counts[i], uint16(min(n, 1<<16-1)))
		}
	}
}
