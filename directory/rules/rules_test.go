package rules_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/rules"
)

// sorted returns parameters as documents have them.
func sorted(t interface{ Fatal(...any) }, values map[string]int64) []directory.Param {
	params, err := directory.Params(values)
	if err != nil {
		t.Fatal(err)
	}
	return params
}

const aYear = 365 * 24 * time.Hour

func TestNamesAreParametersInOrder(t *testing.T) {
	names := rules.Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("not ascending, or twice: %v", names)
	}
	values := map[string]int64{}
	for _, n := range names {
		values[n] = 1
	}
	if len(sorted(t, values)) != len(names) {
		t.Error("not all names can stand in a document")
	}
	if len(names) > directory.MaxParams/2 {
		t.Errorf("%d parameters leave little room for others", len(names))
	}
}

// Every name but those of sizes moves a figure of its own: two names never the same.
func TestEveryParameterHasAFigureOfItsOwn(t *testing.T) {
	plain := *rules.Of(nil, nil, 0, aYear)
	seen := map[string]string{}
	for _, name := range rules.Names() {
		moved := ""
		for _, v := range []int64{1, 3, 1000} {
			r := *rules.Of(sorted(t, map[string]int64{name: v}), nil, 0, aYear)
			moved += difference(reflect.ValueOf(plain), reflect.ValueOf(r), "")
		}
		if moved == "" && name != "sybil_small" && name != "sybil_full" {
			t.Errorf("%s changes nothing", name)
		}
		if other, ok := seen[moved]; ok && moved != "" {
			t.Errorf("%s and %s change the same", name, other)
		}
		seen[moved] = name
	}
}

// difference names the figures in which two rules differ.
func difference(a, b reflect.Value, path string) string {
	all := ""
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			all += difference(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name)
		}
	case reflect.Array:
		for i := range a.Len() {
			all += difference(a.Index(i), b.Index(i), path+"["+string(rune('0'+i))+"]")
		}
	default:
		if a.Int() != b.Int() {
			all = path
		}
	}
	return all
}

func TestBoundsAreOfParametersOnly(t *testing.T) {
	for _, name := range rules.Names() {
		if least, most, ok := rules.Bounds(name); !ok || least < 0 || most <= least {
			t.Errorf("%s: %d to %d, %v", name, least, most, ok)
		}
	}
	if least, most, _ := rules.Bounds("guard_life_least"); least != 1 || most != 3650 {
		t.Errorf("guard_life_least: %d to %d", least, most)
	}
	if _, _, ok := rules.Bounds("guard_life"); ok {
		t.Error("guard_life has bounds")
	}
}

// Whatever the parameters, figures stay where the code that uses them is safe.
func TestOfKeepsFiguresInBounds(t *testing.T) {
	names := rules.Names()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOf(rapid.SampledFrom(names), rapid.Int64Range(-1<<31, 1<<31-1)).Draw(t, "params")
		relaxed := rapid.SliceOfDistinct(rapid.SampledFrom([]string{rules.Small, rules.Test, rules.Wide, rules.Young, "other"}), rapid.ID).Draw(t, "relaxed")
		r := rules.Of(sorted(t, values), relaxed, rapid.IntRange(0, directory.MaxRelays).Draw(t, "relays"), time.Duration(rapid.Int64().Draw(t, "age")))
		l, v, g := r.Limits, r.Vouch, r.Guards
		for _, n := range []int{l.PerAddress, l.Per64, l.Per24, l.Per16, l.PerAS, l.NewPerAddr, l.NewWindow, r.EpochDays, v.Every, v.SpeedUp, v.FreezeFor, g.Sample, g.Primary, g.Use} {
			if n < 1 {
				t.Fatalf("a figure that divides or limits is %d: %+v", n, r)
			}
		}
		if l.ForgetAfter < l.FreezeAfter || g.SampleMost < g.Sample || g.Primary > g.Sample || g.Use > g.Primary || g.LifeMost < g.LifeLeast || g.Layer2Most < g.Layer2Least {
			t.Fatalf("figures that contradict each other: %+v", r)
		}
		for p := range r.Ramps {
			for d := range r.Caps {
				if c := r.Caps[d][p]; c < 1 || c > 1000 {
					t.Fatalf("cap %d", c)
				}
			}
			last := 0
			for day := range 4000 {
				x := r.Ramps[p].At(day)
				if x < last || x > 1000 {
					t.Fatalf("ramp %+v at day %d is %d, after %d", r.Ramps[p], day, x, last)
				}
				last = x
			}
			if last != 1000 {
				t.Fatalf("ramp %+v ends at %d", r.Ramps[p], last)
			}
		}
	})
}

