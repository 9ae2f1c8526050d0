package congestion

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestConsensusParameters holds what docs/protocol.md, "Flow control", says of each: its
// default, its bounds, and that it sets what it is named after.
func TestConsensusParameters(t *testing.T) {
	params := map[string]struct {
		def, least, most int64
		of               func(p Params) int
	}{
		"cc_sendme_inc":      {31, 1, 254, func(p Params) int { return p.SendmeInc }},
		"cc_cwnd_max":        {16_384, 500, 16_384, func(p Params) int { return p.CwndMax }},
		"cc_cwnd_min":        {62, 31, 1_000, func(p Params) int { return p.CwndMin }},
		"cc_cwnd_init":       {248, 31, 10_000, func(p Params) int { return p.CwndInit }},
		"cc_alpha":           {186, 31, 1_000, func(p Params) int { return p.Alpha }},
		"cc_beta":            {217, 31, 2_000, func(p Params) int { return p.Beta }},
		"cc_delta":           {310, 31, 4_000, func(p Params) int { return p.Delta }},
		"cc_gamma":           {186, 31, 4_000, func(p Params) int { return p.Gamma }},
		"cc_cwnd_inc":        {31, 1, 1_000, func(p Params) int { return p.Step }},
		"cc_cwnd_inc_pct_ss": {100, 1, 100, func(p Params) int { return p.SlowStart }},
		"cc_cwnd_full_gap":   {4, 0, 16, func(p Params) int { return p.FullGap }},
		"cc_ewma_max":        {32, 2, 255, func(p Params) int { return p.EwmaMax }},
		"cc_base_age":        {10, 1, 600, func(p Params) int { return p.BaseAge }},
	}
	for name, p := range params {
		if least, most, ok := Bounds(name); least != p.least || most != p.most || !ok {
			t.Errorf("%s: %d to %d, %v", name, least, most, ok)
		}
	}
	if _, _, ok := Bounds("cc_none"); ok {
		t.Error("cc_none has bounds")
	}
	asked := map[string]int{}
	got := FromConsensus(func(name string, def, least, most int64) int64 {
		asked[name]++
		if p := params[name]; def != p.def || least != p.least || most != p.most {
			t.Errorf("%s: %d, %d to %d, want %d, %d to %d", name, def, least, most, p.def, p.least, p.most)
		}
		return def
	})
	for name, p := range params {
		if asked[name] != 1 || p.of(got) != int(p.def) {
			t.Errorf("%s: asked for %d times, then %d, want once and %d", name, asked[name], p.of(got), p.def)
		}
		other := p.most
		if other == p.def {
			other = p.least
		}
		one := FromConsensus(func(n string, def, _, _ int64) int64 {
			if n == name {
				return other
			}
			return def
		})
		if p.of(one) != int(other) {
			t.Errorf("%s: %d, want what the consensus says: %d", name, p.of(one), other)
		}
	}
	if len(asked) != len(params) {
		t.Errorf("%d parameters, want %d", len(asked), len(params))
	}
}

func TestDefaultIsInsideItsBounds(t *testing.T) {
	if p := Default(); p != p.Clamp() {
		t.Errorf("Default = %+v, clamped %+v", p, p.Clamp())
	}
}

func TestClamp(t *testing.T) {
	const lowest, highest = math.MinInt, math.MaxInt
	// of returns parameters of which the first four are set, the others as they come out.
	of := func(inc, initial, least, most int) Params {
		return Params{SendmeInc: inc, CwndInit: initial, CwndMin: least, CwndMax: most}
	}
	for _, tt := range []struct {
		name     string
		in, want Params
	}{
		{"nothing set", Params{}, of(1, 31, 31, 500)},
		{"all too low", of(lowest, lowest, lowest, lowest), of(1, 31, 31, 500)},
		{"all too high", of(highest, highest, highest, highest), of(254, 10_000, 1_000, 16_384)},
		{"a window takes a mark", of(200, 31, 31, 500), of(200, 200, 200, 500)},
		{"start between the ends", of(31, 5_000, 1_000, 600), of(31, 600, 600, 600)},
		{"largest", of(31, 1_024, 124, 16_385), of(31, 1_024, 124, 16_384)},
	} {
		got := tt.in.Clamp()
		if got = of(got.SendmeInc, got.CwndInit, got.CwndMin, got.CwndMax); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestClampLeavesNoDeadlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Params{
			SendmeInc: rapid.Int().Draw(t, "inc"),
			CwndInit:  rapid.IntRange(-10, 20_000).Draw(t, "init"),
			CwndMin:   rapid.IntRange(-10, 20_000).Draw(t, "min"),
			CwndMax:   rapid.IntRange(-10, 20_000).Draw(t, "max"),
		}.Clamp()
		if p != p.Clamp() {
			t.Errorf("%+v, clamped again %+v", p, p.Clamp())
		}
		// A window smaller than the interval would never earn a SENDME.
		if p.SendmeInc < 1 || p.SendmeInc > p.CwndMin || p.CwndMin > p.CwndInit || p.CwndInit > p.CwndMax || p.CwndMax > MaxWindow {
			t.Errorf("%+v out of order", p)
		}
	})
}
