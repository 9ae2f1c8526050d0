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
	for _, tt := range []struct {
		name     string
		in, want Params
	}{
		{"nothing set", Params{}, Params{1, 31, 31, 500}},
		{"all too low", Params{lowest, lowest, lowest, lowest}, Params{1, 31, 31, 500}},
		{"all too high", Params{highest, highest, highest, highest}, Params{254, 10_000, 1_000, 16_384}},
		{"a window takes a mark", Params{200, 31, 31, 500}, Params{200, 200, 200, 500}},
		{"start between the ends", Params{31, 5_000, 1_000, 600}, Params{31, 600, 600, 600}},
		{"largest", Params{31, 1_024, 124, 16_385}, Params{31, 1_024, 124, 16_384}},
	} {
		if got := tt.in.Clamp(); got != tt.want {
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
