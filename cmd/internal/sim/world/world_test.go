package world_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"tunic/cmd/internal/sim/population"
	"tunic/cmd/internal/sim/scenario"
	"tunic/cmd/internal/sim/world"
	"tunic/directory"
)

// The attacker's relays have the shares that the scenario says once all have
// joined, and lie in as many ranges, where nobody else does.
func TestAttackerHasItsShares(t *testing.T) {
	p := population.Synthetic(800, population.Options{Seed: 1})
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.01, 0.5)
		g, e := share.Draw(t, "guard"), share.Draw(t, "exit")
		relays := rapid.IntRange(40, 400).Draw(t, "relays")
		slash16 := rapid.IntRange(1, 40).Draw(t, "slash16")
		s, err := scenario.Parse(fmt.Appendf(nil, "[adversary]\nrelays=%d\nguard_share=%v\nexit_share=%v\nslash16=%d\narrive_over_days=100\nwait_days=10\n", relays, g, e, slash16))
		if err != nil {
			t.Fatal(err)
		}
		w := world.New(p, s, world.Options{Seed: 1, Days: 1})
		shares := w.Tor(0)
		var guard, exit float64
		ranges, honest := map[string]bool{}, map[string]bool{}
		n := 0
		for k, i := range shares.Listed {
			x := &w.Nodes[i]
			r := directory.Subnet(x.Addrs[0].Addr()).String()
			if !x.Bad {
				honest[r] = true
				continue
			}
			n++
			ranges[r] = true
			guard, exit = guard+shares.Guard[k], exit+shares.Exit[k]
			if x.First < -110 || x.First > -10 {
				t.Fatalf("listed on day %d", x.First)
			}
		}
		if n != relays || len(ranges) != slash16 {
			t.Fatalf("%d relays in %d ranges", n, len(ranges))
		}
		for r := range ranges {
			if honest[r] {
				t.Fatalf("%s has honest relays", r)
			}
		}
		// Exits of the population serve 443 not all; the attacker's do.
		if math.Abs(guard-g) > 0.02 || exit < e-0.02 || exit > e+0.12 {
			t.Fatalf("%v of guards, want %v; %v of exits, want %v", guard, g, exit, e)
		}
	})
}

// As many relays come as leave, and the network's capacity stays.
func TestHonestRelaysAreReplaced(t *testing.T) {
	p := population.Synthetic(500, population.Options{Seed: 2})
	w := world.New(p, scenario.Peace(), world.Options{Seed: 2, Days: 300})
	left := 0
	for day := -world.Lead; day < 300; day += 50 {
		listed := w.Listed(day, nil)
		if len(listed) != len(p.Relays) {
			t.Errorf("day %d: %d relays, not %d", day, len(listed), len(p.Relays))
		}
	}
	for _, i := range w.Listed(0, nil) {
		if w.Nodes[i].Last < 300 {
			left++
		}
	}
	want := 500 * (1 - math.Exp(-300.0/500))
	if math.Abs(float64(left)-want) > 60 {
		t.Errorf("%d left in 300 days, want about %.0f", left, want)
	}
}

// A share of the guards is knocked out, another each day.
func TestKnockingOut(t *testing.T) {
	p := population.Synthetic(800, population.Options{Seed: 1})
	s, err := scenario.Parse([]byte("[adversary]\nchurn_guards_per_day = 0.1\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := world.New(p, s, world.Options{Seed: 1, Days: 10})
	guards, out, twice := 0, 0, 0
	for _, i := range w.Listed(0, nil) {
		if !w.Nodes[i].Flags.Has(directory.Guard) {
			continue
		}
		guards++
		if w.KnockedOut(i, 3, 0) {
			out++
			if w.KnockedOut(i, 4, 0) {
				twice++
			}
		}
	}
	if math.Abs(float64(out)/float64(guards)-0.1) > 0.05 || twice > out/3 {
		t.Errorf("%d of %d, %d on the next day too", out, guards, twice)
	}
}
