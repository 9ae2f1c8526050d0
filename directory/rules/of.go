package rules

import (
	"slices"
	"strings"
	"time"

	"tunic/directory"
)

// Of returns the rules that parameters (ascending by name, as in documents) and
// relaxations give. age is the network's at the time judged. A parameter counts
// as it is, whatever is relaxed, but for its bounds.
func Of(params []directory.Param, relaxed []string, age time.Duration) *Rules {
	r := &Rules{Stretch: unstretched}
	young := slices.Contains(relaxed, Young)
	small, test := slices.Contains(relaxed, Small), slices.Contains(relaxed, Test)
	for _, e := range r.table() {
		*e.field = e.value
		if small || young && r.ofYoung(e.field) {
			*e.field = e.small
		}
		if test {
			*e.field = e.test
		}
		if v, ok := param(params, e.name); ok {
			*e.field = int(min(max(v, int64(e.least)), int64(e.most)))
		}
	}
	r.reconcile()
	if young {
		r.Stretch = stretch(r.longest(), age)
	}
	return r
}

// ofYoung reports whether a figure is a cap that a young network has as wide as
// a small one: those of pools that hold nearly everybody as long as nobody can
// be old.
func (r *Rules) ofYoung(field *int) bool {
	for p := range positions {
		if field == &r.Caps[ByYoung][p] || field == &r.Caps[ByCohort][p] {
			return true
		}
	}
	return false
}

// reconcile raises what parameters set lower than it can be beside others.
func (r *Rules) reconcile() {
	l, g := &r.Limits, &r.Guards
	l.ForgetAfter = max(l.ForgetAfter, l.FreezeAfter)
	g.SampleMost = max(g.SampleMost, g.Sample)
	g.Primary = min(g.Primary, g.Sample)
	g.Use = min(g.Use, g.Primary)
	g.LifeMost = max(g.LifeMost, g.LifeLeast)
	g.Layer2Most = max(g.Layer2Most, g.Layer2Least)
}

// LiftAddresses lifts all limits by address and by what an address tells, for
// networks whose file lets relays of one subnet share a circuit: there a common
// range says nothing.
func (r *Rules) LiftAddresses() {
	l := &r.Limits
	for _, limit := range []*int{&l.PerAddress, &l.Per64, &l.Per24, &l.Per16, &l.PerAS, &l.NewPerAddr} {
		*limit = directory.MaxRelays
	}
}

func param(params []directory.Param, name string) (int64, bool) {
	i, ok := slices.BinarySearchFunc(params, name, func(p directory.Param, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return 0, false
	}
	return params[i].Value, true
}