func TestRampAtItsPoints(t *testing.T) {
	r := rules.Of(nil, nil, 0, aYear)
	for _, tc := range []struct {
		p         directory.Position
		day, want int
	}{
		{directory.AsMiddle, 2, 0}, {directory.AsMiddle, 3, 100}, {directory.AsMiddle, 30, 1000}, {directory.AsMiddle, 12, 400},
		{directory.AsExit, 7, 0}, {directory.AsExit, 8, 250}, {directory.AsExit, 19, 625}, {directory.AsExit, 30, 1000},
		{directory.AsGuard, 29, 0}, {directory.AsGuard, 30, 0}, {directory.AsGuard, 60, 500}, {directory.AsGuard, 90, 1000},
	} {
		if got := r.Ramps[tc.p].At(tc.day); got != tc.want {
			t.Errorf("position %d on day %d: %d, want %d", tc.p, tc.day, got, tc.want)
		}
	}
	if got := (rules.Ramp{From: 10, Start: 5, Full: 3}).At(10); got != 1000 {
		t.Errorf("a ramp that ends before it begins has %d on its first day", got)
	}
}

func TestRelaxationsSayWhichValueApplies(t *testing.T) {
	name := []directory.Param{{Name: "cap_24_g", Value: 7}}
	for _, tc := range []struct {
		what    string
		params  []directory.Param
		relaxed []string
		want    int
	}{
		{"default", nil, nil, 20},
		{"small", nil, []string{rules.Small}, 160},
		{"test", nil, []string{rules.Small, rules.Test}, 160},
		{"young", nil, []string{rules.Young}, 20},
		{"a parameter before all", name, []string{rules.Small, rules.Test, rules.Young}, 7},
	} {
		if got := rules.Of(tc.params, tc.relaxed, 0, aYear).Caps[rules.BySlash24][directory.AsGuard]; got != tc.want {
			t.Errorf("%s: %d, want %d", tc.what, got, tc.want)
		}
	}
	young := rules.Of(nil, []string{rules.Young}, 0, aYear)
	if got := young.Caps[rules.ByCohort][directory.AsGuard]; got != 120 {
		t.Errorf("cap of a cohort in a young network %d, want 120", got)
	}
	if test := rules.Of(nil, []string{rules.Small, rules.Test}, 0, aYear); test.Ramps[directory.AsGuard].At(0) != 1000 || test.Guards.NewPerDay != 0 {
		t.Errorf("a test network has a ramp or a budget: %+v", test)
	}
}

