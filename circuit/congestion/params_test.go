package congestion

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

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
