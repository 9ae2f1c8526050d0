package path

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
)

// Whatever happens in whatever order, the guards keep their invariants.
func TestGuardsKeepTheirInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := big(t, rapid.SampledFrom([]int{12, 60, 400}).Draw(rt, "relays"), seeded(rapid.Uint64().Draw(rt, "network")))
		c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(rapid.Uint64().Draw(rt, "seed"))}
		c.update(all)
		var live []*Attempt
		var order []*guard // confirmed so far
		pick := func(rt *rapid.T) *Attempt {
			if len(live) == 0 {
				rt.Skip("no attempt")
			}
			return rapid.SampledFrom(live).Draw(rt, "attempt")
		}
		end := func(a *Attempt) { live = slices.DeleteFunc(live, func(b *Attempt) bool { return a == b }) }
		rt.Repeat(map[string]func(*rapid.T){
			"wait": func(rt *rapid.T) {
				c.after(time.Duration(rapid.SampledFrom([]int64{int64(time.Second), int64(time.Minute), int64(time.Hour), int64(20 * day)}).Draw(rt, "time")))
			},
			"consensus": func(rt *rapid.T) {
				some := *all
				some.Relays = nil
				for _, r := range all.Relays {
					if c.rng.IntN(5) > 0 {
						some.Relays = append(some.Relays, r)
					}
				}
				c.update(&some)
			},
			"select": func(rt *rapid.T) {
				p, a, err := c.v.Select(c.g, Need{Port: 443}, c.now, c.rng)
				if err != nil {
					return
				}
				if p[Guard].ID != a.Guard() || !p[Guard].Flags.Has(directory.Guard) {
					rt.Fatalf("path through %v", p[Guard].Nickname)
				}
				live = append(live, a)
			},
			"reached": func(rt *rapid.T) { c.g.Reached(pick(rt), c.now) },
			"failed":  func(rt *rapid.T) { a := pick(rt); c.g.Failed(a, c.now, c.rng); end(a) },
			"done":    func(rt *rapid.T) { a := pick(rt); c.g.Done(a); end(a) },
			"used": func(rt *rapid.T) {
				a := pick(rt)
				if !c.g.Usable(a, c.now) {
					rt.Skip("not usable")
				}
				c.g.Used(a, c.now, c.rng)
			},
			"probe": func(rt *rapid.T) {
				if a := c.g.Probe(c.now); a != nil {
					if a.guard.reach != Unreachable {
						rt.Fatal("a probe of a guard that is reachable")
					}
					live = append(live, a)
				}
			},
			"restart": func(rt *rapid.T) {
				before := c.g.State()
				g, err := RestoreGuards(before, "test", c.now)
				if err != nil || !reflect.DeepEqual(g.State(), before) {
					rt.Fatalf("restored %v (%v), kept %v", g, err, before)
				}
				c.g, live, order = g, nil, slices.Clone(g.confirmed)
				c.update(c.v.consensus)
			},
			"": func(rt *rapid.T) {
				order = slices.DeleteFunc(order, func(s *guard) bool { return !slices.Contains(c.g.confirmed, s) })
				checkInvariants(rt, c, order)
				order = slices.Clone(c.g.confirmed)
			},
		})
	})
}

func checkInvariants(t *rapid.T, c *client, order []*guard) {
	g := c.g
	if len(g.sample) > maxSample || len(g.primary) > numPrimary || len(g.attempts) > MaxAttempts {
		t.Fatalf("%d sampled, %d primary, %d attempts", len(g.sample), len(g.primary), len(g.attempts))
	}
	if want := min(numPrimary, len(g.sample)); len(g.primary) < want {
		listed := 0
		for _, s := range g.sample {
			if s.node >= 0 {
				listed++
			}
		}
		if listed > len(g.primary) && len(g.primary) < numPrimary {
			t.Fatalf("%d primary of %d listed", len(g.primary), listed)
		}
	}
	seen := map[*guard]bool{}
	for s := range g.ranked {
		if seen[s] || s.node < 0 || !slices.Contains(g.sample, s) {
			t.Fatalf("ranked guard %v", s)
		}
		seen[s] = true
	}
	for _, s := range g.sample {
		if (s.node >= 0) != seen[s] || (s.node >= 0) != s.unlisted.IsZero() {
			t.Fatalf("sampled guard %v is ranked: %v", s, seen[s])
		}
		if s.confirmed.IsZero() == slices.Contains(g.confirmed, s) {
			t.Fatalf("confirmed %v", s)
		}
	}
	if !slices.Equal(g.confirmed[:len(order)], order) {
		t.Fatal("confirmed guards changed their order")
	}
}
