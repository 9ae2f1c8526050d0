package ours_test

import (
	"math"
	"testing"

	"tunic/client/path"
	"tunic/cmd/internal/sim/dice"
	"tunic/cmd/internal/sim/ours"
	"tunic/cmd/internal/sim/population"
	"tunic/cmd/internal/sim/scenario"
	"tunic/cmd/internal/sim/world"
	"tunic/directory/keys"
)

func attacked(t *testing.T, text string, days int) *world.World {
	t.Helper()
	s, err := scenario.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return world.New(population.Synthetic(600, population.Options{Seed: 3}), s, world.Options{Seed: 3, Days: days})
}

// The chances that circuits are counted by are those of full paths, drawn as a
// client draws them.
func TestChancesAreThoseOfWholePaths(t *testing.T) {
	w := attacked(t, "[adversary]\nrelays = 60\nguard_share = 0.4\nexit_share = 0.3\nslash16 = 6\nproviders = 4\narrive_over_days = 700\nwait_days = 100\n[clients]\nports = [443]\n", 1)
	d := ours.NewNetwork(w, nil, ours.Off{}).Open(0)
	chances := ours.NewChances(w, d)
	bad := map[keys.RelayID]int32{}
	for i := range w.Nodes {
		if w.Nodes[i].Bad {
			bad[w.Nodes[i].ID] = int32(i)
		}
	}
	const draws = 4000
	rng := dice.New(9)
	rng.Set(1, 0, 0)
	tried := 0
	for client := 0; tried < 5 && client < 2000; client++ {
		g := path.NewGuards("sim")
		g.Update(d.View, d.Now, rng.Rand)
		id, ok := g.Carry(d.Now, rng.Rand, func(keys.RelayID) bool { return true })
		guard, is := bad[id]
		if !ok || !is {
			continue
		}
		tried++
		both := 0.0
		for range draws {
			p, a, err := d.View.Select(g, path.Need{Port: 443}, d.Now, rng.Rand)
			if err != nil {
				t.Fatal(err)
			}
			g.Done(a)
			if p[path.Guard].ID != id {
				t.Fatal("another guard than the one that carries traffic")
			}
			if _, is := bad[p[path.Exit].ID]; is {
				both++
			}
		}
		want := chances.Of(guard)
		if sigma := math.Sqrt(want * (1 - want) / draws); want == 0 || math.Abs(both/draws-want) > 4*sigma {
			t.Errorf("%v of the paths, want %v ± %v", both/draws, want, sigma)
		}
	}
	if tried < 5 {
		t.Fatalf("only %d clients with a bad guard", tried)
	}
}

// Clients who look only when something changed come to the guards of those who
// look each day.
func TestSleepingChangesNothing(t *testing.T) {
	w := attacked(t, "[adversary]\nrelays = 60\nguard_share = 0.3\nexit_share = 0.3\n", 60)
	n := ours.NewNetwork(w, nil, ours.Off{})
	const clients = 300
	lazy := ours.NewClients(w, clients)
	restless := ours.NewClients(w, clients)
	d := dice.New(5)
	differ := 0
	for day := range 60 {
		today := n.Open(day)
		all := *today
		all.Changed = make([]bool, len(today.Changed))
		for i := range all.Changed {
			all.Changed[i] = true
		}
		for k := range clients {
			draw := func() *dice.Dice { d.Set(2, uint64(k), uint64(day)); return d }
			if lazy.Step(k, today, nil, draw) != restless.Step(k, &all, nil, draw) {
				differ++
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d client days with another guard", differ)
	}
}

// Relays beyond the limits are refused, those that act alike are found, and
// neither happens to many honest ones.
func TestAdmissionSeesTheAttacker(t *testing.T) {
	w := attacked(t, "[adversary]\nrelays = 60\nguard_share = 0.2\nexit_share = 0.2\nslash16 = 2\nslash24 = 3\nlinkable = 1\n", 10)
	n := ours.NewNetwork(w, nil, ours.Off{})
	for day := -world.Lead; day < 0; day += 30 {
		n.Open(day)
	}
	for day := range 10 {
		n.Open(day)
	}
	if most := 3 * n.Rules().Limits.Per24; len(n.Refused[1]) < 60-most {
		t.Errorf("%d refused of 60 in three /24s", len(n.Refused[1]))
	}
	if len(n.Quarantined[1]) < 15 {
		t.Errorf("%d quarantined", len(n.Quarantined[1]))
	}
	if len(n.Quarantined[0]) > 30 {
		t.Errorf("%d honest ones quarantined", len(n.Quarantined[0]))
	}
}
