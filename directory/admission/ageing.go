package admission

import "tunic/directory/rules"

// An Ageing counts the days that a relay served. The zero value is a relay never
// seen. It is kept on disk as JSON; what [Ageing.Plausible] refuses was not
// written by this code.
//
// A day counts when enough of its observations found the relay up. A day with
// far fewer observations than usual says more about the authority than about
// the relay, and counts neither for it nor against it; so do days without any.
// The caller therefore observes relays that are gone as down, for as long as it
// remembers them.
type Ageing struct {
	Days   int `json:"days,omitempty"`   // served
	Away   int `json:"away,omitempty"`   // days not served since the latest one served
	Frozen int `json:"frozen,omitempty"` // days to serve before one counts again
	Last   int `json:"last,omitempty"`   // the latest day observed, counted from 1970
	Tests  int `json:"tests,omitempty"`  // observations of that day
	Up     int `json:"up,omitempty"`     // those that found the relay up
	Usual  int `json:"usual,omitempty"`  // observations of a usual day
}

const ( // our choice
	// littleOf is the part of the usual observations that a day needs at least to
	// say anything.
	littleOf = 4
	// maxTests is the most observations counted of a day: one a second.
	maxTests = 86_400
	// maxDay is the latest day there is: documents end with the year 2199.
	maxDay = 84_006
)

// Observe takes one test, or one slice of time, of a day. Days before the latest
// one are ignored: the clock was set back.
func (a *Ageing) Observe(day int, up bool, r *rules.Rules) {
	if day < a.Last || day > maxDay {
		return
	}
	if day > a.Last {
		a.finish(r)
		a.Last, a.Tests, a.Up = day, 0, 0
	}
	if a.Tests == maxTests {
		return
	}
	a.Tests++
	if up {
		a.Up++
	}
}

// Age returns the days served, as of today: a day counts when it is over.
func (a *Ageing) Age(today int, r *rules.Rules) int {
	then := *a
	if today > then.Last {
		then.finish(r)
	}
	return then.Days
}

// finish counts the latest day.
func (a *Ageing) finish(r *rules.Rules) {
	tests := a.Tests
	little := tests == 0 || tests*littleOf < a.Usual
	a.Usual = max(tests, a.Usual-(a.Usual+7)/8)
	switch {
	case little:
	case a.Up > 0 && a.Up*1000 >= r.Limits.UptimeOfADay*tests:
		a.serve()
	default:
		a.miss(&r.Limits)
	}
}

// serve counts a day served: towards the age, or towards thawing.
func (a *Ageing) serve() {
	a.Away = 0
	if a.Frozen > 0 {
		a.Frozen--
		return
	}
	a.Days++
}

// miss counts a day not served. After FreezeAfter of them in a row the age is
// frozen: it grows again only when the relay has served as many. After
// ForgetAfter the age is lost as well. Neither ends before a day is served, so
// that who serves more is never younger for it.
func (a *Ageing) miss(l *rules.Limits) {
	a.Away++
	if a.Away >= l.FreezeAfter {
		a.Frozen = l.FreezeAfter
	}
	if a.Away >= l.ForgetAfter {
		a.Days = 0
	}
}

// Plausible reports whether the figures are some that this code can have
// written by that day.
func (a *Ageing) Plausible(today int) bool {
	return a.Last >= 0 && a.Last <= min(today, maxDay) &&
		a.Days >= 0 && a.Days <= a.Last &&
		a.Away >= 0 && a.Away <= a.Last && a.Frozen >= 0 && a.Frozen <= a.Last &&
		a.Up >= 0 && a.Up <= a.Tests && a.Tests <= maxTests &&
		a.Usual >= 0 && a.Usual <= maxTests
}
