package directory_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"tunic/directory"
)

func TestParamsInOrder(t *testing.T) {
	got, err := directory.Params(map[string]int64{"cc_beta": 200, "Z": math.MinInt32, "cc_alpha": math.MaxInt32})
	want := []directory.Param{{Name: "Z", Value: math.MinInt32}, {Name: "cc_alpha", Value: math.MaxInt32}, {Name: "cc_beta", Value: 200}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

func TestParamsRefuses(t *testing.T) {
	many := make(map[string]int64)
	for i := range directory.MaxParams + 1 {
		many["p"+strings.Repeat("x", i%30)+string(rune('a'+i/30))] = 1
	}
	for name, values := range map[string]map[string]int64{
		"no name":           {"": 1},
		"a long name":       {strings.Repeat("a", directory.MaxParamName+1): 1},
		"a name with a dot": {"cc.alpha": 1},
		"33 bits":           {"cc_alpha": math.MaxInt32 + 1},
		"too many":          many,
	} {
		if got, err := directory.Params(values); err == nil {
			t.Errorf("%s: taken as %v", name, got[:1])
		}
	}
}
