package authority

import (
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/rules"
)

// grown is the rules of a network that has nothing relaxed.
var grown = rules.Of(nil, nil, 0, 0)

// alike returns that many relays with equal facts: reached for two days, always
// there, just old enough for Guard.
func alike(count int, bandwidth uint64) []facts {
	day := (24 * time.Hour).Seconds()
	all := make([]facts, count)
	for i := range all {
		all[i] = facts{opinion: up, bandwidth: bandwidth, between: 2 * day, run: 2 * day, fraction: 1, known: 2 * day, age: 31}
	}
	return all
}

func flagsOf(all []facts, i int) directory.Flags {
	set, _ := newFlagger(all, 24*time.Hour, 20*time.Minute, grown).flags(&all[i])
	return set
}

const allButExit = directory.AllFlags &^ directory.Exit

func TestEqualRelaysOfASmallNetworkBearAllFlags(t *testing.T) {
	for _, count := range []int{1, 3, 7, 19} {
		all := alike(count, unobservedBandwidth)
		all[0].exits = true
		if got := flagsOf(all, 0); got != directory.AllFlags {
			t.Errorf("of %d: %v", count, got)
		}
		if got := flagsOf(all, count-1); count > 1 && got != allButExit {
			t.Errorf("of %d: %v", count, got)
		}
	}
}

func TestNewNetworkHasGuardsAtOnce(t *testing.T) {
	all := make([]facts, 7)
	for i := range all { // reached within the same interval, at different instants
		s := float64(i) / 10
		all[i] = facts{opinion: up, bandwidth: unobservedBandwidth, between: s, run: s, fraction: 1, known: s, age: rules.Of(nil, []string{rules.Young}, 0, 0).AgeOf(0)}
	}
	for i := range all {
		set, _ := newFlagger(all, time.Second, 20*time.Second, rules.Of(nil, []string{rules.Small, rules.Young}, 0, 0)).flags(&all[i])
		if set != allButExit {
			t.Errorf("relay %d: %v", i, set)
		}
	}
}

// Once relays have seen traffic their bandwidths differ. In a small network that
// must not leave one or two guards: those may be its only exits.
func TestSmallNetworkKeepsItsGuards(t *testing.T) {
	for count, want := range map[int]int{3: 3, 7: 7, fewRelays - 1: fewRelays - 3, fewRelays: 5} {
		all := alike(count, unobservedBandwidth)
		guards := 0
		for i := range all {
			all[i].bandwidth += uint64(i) * 1000
		}
		for i := range all {
			if flagsOf(all, i).Has(directory.Guard) {
				guards++
			}
		}
		if guards != want {
			t.Errorf("%d guards among %d relays, want %d", guards, count, want)
		}
	}
}

// However many and however good the relays that somebody adds: who meets the
// absolute thresholds keeps the flags.
func TestNobodyLosesFlagsToBetterRelays(t *testing.T) {
	for _, count := range []int{2, fewRelays - 1, fewRelays, 5 * fewRelays} {
		all := alike(count, 100*guardBandwidth)
		for i := range all {
			all[i].between, all[i].run, all[i].known = 1e9, 1e9, 1e9
		}
		all[0] = facts{opinion: up, bandwidth: guardBandwidth, between: stableBetween.Seconds(), run: stableUptime.Seconds(),
			fraction: guardFraction, known: guardFamiliar.Seconds(), age: 31}
		if got := flagsOf(all, 0); got != allButExit {
			t.Errorf("among %d better ones: %v", count-1, got)
		}
	}
}

func TestEachFactDecidesItsFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(f *facts)
		want   directory.Flags
	}{
		"all the same":         {func(*facts) {}, allButExit},
		"slow":                 {func(f *facts) { f.bandwidth = fastBandwidth - 1 }, allButExit &^ directory.Fast &^ directory.Guard &^ directory.HSDir},
		"below 2 MB/s":         {func(f *facts) { f.bandwidth = guardBandwidth - 1 }, allButExit &^ directory.Guard},
		"short runs":           {func(f *facts) { f.between /= 2 }, allButExit &^ directory.Stable &^ directory.Guard &^ directory.HSDir},
		"a little shorter run": {func(f *facts) { f.between -= 1100 }, allButExit},
		"often away":           {func(f *facts) { f.fraction = 0.95 }, allButExit &^ directory.Guard},
		"away once":            {func(f *facts) { f.fraction = 0.985 }, allButExit},
		"unknown yet":          {func(f *facts) { f.known = 60 }, allButExit &^ directory.Guard},
		"30 days old":          {func(f *facts) { f.age = 30 }, allButExit &^ directory.Guard},
		"vouched for, 16 days": {func(f *facts) { f.age, f.vouched = 16, true }, allButExit},
		"vouched for, 15 days": {func(f *facts) { f.age, f.vouched = 15, true }, allButExit &^ directory.Guard},
		"two weeks old":        {func(f *facts) { f.age = 14 }, allButExit &^ directory.Guard},
		"13 days old":          {func(f *facts) { f.age = 13 }, allButExit &^ directory.Guard &^ directory.HSDir},
		"down":                 {func(f *facts) { f.opinion = down }, directory.Valid},
		"an exit":              {func(f *facts) { f.exits = true }, directory.AllFlags},
	} {
		all := alike(30, 2*guardBandwidth)
		tt.change(&all[3])
		if got := flagsOf(all, 3); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	all := alike(30, guardBandwidth)
	all[3].opinion, all[3].exits = noOpinion, true
	set, unknown := newFlagger(all, time.Hour, time.Minute, grown).flags(&all[3])
	if set != directory.Valid|directory.Exit || unknown != directory.Running|directory.Fast|directory.Stable|directory.Guard|directory.HSDir {
		t.Errorf("no opinion: %v, unknown %v", set, unknown)
	}
}

func TestYoungAuthorityJudgesStableByUptime(t *testing.T) {
	all := alike(10, guardBandwidth)
	all[0].between = 0 // its runs are not known yet
	for observing, want := range map[time.Duration]bool{enoughHistory - 1: true, enoughHistory: false} {
		set, _ := newFlagger(all, observing, time.Minute, grown).flags(&all[0])
		if set.Has(directory.Stable) != want {
			t.Errorf("after %v: Stable is %v", observing, !want)
		}
	}
}

func TestBelievedBandwidth(t *testing.T) {
	const k, m = 1000, 1_000_000
	for _, tt := range []struct{ rate, burst, observed, want uint64 }{
		{5 * m, 9 * m, 3 * m, 3 * m},
		{5 * m, 4 * m, 7 * m, 4 * m},
		{50 * m, 50 * m, 50 * m, 10 * m},
		{5 * m, 5 * m, 0, 100 * k},
		{60 * k, 70 * k, 0, 60 * k},
		{0, 0, 0, 0},
	} {
		d := &directory.Descriptor{Rate: tt.rate, Burst: tt.burst, Observed: tt.observed}
		if got := believed(d); got != tt.want {
			t.Errorf("rate %d, burst %d, observed %d: %d, want %d", tt.rate, tt.burst, tt.observed, got, tt.want)
		}
	}
	if weightOf(0) != 1 || weightOf(999) != 1 || weightOf(2000) != 2 {
		t.Error("weights are kB/s, at least 1")
	}
}
