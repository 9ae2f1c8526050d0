package rules

import (
	"math"
	"slices"
	"strings"
	"time"

	"tunic/directory"
)

// Of returns the rules that parameters (ascending by name, as in documents) and
// relaxations give in a network of so many relays, as Relaxed counts them. age is
// the network's at the time judged. A parameter counts as it is, whatever is
// relaxed, but for its bounds.
func Of(params []directory.Param, relaxed []string, relays int, age time.Duration) *Rules {
	r := &Rules{Stretch: unstretched}
	young, wide := slices.Contains(relaxed, Young), slices.Contains(relaxed, Wide)
	small, test := slices.Contains(relaxed, Small), slices.Contains(relaxed, Test)
	full := max(sizeOf(params, fullName, fullDefault), 1)
	for _, e := range r.table() {
		*e.field = e.value
		d, isCap := r.capOf(e.field)
		if wide && isCap {
			*e.field = e.widened(d, full, max(relays, 1))
		}
		if small || young && isCap && (d == ByYoung || d == ByCohort) {
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

// capOf returns the dimension that a figure is a cap of, if it is one.
func (r *Rules) capOf(field *int) (Dimension, bool) {
	for d := range Dimensions {
		if field == &r.BaseCaps[d] {
			return d, true
		}
		for p := range positions {
			if field == &r.Caps[d][p] {
				return d, true
			}
		}
	}
	return 0, false
}

// ofHonest reports whether a dimension is one that an honest operator can hold
// much in, and not of those who came together or are suspected.
func (d Dimension) ofHonest() bool { return d < ByGroup }

// widened is a cap of dimension d in a network of n relays where caps are made for
// full: no wider than in a small one. The greatest operator's part of a network
// goes as 1/n. What many small parts come to together varies as its root; half of
// that is enough.
func (e *entry) widened(d Dimension, full, n int) int {
	times := 1000 * full / n
	if !d.ofHonest() {
		times = int(math.Sqrt(float64(1000*times))) / 2 // roots below 2^26 are exact, but for what is cut
	}
	return max(e.value, min(e.small, e.value*times/1000))
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
