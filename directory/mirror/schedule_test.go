package mirror

import (
	"math/rand/v2"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func newRand() *rand.Rand { return rand.New(rand.NewChaCha8([32]byte{1})) }

func TestFirstFetchIsAtOnce(t *testing.T) {
	n := directorytest.New(3)
	for _, role := range []Role{AsClient, AsMirror} {
		var s Schedule
		now := directorytest.Epoch.Add(20 * time.Minute)
		if at := s.Next(n.Network, nil, role, now, newRand()); !at.Equal(now) {
			t.Errorf("role %d: %v after now", role, at.Sub(now))
		}
		if at := s.Next(n.Network, nil, role, n.Timing.Start.Add(-time.Hour), newRand()); !at.Equal(n.Timing.Start) {
			t.Errorf("role %d, before the first consensus: %v after start", role, at.Sub(n.Timing.Start))
		}
	}
}

// A client fetches from three quarters of a period after the old one has ceased
// to be fresh, a mirror in the first half; both use the whole range.
func TestFetchesAreSpread(t *testing.T) {
	n := directorytest.New(3)
	c := n.Consensus(0, nil)
	rng := newRand()
	for role, want := range map[Role][2]time.Duration{
		AsClient: {45 * time.Minute, 45*time.Minute + 75*time.Minute*7/8},
		AsMirror: {0, 30 * time.Minute},
	} {
		var s Schedule
		least, most := time.Duration(1<<62), time.Duration(0)
		for range 10_000 {
			d := s.Next(n.Network, c, role, c.ValidAfter, rng).Sub(c.FreshUntil)
			least, most = min(least, d), max(most, d)
		}
		if least < want[0] || most > want[1] || least > want[0]+time.Minute || most < want[1]-time.Minute {
			t.Errorf("role %d fetches %v to %v after fresh-until, want %v to %v", role, least, most, want[0], want[1])
		}
		late := c.ValidUntil.Add(time.Hour)
		if at := s.Next(n.Network, c, role, late, rng); !at.Equal(late) {
			t.Errorf("role %d with an expired consensus: %v after now", role, at.Sub(late))
		}
	}
}

func TestFetchesOfInitialRoundsAreNotSpread(t *testing.T) {
	n := directorytest.NewWith(3, directory.Network{Name: "t", PrivateAddresses: true, Timing: directory.TestTiming(directorytest.Epoch)})
	rng := newRand()
	for _, role := range []Role{AsClient, AsMirror} {
		for _, i := range []int64{0, 5, 9} {
			var s Schedule
			c := n.Consensus(i, nil)
			if at := s.Next(n.Network, c, role, c.ValidAfter, rng); !at.Equal(c.FreshUntil) {
				t.Errorf("role %d, round %d: %v after fresh-until", role, i, at.Sub(c.FreshUntil))
			}
		}
		var s Schedule
		now := n.Round(3).ValidAfter
		for i, want := range []time.Duration{50, 100, 200, 400, 500, 500} {
			s.Failed(n.Network, now, rng)
			if at := s.Next(n.Network, n.Consensus(2, nil), role, now, rng); at.Sub(now) != want*time.Millisecond {
				t.Errorf("role %d, failure %d: %v, want %d ms", role, i+1, at.Sub(now), want)
			}
		}
		s.Succeeded()
		if at := s.Next(n.Network, nil, role, now, rng); !at.Equal(now) {
			t.Errorf("after success: %v", at.Sub(now))
		}
	}
}

func TestBackOffIsDrawnAndEnds(t *testing.T) {
	n := directorytest.New(3)
	now := n.Round(5).ValidAfter
	rng := newRand()
	different := map[time.Duration]bool{}
	for range 100 {
		var s Schedule
		last := time.Duration(0)
		for i := range 30 {
			s.Failed(n.Network, now, rng)
			d := s.Next(n.Network, n.Consensus(1, nil), AsClient, now, rng).Sub(now)
			least := 5 * time.Second
			if i == 0 {
				least = time.Second
			}
			if d < least || d > 10*time.Minute || last > 0 && d > max(3*last, 10*time.Second) {
				t.Fatalf("failure %d: %v after %v", i+1, d, last)
			}
			last = d
		}
		different[last] = true
	}
	if len(different) < 5 {
		t.Errorf("100 clients have %d delays", len(different))
	}
}
