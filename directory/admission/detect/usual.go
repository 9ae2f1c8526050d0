package detect

import "math"

const ( // our choice: what is assumed where there is little history
	priorLife  = 250     // days: of that many established relays one arrives a day (2017: 7,300 and 29)
	priorLeast = 20      // relays that a network is taken for at least
	priorHours = 3 * 24  // hours of history that the assumption weighs
	priorShort = 1.0 / 8 // 1/size for windows up to 6 hours: sybil history of Tor, r = 8
	priorLong  = 1.0 / 16
	priorCount = 10 // windows that this weighs
)

// A usual is the model of arrivals: sums over the hours of history, those
// flagged left out.
type usual struct {
	first  int   // hour of the first sum
	events []int // events before hour first+i, flagged hours left out
	clean  []int // hours before it that are not flagged
	prior  float64
}

// newUsual sums a series. flagged says which hours are in a flagged window.
// When more than half of them are, the longest ago count again: a network that
// grows for good is not alarming for ever.
func newUsual(s *series, flagged map[int]bool, established int) *usual {
	u := &usual{first: s.First, events: make([]int, len(s.Counts)+1), clean: make([]int, len(s.Counts)+1)}
	u.prior = float64(max(established, priorLeast)) / (priorLife * 24)
	forgiven := len(flagged) - len(s.Counts)/2
	for i, n := range s.Counts {
		u.events[i+1], u.clean[i+1] = u.events[i], u.clean[i]
		if flagged[s.First+i] {
			if forgiven--; forgiven < 0 {
				continue
			}
		}
		u.events[i+1] += int(n)
		u.clean[i+1]++
	}
	return u
}

// within returns the unflagged events and hours of [from, to).
func (u *usual) within(from, to int) (events, hours int) {
	clamp := func(h int) int { return min(max(h-u.first, 0), len(u.events)-1) }
	a, b := clamp(from), clamp(to)
	return u.events[b] - u.events[a], u.clean[b] - u.clean[a]
}

// A fit is the negative binomial of a window's arrivals.
type fit struct{ mean, size float64 }

// fit fits the arrivals of w hours to the trailing hours before hour at; scale
// is the part of the window that is tested. The variance has three parts:
// Poisson's, what the windows of history have beyond it, and that of the fitted
// rate itself, which is great where there is little history.
func (u *usual) fit(w, at, trailing int, hours float64) fit {
	events, known := u.within(at-trailing, at)
	seen := float64(events) + u.prior*priorHours
	rate := seen / float64(known+priorHours)
	excess := u.excess(w, at, trailing, rate) + 1/(seen+1)
	return fit{mean: rate * hours, size: 1 / excess}
}

// excess estimates 1/size from disjoint windows by the method of moments.
func (u *usual) excess(w, at, trailing int, rate float64) float64 {
	prior := priorLong
	if w <= 6 {
		prior = priorShort
	}
	n, above, squares := 0.0, 0.0, 0.0
	for to := at; to-w >= max(at-trailing, u.first); to -= w {
		events, hours := u.within(to-w, to)
		if 2*hours < w {
			continue
		}
		mean := rate * float64(hours)
		n++
		above += (float64(events)-mean)*(float64(events)-mean) - mean
		squares += mean * mean
	}
	if squares == 0 {
		return prior
	}
	return (n*max(0, above/squares) + priorCount*prior) / (n + priorCount)
}

// deviation is the standard deviation.
func (f fit) deviation() float64 { return math.Sqrt(f.mean + f.mean*f.mean/f.size) }
