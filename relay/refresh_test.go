package relay

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/directory"
	"tunic/directory/mirror"
)

// Who names an unknown relay soon after a fetch that brought nothing waits for the
// next, all of them for one; where that is long, nobody waits.
func TestRefreshWaitsForTheNextFetch(t *testing.T) {
	for name, row := range map[string]struct {
		gap   time.Duration
		wait  time.Duration
		count int
	}{
		"short": {100 * time.Millisecond, 80 * time.Millisecond, 2},
		"long":  {refreshAfter, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			count := 0
			f := fetcher{gap: func() time.Duration { return row.gap }}
			f.run = func(context.Context) error { count++; return nil }
			f.refresh(t.Context())
			time.Sleep(20 * time.Millisecond)
			began := time.Now()
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() { f.refresh(t.Context()) })
			}
			all.Wait()
			if waited := time.Since(began); waited != row.wait || count != row.count {
				t.Errorf("%s: %d fetches, waited %v; want %d, %v", name, count, waited, row.count, row.wait)
			}
		})
	}
}

// Authorities that are busy are left alone for as long as they ask.
func TestBusyAuthoritiesAreLeftAlone(t *testing.T) {
	n := &directory.Network{Timing: directory.DefaultTiming(noon)}
	now := n.Timing.Start.Add(time.Minute)
	next := func(err error) time.Duration {
		var s mirror.Schedule
		putOff(&s, n, err, now, newRand())
		return s.Next(n, nil, mirror.AsMirror, now, newRand()).Sub(now)
	}
	const asked = 5 * time.Minute
	if d := next(&mirror.BusyError{RetryAfter: asked}); d < asked {
		t.Errorf("asked again after %v, want %v", d, asked)
	}
	if d := next(mirror.ErrNotFound); d >= asked {
		t.Errorf("after another failure %v", d)
	}
}

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
