package directory_test

import (
	"testing"

	"pgregory.net/rapid"

	"tunic/directory"
)

// The vectors are those of the published case analysis, computed by hand from
// its formulas, and of consensuses of the live Tor network.
func TestWeights(t *testing.T) {
	const s = directory.WeightScale
	type pw = directory.PositionWeights
	for name, tc := range map[string]struct {
		g, m, e, d uint64
		want       pw
	}{
		"1":           {400, 200, 400, 100, pw{Wgg: 8334, Wmg: 1666, Wee: 8333, Wme: 1667, Wgd: 3333, Wmd: 3333, Wed: 3333}},
		"2a":          {100, 700, 50, 20, pw{Wgg: s, Wee: s, Wed: s}},
		"2a mirrored": {50, 700, 100, 20, pw{Wgg: s, Wee: s, Wgd: s}},
		"2b":          {250, 200, 240, 310, pw{Wgg: s, Wee: 7916, Wme: 2083, Wgd: 2688, Wmd: 2688, Wed: 4623}},
		"2b fallback": {200, 300, 150, 350, pw{Wgg: s, Wee: s, Wgd: 3810, Wmd: 952, Wed: 5238}},
		"3a exit":     {60, 15, 5, 20, pw{Wgg: 6250, Wmg: 3750, Wee: s, Wed: s}},
		"3a guard":    {100, 200, 600, 50, pw{Wgg: s, Wgd: s, Wme: 3333, Wee: 6667}},
		"3b guard":    {200, 100, 400, 300, pw{Wgg: s, Wgd: 4444, Wmd: 2778, Wed: 2778, Wee: 6250, Wme: 3750}},
		"3b exit":     {500, 150, 100, 250, pw{Wgg: 6500, Wmg: 3500, Wee: s, Wed: 9333, Wgd: 333, Wmd: 333}},
		"no sum":      {200, 550, 200, 50, pw{}}, // both scarce, middles in plenty: the share of exits passes all
		"zero":        {0, 1, 1, 1, pw{}},
		"too much":    {1 << 62, 1 << 62, 1 << 62, 1 << 62, pw{}},
	} {
		if got := directory.Weights(tc.g, tc.m, tc.e, tc.d); got != tc.want {
			t.Errorf("%s: Weights(%d, %d, %d, %d) = %+v, want %+v", name, tc.g, tc.m, tc.e, tc.d, got, tc.want)
		}
	}
}

// Whatever the sums, weights add up or there are none; and they are in balance
// as far as one can ask: no position that could get more bandwidth from the
// shared class stays the poorest by its own class alone.
func TestWeightsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, 1<<44)
		w := directory.Weights(n.Draw(t, "g"), n.Draw(t, "m"), n.Draw(t, "e"), n.Draw(t, "d"))
		if w.IsZero() {
			return
		}
		for _, sum := range []uint32{w.Wgg + w.Wmg, w.Wee + w.Wme, w.Wgd + w.Wmd + w.Wed} {
			if sum > directory.WeightScale || sum < directory.WeightScale-1 {
				t.Fatalf("%+v: a class has %d", w, sum)
			}
		}
	})
}

func TestWeightsOfCountsEachClassFromOne(t *testing.T) {
	relays := []directory.Relay{
		{Flags: directory.Guard, Weight: 399}, {Flags: directory.Running, Weight: 199},
		{Flags: directory.Exit | directory.Fast, Weight: 399}, {Flags: directory.Exit | directory.Guard, Weight: 99},
	}
	if got, want := directory.WeightsOf(relays), directory.Weights(400, 200, 400, 100); got != want || got.IsZero() {
		t.Errorf("WeightsOf = %+v, want %+v", got, want)
	}
}

func TestPositionWeightOf(t *testing.T) {
	w := directory.PositionWeights{Wgg: 1, Wmg: 2, Wee: 3, Wme: 4, Wgd: 5, Wmd: 6, Wed: 7}
	both := directory.Guard | directory.Exit
	for _, tc := range []struct {
		p    directory.Position
		f    directory.Flags
		want uint64
	}{
		{directory.AsGuard, directory.Guard, 1}, {directory.AsGuard, both, 5}, {directory.AsGuard, directory.Running, 1},
		{directory.AsMiddle, directory.Guard, 2}, {directory.AsMiddle, directory.Exit, 4}, {directory.AsMiddle, both, 6},
		{directory.AsMiddle, directory.Fast, directory.WeightScale},
		{directory.AsExit, directory.Exit, 3}, {directory.AsExit, both, 7}, {directory.AsExit, directory.Guard, 7}, {directory.AsExit, 0, 3},
	} {
		if got := w.Of(tc.p, tc.f); got != tc.want {
			t.Errorf("Of(%d, %v) = %d, want %d", tc.p, tc.f, got, tc.want)
		}
		if got := (directory.PositionWeights{}).Of(tc.p, tc.f); got != directory.WeightScale {
			t.Errorf("without weights Of(%d, %v) = %d", tc.p, tc.f, got)
		}
	}
}
