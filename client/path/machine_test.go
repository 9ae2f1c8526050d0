package path

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/rules"
)

// Whatever happens in whatever order, the guards keep their invariants.
func TestGuardsKeepTheirInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := big(t, rapid.SampledFrom([]int{12, 60, 400}).Draw(rt, "relays"), seeded(rapid.Uint64().Draw(rt, "network")))
		all.Relaxed = rapid.SampledFrom([][]string{nil, {rules.Small}, {rules.Test}}).Draw(rt, "relaxed")
		c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(rapid.Uint64().Draw(rt, "seed"))}
		c.update(all)
		var live []*Attempt
		var order []*guard      // the sample so far
		used := map[int32]int{} // guards newly used, by day
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
				counted := a.guard.opened // when it was passed over
				if c.g.Used(a, c.now, c.rng) && !counted {
					used[dayOf(c.now)]++
				}
				if !a.guard.opened && a.guard.confirmed != 0 {
					rt.Fatal("a guard that carries traffic was not counted")
				}
			},
			"probe": func(rt *rapid.T) {
				if a := c.g.Probe(c.now); a != nil {
					if a.guard.reach() != Unreachable {
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
				c.g, live, order = g, nil, slices.Clone(g.sample)
				c.update(c.v.consensus)
			},
			"": func(rt *rapid.T) {
				order = checkOrder(rt, c.g, order)
				checkInvariants(rt, c)
				checkBudget(rt, c, used)
			},
		})
	})
}

// checkOrder holds that guards keep the order in which they were sampled: what
// is drawn comes last.
func checkOrder(t *rapid.T, g *Guards, before []*guard) []*guard {
	left := slices.DeleteFunc(slices.Clone(before), func(s *guard) bool { return !slices.Contains(g.sample, s) })
	if !slices.Equal(g.sample[:len(left)], left) {
		t.Fatal("guards changed their order")
	}
	return slices.Clone(g.sample)
}

func checkInvariants(t *rapid.T, c *client) {
	g := c.g
	if len(g.sample) > maxSample || len(g.primary) > g.rules().Primary || len(g.attempts) > MaxAttempts {
		t.Fatalf("%d sampled, %d primary, %d attempts", len(g.sample), len(g.primary), len(g.attempts))
	}
	for i, p := range g.primary {
		for _, q := range g.primary[:i] {
			if rule, bad := c.v.conflict(p.node, q.node); bad {
				t.Fatalf("two primary guards are not %v", rule)
			}
		}
	}
	seen := map[*guard]bool{}
	for s := range g.ranked {
		if seen[s] || !s.listed() || !slices.Contains(g.sample, s) {
			t.Fatalf("ranked guard %v", s)
		}
		if !slices.Contains(g.primary, s) && len(g.primary) < g.rules().Primary && !g.clashes(s) {
			t.Fatalf("%d primary, and %v is not", len(g.primary), s)
		}
		seen[s] = true
	}
	for _, s := range g.sample {
		if s.listed() != seen[s] || s.fit != (s.unlisted == 0) {
			t.Fatalf("sampled guard %v is ranked: %v", s, seen[s])
		}
	}
	checkBounds(t, g)
}

// checkBounds holds the bounds on groups against the guards that may be used.
func checkBounds(t *rapid.T, g *Guards) {
	r := g.rules()
	nets, ases := map[uint64]int{}, map[uint32]int{}
	for s := range g.ranked {
		n := &g.view.nodes[s.node]
		for _, net := range n.nets {
			if nets[net]++; nets[net] > r.PerSubnet {
				t.Fatalf("%d guards of one subnet", nets[net])
			}
		}
		if ases[n.as]++; n.as != 0 && ases[n.as] > r.PerAS {
			t.Fatalf("%d guards of one AS", ases[n.as])
		}
	}
}

// checkBudget holds the limits on guards newly used, day by day.
func checkBudget(t *rapid.T, c *client, used map[int32]int) {
	r := c.g.rules()
	for today := range used {
		sum := func(days int32) (n int) {
			for d, k := range used {
				if ago := today - d; ago >= 0 && ago < days {
					n += k
				}
			}
			return n
		}
		for _, limit := range []struct{ days, most int }{{1, r.NewPerDay}, {30, r.NewPerMonth}, {365, r.NewPerYear}} {
			if n := sum(int32(limit.days)); limit.most > 0 && n > limit.most {
				t.Fatalf("%d guards newly used in %d days", n, limit.days)
			}
		}
	}
}
