package detect

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/rules"
)

// counted is a series of that many hours before hour at, Poisson at a rate.
func counted(at, hours int, rate float64, rng *rand.Rand) series {
	s := series{First: at - hours, Counts: make([]uint16, hours)}
	for i := range s.Counts {
		for p := rng.ExpFloat64(); p < rate; p += rng.ExpFloat64() {
			s.Counts[i]++
		}
	}
	return s
}

const noon = 500_000 // an hour

func TestFitOfLongHistory(t *testing.T) {
	s := counted(noon, 90*24, 1.2, rand.New(rand.NewPCG(1, 1)))
	u := newUsual(&s, nil, 7300)
	for _, w := range windows {
		f := u.fit(w, noon, 90*24, float64(w))
		if want := 1.2 * float64(w); math.Abs(f.mean/want-1) > 0.1 {
			t.Errorf("window of %d hours: mean %.2f, want about %.2f", w, f.mean, want)
		}
		if f.size < 8 {
			t.Errorf("window of %d hours: size %.2f of what is Poisson", w, f.size)
		}
	}
}

// Bursts in the history make the fit wide, unless they were flagged.
func TestFlaggedHoursDoNotCount(t *testing.T) {
	s := counted(noon, 90*24, 1.2, rand.New(rand.NewPCG(2, 2)))
	before := newUsual(&s, nil, 7300)
	flagged := map[int]bool{}
	for h := noon - 2000; h < noon; h += 100 {
		s.Counts[h-s.First] = 300
		flagged[h] = true
	}
	want := before.fit(6, noon, 90*24, 6)
	got := newUsual(&s, flagged, 7300).fit(6, noon, 90*24, 6)
	if math.Abs(got.mean/want.mean-1) > 0.02 || got.size < want.size*0.8 {
		t.Errorf("fit %+v with flagged bursts, %+v without bursts", got, want)
	}
	if wide := newUsual(&s, nil, 7300).fit(6, noon, 90*24, 6); wide.size > 1 || wide.mean < 2*want.mean {
		t.Errorf("fit %+v where bursts are usual", wide)
	}
}

// When the most of the time was flagged, the rate rises at last.
func TestGrowthIsNotAlarmingForEver(t *testing.T) {
	s := counted(noon, 90*24, 10, rand.New(rand.NewPCG(3, 3)))
	flagged := map[int]bool{}
	for h := noon - 80*24; h < noon; h++ {
		flagged[h] = true
	}
	u := newUsual(&s, flagged, 200)
	if f := u.fit(24, noon, 90*24, 24); math.Abs(f.mean/240-1) > 0.1 {
		t.Errorf("mean %.1f a day, want about 240", f.mean)
	}
	if _, hours := u.within(noon-90*24, noon); hours != 45*24 {
		t.Errorf("%d hours count, want half", hours)
	}
}

func TestFitWithoutHistory(t *testing.T) {
	u := newUsual(&series{First: noon, Counts: nil}, nil, 5000)
	if f := u.fit(24, noon, 90*24, 24); math.Abs(f.mean-20) > 1e-9 || f.size > 16 {
		t.Errorf("fit %+v of 5000 relays, want 20 a day and less certain than usual", f)
	}
	u = newUsual(&series{First: noon}, nil, 5)
	if f := u.fit(1, noon, 90*24, 1); f.mean > 0.01 {
		t.Errorf("fit %+v of five relays", f)
	}
}

// False alarms are about as many as the rules say, and no more: ten years of
// hours with arrivals as fitted.
func TestFalseAlarmsOfArrivals(t *testing.T) {
	r := rules.Of(nil, nil, 0, 0)
	rng := rand.New(rand.NewPCG(4, 4))
	s := counted(noon, maxHours, 1.2, rng)
	state := State{Arrivals: s}
	began := time.Now()
	state.flag(noon-300*24, noon, 7300, r)
	perYear := float64(len(state.Episodes)) / 300 * 365
	t.Logf("%.1f false alarms a year over all windows, in %v", perYear, time.Since(began))
	if most := float64(r.Detection.FalseAlarms) / 1000 * float64(len(windows)); perYear > most {
		t.Errorf("%.1f false alarms a year, want at most %.1f", perYear, most)
	}
}

func TestSeriesStaysBounded(t *testing.T) {
	s := series{First: math.MaxInt32, Counts: make([]uint16, 9)} // of a clock that was ahead
	s.extend(noon-100, noon)
	if s.First != noon-100 || len(s.Counts) != 100 {
		t.Errorf("%d hours from %d", len(s.Counts), s.First-noon)
	}
	s.Counts[99] = 7
	s.extend(noon, noon+10)
	if s.First != noon-100 || s.Counts[99] != 7 || s.end() != noon+10 {
		t.Errorf("%d hours from %d", len(s.Counts), s.First-noon)
	}
	s.extend(noon, noon+2*maxHours)
	if len(s.Counts) != maxHours || s.end() != noon+2*maxHours {
		t.Errorf("%d hours to %d", len(s.Counts), s.end()-noon)
	}
}

func TestThresholdOfPairsIsThePairFormula(t *testing.T) {
	r := rules.Of(nil, nil, 0, 0)
	r.Detection.Least = 2
	n := 6500
	if got, want := threshold(n, 2, r), math.Log2(float64(n)*float64(n-1)/2)+10; math.Abs(got-want) > 1e-6 || math.Abs(got-34.3) > 0.1 {
		t.Errorf("threshold of a pair among %d is %.2f, want %.2f", n, got, want)
	}
	for size := 3; size < 400; size++ {
		if threshold(n, size, r) > threshold(n, size-1, r) {
			t.Fatalf("%d relays need more evidence each than %d", size, size-1)
		}
	}
}

func TestPattern(t *testing.T) {
	for nickname, want := range map[string]string{"CalyxInstitute14": "calyxinstitute#", "a1b22": "a#b#", "2014": "#", "x": "x"} {
		if got := pattern(nickname); got != want {
			t.Errorf("pattern(%q) = %q, want %q", nickname, got, want)
		}
	}
}

// Identities registered and dropped day after day do not fill the state.
func TestMembersRememberedAreBounded(t *testing.T) {
	const today = 20_000
	g := known{ID: [32]byte{1}, Code: Batch}
	for i := range 3 * directory.MaxRelays {
		id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		g.Members = append(g.Members, member{ID: id[:], Last: today - i%80})
	}
	r := newRegistry(&view{}, []known{g}, today*86_400)
	kept := r.list()[0].Members
	if len(kept) > maxKnown-directory.MaxRelays || len(kept) < directory.MaxRelays/2 {
		t.Errorf("%d members that are not listed are remembered", len(kept))
	}
	for _, m := range kept {
		if m.Last < today-30 {
			t.Fatalf("one that left %d days ago is kept, later ones are not", today-m.Last)
		}
	}
}
