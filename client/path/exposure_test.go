package path

import (
	"math"
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// knockOut has an attacker put each honest guard that a client uses out of reach
// for good, for a year, and reports whether the client came to one of the
// attacker's, and how many guards it used until then.
func knockOut(t *testing.T, v *View, seed uint64, bad func(keys.RelayID) bool) (caught bool, used int) {
	t.Helper()
	g, rng, now := NewGuards("test"), seeded(seed), start
	down := map[keys.RelayID]bool{}
	g.Update(v, now, rng)
	for now.Before(start.Add(365 * day)) {
		id, ok := g.Carry(now, rng, func(id keys.RelayID) bool { return !down[id] })
		switch {
		case ok && bad(id):
			return true, used + 1
		case ok:
			used++
			down[id] = true
			continue
		}
		next := g.NextEvent(now)
		if next.IsZero() {
			return false, used
		}
		if !next.After(now) {
			t.Fatalf("at %v the next event is at %v", now, next)
		}
		now = next
		g.Update(v, now, rng)
	}
	return false, used
}

// The bound holds against an attacker who knocks out every honest guard that a
// client comes to, and is no more than twice what that attacker gets. Where there
// are few cohorts, the bound on each in the sample makes the next guard rather one
// of the others.
func TestExposureBoundsAnAttackerWhoKnocksOutGuards(t *testing.T) {
	many, few := big(t, 1500, seeded(11)), big(t, 1500, seeded(11))
	for i := range few.Relays {
		few.Relays[i].FirstListed, few.Relays[i].Age = start.AddDate(0, 0, -15-30*(i%8)), 15
	}
	part := func(k int32) func(*View, int32) bool { return func(_ *View, n int32) bool { return n%k == 0 } }
	oneCohort := func(v *View, n int32) bool { return v.nodes[n].cohort == v.nodes[v.guards.members[0]].cohort }
	for _, test := range []struct {
		name      string
		consensus *directory.Consensus
		in        func(*View, int32) bool
	}{
		{"a tenth of all relays", many, part(10)},
		{"a third of all relays", many, part(3)},
		{"a cohort", many, oneCohort},
		{"a cohort of eight", few, oneCohort},
	} {
		v := NewView(test.consensus, Options{})
		in := func(n int32) bool { return test.in(v, n) }
		e := v.Expose(in, 10_000, nil)
		const clients = 200
		caught := 0
		for seed := range uint64(clients) {
			hit, used := knockOut(t, v, seed, func(id keys.RelayID) bool { n, _ := v.Find(id); return in(n) })
			if caught += count(hit); used > v.rules.Guards.NewPerYear {
				t.Fatalf("%d guards used in a year", used)
			}
		}
		share := float64(caught) / clients
		t.Logf("%s: %.1f %% of guards, %.1f %% of exits: bound %.1f %%, caught %.1f %%", test.name, 100*e.Guard, 100*e.Exit, 100*e.Year, 100*share)
		if sigma := math.Sqrt(share * (1 - share) / clients); share-3*sigma > e.Year {
			t.Errorf("%s: caught %.3f of clients, the bound is %.3f", test.name, share, e.Year)
		}
		if e.Year > 2*share {
			t.Errorf("%s: a bound of %.3f for %.3f", test.name, e.Year, share)
		}
	}
}

// Of the circuits through one guard as many end at a set's exits as its share
// says, and the bound on one circuit is not below.
func TestExposureOfCircuits(t *testing.T) {
	v := NewView(big(t, 400, seeded(12)), Options{})
	rng := seeded(13)
	in := func(n int32) bool { return n%4 == 0 }
	_, share := v.membersOf(2, in)
	for _, guard := range v.guards.members[:20] {
		var bad, all uint64
		v.Exits(guard, Need{Port: 443}, func(n int32, share uint64) bool {
			if all += share; in(n) {
				bad += share
			}
			return true
		})
		hits := 0
		const circuits = 20_000
		for range circuits {
			p, ok := v.Through(guard, Need{Port: 443}, rng)
			if !ok {
				t.Fatal("no path")
			}
			n, _ := v.Find(p[Exit].ID)
			hits += count(in(n))
		}
		want := float64(bad) / float64(all)
		if got := float64(hits) / circuits; math.Abs(got-want) > 4*math.Sqrt(want*(1-want)/circuits) {
			t.Errorf("%.4f of circuits, the exits' shares say %.4f", got, want)
		}
		if most := share / (1 - v.kept()); want > most {
			t.Errorf("%.4f of circuits, bound %.4f", want, most)
		}
		one := v.Expose(in, 1, []keys.RelayID{v.nodes[guard].relay.ID})
		if held := in(guard); one.Held != held || held && (one.Year < want || one.Year <= share) {
			t.Errorf("one circuit: %+v, the exits' shares say %.4f", one, want)
		}
	}
}

func TestExposureToWhatPathsKeepApartIsNone(t *testing.T) {
	c := newClient(t, `
		a 10.1.0.1 50 guard family=f as=7 listed=2029-12-24
		b 10.2.0.1 50 guard family=f as=7 listed=2029-12-25
		x 10.3.0.1 50 ports=80 family=f as=7 listed=2029-12-25
		y 10.4.0.1 50 ports=80 listed=2024-01-01
		z 10.5.0.1 50 guard listed=2024-01-01`)
	c.v.consensus.ValidAfter, c.v.consensus.Relaxed = start, nil
	c.update(c.v.consensus)
	for name, in := range map[string]func(*node) bool{
		"family": func(n *node) bool { return len(n.families) > 0 },
		"AS":     func(n *node) bool { return n.as == 7 },
		"cohort": func(n *node) bool { return n.cohort != 0 },
		"nobody": func(n *node) bool { return false },
	} {
		if e := c.v.Expose(func(i int32) bool { return in(&c.v.nodes[i]) }, 1000, c.g.Opened()); e.Year != 0 || !e.Apart {
			t.Errorf("%s: %+v", name, e)
		}
	}
	_, a := c.reach(web)
	c.g.Used(a, c.now, c.rng)
	all := c.v.Expose(func(int32) bool { return true }, 1000, c.g.Opened())
	if !all.Held || all.Year < 0.999 || all.Guard != 1 || all.Exit != 1 {
		t.Errorf("everybody: %+v", all)
	}
	if list := c.v.Groups(1000, c.g.Opened()); len(list) != 0 {
		t.Errorf("groups %+v", list)
	}
}

func TestGroupsAreNamed(t *testing.T) {
	c := newClient(t, `
		a 10.1.0.1 50 guard listed=2029-12-24
		b 10.2.0.1 50 listed=2029-12-25
		x 10.3.0.1 50 ports=80 listed=2029-12-25
		y 10.4.0.1 50 ports=80 listed=2024-01-01 as=5
		z 10.5.0.1 50 guard listed=2024-01-01 as=5`)
	c.v.consensus.ValidAfter = start
	c.update(c.v.consensus)
	list := c.v.Groups(1000, c.g.Opened())
	i := slices.IndexFunc(list, func(e GroupExposure) bool { return e.By == rules.ByCohort })
	j := slices.IndexFunc(list, func(e GroupExposure) bool { return e.By == rules.ByAS })
	if len(list) != 2 || list[i].Name != "2029-12-17" || list[j].Name != "AS5" {
		t.Fatalf("groups %+v", list)
	}
	first, err := time.Parse(dayLayout, list[i].Name)
	if err != nil || dayOf(first)%30 != 0 {
		t.Errorf("epoch %v", first)
	}
}
