package admission_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"tunic/directory/admission"
)

const firstDay = 10_000

// lived observes day after day, four times each, as a text says: U up, D down, h
// up half of the day, . not observed, l up but observed once only. It returns the
// age on the day after.
func lived(life string) int {
	a, r := admission.Ageing{}, old()
	for i, c := range life {
		for k := range 4 {
			switch {
			case c == '.' || c == 'l' && k > 0:
			default:
				a.Observe(firstDay+i, c == 'U' || c == 'l' || c == 'h' && k < 2, r)
			}
		}
	}
	return a.Age(firstDay+len(life), r)
}

func times(n int, day string) (life string) {
	for range n {
		life += day
	}
	return life
}

func TestAgeIsTheDaysServed(t *testing.T) {
	for _, tc := range []struct {
		what, life string
		want       int
	}{
		{"nothing", "", 0},
		{"served", times(40, "U"), 40},
		{"half of a day does not count", times(10, "U") + "h" + times(10, "U"), 20},
		{"13 days away cost 13", times(20, "U") + times(13, "D") + times(10, "U"), 30},
		{"14 days away freeze for 14", times(20, "U") + times(14, "D") + times(14, "U"), 20},
		{"and then it grows", times(20, "U") + times(14, "D") + times(20, "U"), 26},
		{"59 days away", times(70, "U") + times(59, "D") + "U", 70},
		{"60 days away", times(70, "U") + times(60, "D") + "U", 0},
		{"60 days with one served among them", times(70, "U") + times(30, "D") + "U" + times(30, "D"), 70},
		{"a day of one test of four", times(10, "U") + "l" + times(10, "U"), 21},
		{"the authority was away", times(20, "U") + times(100, ".") + times(20, "U"), 40},
		{"one day in fifteen is no age", times(20, "U"+times(14, "D")), 1},
	} {
		if got := lived(tc.life); got != tc.want {
			t.Errorf("%s: %d days, want %d", tc.what, got, tc.want)
		}
	}
}

func TestDayCountsWhenItIsOver(t *testing.T) {
	a, r := admission.Ageing{}, old()
	a.Observe(firstDay, true, r)
	if today, tomorrow := a.Age(firstDay, r), a.Age(firstDay+1, r); today != 0 || tomorrow != 1 {
		t.Errorf("a first day counts %d on that day and %d after it", today, tomorrow)
	}
	if a.Age(firstDay+1, r) != 1 {
		t.Error("asking for the age changes it")
	}
	a.Observe(firstDay-1, false, r)
	a.Observe(1<<40, false, r)
	if a.Last != firstDay || a.Tests != 1 {
		t.Errorf("days before the latest, or after all, count: %+v", a)
	}
}

// A day with a fraction of the usual tests says nothing either way, bad as it is.
func TestDayOfLittleObservationCountsForNothing(t *testing.T) {
	a, r := admission.Ageing{}, old()
	for day := range 30 {
		for range 72 {
			a.Observe(firstDay+day, true, r)
		}
	}
	for day := range 20 { // an authority that runs for an hour a day
		for range 3 {
			a.Observe(firstDay+30+day, day%2 == 0, r)
		}
		if age := a.Age(firstDay+31+day, r); day < 10 && age != 30 || age < 30 {
			t.Errorf("after %d days of 3 tests the age is %d", day+1, age)
		}
	}
}

// A day of a life: how often it was tested, and how often found up.
type aDay struct{ tests, up int }

func drawLife(t *rapid.T) []aDay {
	life := make([]aDay, rapid.IntRange(0, 150).Draw(t, "days"))
	runs := rapid.IntRange(1, 40).Draw(t, "run")
	var d aDay
	for i := range life {
		if i%runs == 0 {
			d.tests = rapid.IntRange(0, 12).Draw(t, "tests")
			d.up = rapid.IntRange(0, d.tests).Draw(t, "up")
		}
		life[i] = d
	}
	return life
}

func live(life []aDay) (a admission.Ageing, age int) {
	r := old()
	for i, d := range life {
		for k := range d.tests {
			a.Observe(firstDay+i, k < d.up, r)
		}
	}
	return a, a.Age(firstDay+len(life), r)
}

// Never more days than have passed, nor more than were served; and the state
// survives the disk.
func TestAgeIsAtMostTheDaysThatPassed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := drawLife(t)
		a, age := live(life)
		served := 0
		for _, d := range life {
			if d.up*10 >= d.tests*9 && d.up > 0 {
				served++
			}
		}
		if age < 0 || age > served {
			t.Fatalf("%d days, %d served", age, served)
		}
		if !a.Plausible(firstDay + len(life)) {
			t.Fatalf("not plausible: %+v", a)
		}
		b, err := json.Marshal(a)
		var again admission.Ageing
		if err != nil || json.Unmarshal(b, &again) != nil || again != a {
			t.Fatalf("%+v, from the disk %+v (%v)", a, again, err)
		}
	})
}

// Who is up more is never younger for it.
func TestAgeIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := drawLife(t)
		better := make([]aDay, len(life))
		every := rapid.IntRange(1, 30).Draw(t, "every")
		for i, d := range life {
			better[i] = d
			if i%every == 0 {
				better[i].up = rapid.IntRange(d.up, d.tests).Draw(t, "more")
			}
		}
		_, age := live(life)
		if _, more := live(better); more < age {
			t.Fatalf("%d days, with more of them up %d", age, more)
		}
	})
}

// A gap costs at least the days that were missed.
func TestGapCostsAtLeastWhatWasMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life := make([]aDay, 200)
		for i := range life {
			life[i] = aDay{5, 5}
		}
		from, days := rapid.IntRange(0, 199).Draw(t, "from"), rapid.IntRange(0, 100).Draw(t, "days")
		missed := 0
		for i := from; i < min(200, from+days); i++ {
			life[i].up = 0
			missed++
		}
		if _, age := live(life); age > 200-missed {
			t.Fatalf("%d days with %d missed", age, missed)
		}
	})
}

func TestPlausibleRefusesWhatNobodyWrote(t *testing.T) {
	good := admission.Ageing{Days: 10, Last: firstDay, Tests: 4, Up: 3, Usual: 4}
	if !good.Plausible(firstDay) || good.Plausible(firstDay-1) {
		t.Error("a plausible one is none, or one from the future is")
	}
	for i, change := range []func(a *admission.Ageing){
		func(a *admission.Ageing) { a.Days = -1 }, func(a *admission.Ageing) { a.Days = firstDay + 1 },
		func(a *admission.Ageing) { a.Away = -1 }, func(a *admission.Ageing) { a.Frozen = -1 },
		func(a *admission.Ageing) { a.Away = firstDay + 1 }, func(a *admission.Ageing) { a.Frozen = firstDay + 1 },
		func(a *admission.Ageing) { a.Last = -1 }, func(a *admission.Ageing) { a.Up = 5 },
		func(a *admission.Ageing) { a.Up = -1 }, func(a *admission.Ageing) { a.Tests = 1 << 40 },
		func(a *admission.Ageing) { a.Usual = -1 }, func(a *admission.Ageing) { a.Usual = 1 << 40 },
	} {
		bad := good
		change(&bad)
		if bad.Plausible(firstDay) {
			t.Errorf("%d: %+v passes", i, bad)
		}
	}
}