// Caps widen as a network is smaller, without a step, from the default to what
// a small network has.
func TestCapsWidenBySize(t *testing.T) {
	wide, small := []string{rules.Wide}, rules.Of(nil, []string{rules.Small, rules.Wide}, 0, aYear)
	for _, tc := range []struct{ relays, family, cohort int }{ // of guards: 25 in proportion, 30 by half the root
		{6000, 25, 30}, {5999, 25, 30}, {3000, 50, 30}, {1500, 100, 30}, {750, 200, 42}, {375, 200, 60}, {200, 200, 82}, {90, 200, 120}, {1, 200, 120}, {0, 200, 120},
	} {
		r := rules.Of(nil, wide, tc.relays, aYear)
		if family, cohort := r.Caps[rules.ByFamily][directory.AsGuard], r.Caps[rules.ByCohort][directory.AsGuard]; family != tc.family || cohort != tc.cohort {
			t.Errorf("%d relays: a family may have %d permille, a cohort %d, want %d, %d", tc.relays, family, cohort, tc.family, tc.cohort)
		}
	}
	last := rules.Of(nil, wide, 6000, aYear)
	for n := 6000; n >= 200; n-- {
		r := rules.Of(nil, wide, n, aYear)
		for d := range r.Caps {
			for p, c := range r.Caps[d] {
				if was := last.Caps[d][p]; c < was || c > was+max(2, was/20) || c > small.Caps[d][p] {
					t.Fatalf("cap %v at %d relays is %d, after %d", rules.Dimension(d), n, c, was)
				}
			}
		}
		last = r
	}
	own := []directory.Param{{Name: "cap_family_g", Value: 30}, {Name: "sybil_full", Value: 3000}}
	if r := rules.Of(own, wide, 1500, aYear); r.Caps[rules.ByFamily][directory.AsGuard] != 30 || r.Caps[rules.BySlash24][directory.AsGuard] != 40 {
		t.Errorf("with parameters: %+v", r.Caps)
	}
}

func TestRelaxed(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	network := &directory.Network{}
	network.Timing.Start = start
	private := *network
	private.PrivateAddresses = true
	for _, tc := range []struct {
		what    string
		network *directory.Network
		params  []directory.Param
		relays  int
		days    int
		want    []string
	}{
		{"nothing", network, nil, 6000, 180, nil},
		{"not so many relays", network, nil, 5999, 180, []string{rules.Wide}},
		{"not few", network, nil, 200, 180, []string{rules.Wide}},
		{"few relays", network, nil, 199, 360, []string{rules.Small, rules.Wide}},
		{"few by parameter", network, []directory.Param{{Name: "sybil_small", Value: 1000}}, 999, 360, []string{rules.Small, rules.Wide}},
		{"never few", network, []directory.Param{{Name: "sybil_full", Value: 0}, {Name: "sybil_small", Value: -5}}, 0, 360, nil},
		{"young", network, nil, 6000, 179, []string{rules.Young}},
		{"before its start", network, nil, 6000, -1, []string{rules.Young}},
		{"all", &private, nil, 5, 0, []string{rules.Small, rules.Test, rules.Wide, rules.Young}},
		{"long ramp", network, []directory.Param{{Name: "age_full_m", Value: 400}}, 6000, 399, []string{rules.Young}},
	} {
		got := rules.Relaxed(tc.network, tc.params, tc.relays, start.AddDate(0, 0, tc.days))
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, got, tc.want)
		}
	}
}

// In a young network the oldest relay possible is of full age, and a day more of
// the network's age never makes ages count more than before.
func TestAgesAreStretchedInAYoungNetwork(t *testing.T) {
	for days := range 400 {
		r := rules.Of(nil, []string{rules.Young}, 0, time.Duration(days)*24*time.Hour)
		if got := r.AgeOf(days); got < 90 {
			t.Errorf("on day %d the oldest counts as %d days", days, got)
		}
		next := rules.Of(nil, []string{rules.Young}, 0, time.Duration(days+1)*24*time.Hour)
		if next.Stretch > r.Stretch || next.Stretch < 1000 {
			t.Errorf("stretch %d on day %d, then %d", r.Stretch, days, next.Stretch)
		}
		for age := range days {
			if r.AgeOf(age) < age || r.AgeOf(age) > r.AgeOf(age+1) {
				t.Fatalf("on day %d ages %d and %d count as %d and %d", days, age, age+1, r.AgeOf(age), r.AgeOf(age+1))
			}
		}
	}
	if r := rules.Of(nil, nil, 0, 0); r.AgeOf(17) != 17 || r.AgeOf(-3) != 0 {
		t.Error("ages are stretched in a network that is not young")
	}
}

func TestLiftAddresses(t *testing.T) {
	r := rules.Of(nil, nil, 0, aYear)
	r.LiftAddresses()
	l := r.Limits
	if min(l.PerAddress, l.Per64, l.Per24, l.Per16, l.PerAS, l.NewPerAddr) < directory.MaxRelays {
		t.Errorf("%+v", l)
	}
}
