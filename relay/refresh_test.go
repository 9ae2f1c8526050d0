package relay

import (
	"testing"
	"time"

	"tunic/directory"
)

func TestRefreshGapFollowsThePeriod(t *testing.T) {
	test := &directory.Network{Timing: directory.TestTiming(noon)}
	public := &directory.Network{Timing: directory.DefaultTiming(noon)}
	of := func(period time.Duration) *directory.Consensus {
		return &directory.Consensus{ValidAfter: noon, FreshUntil: noon.Add(period)}
	}
	for name, row := range map[string]struct {
		n    *directory.Network
		c    *directory.Consensus
		want time.Duration
	}{
		"test network, before the first consensus": {test, nil, 100 * time.Millisecond},
		"test network, initial rounds":             {test, of(time.Second), 100 * time.Millisecond},
		"test network, later":                      {test, of(time.Minute), 6 * time.Second},
		"public network":                           {public, of(time.Hour), refreshAfter},
		"public network, before the first one":     {public, nil, refreshAfter},
	} {
		if got := refreshGap(row.n, row.c); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
