package path

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"tunic/directory"
)

// Exits and middles are drawn by bandwidth and position weight among those
// that go with what was taken before.
func TestPathsAreDrawnByWeight(t *testing.T) {
	c := big(t, 60, seeded(3))
	c.Weights = directory.WeightsOf(c.Relays)
	share(c)
	v := NewView(c, Options{})
	g, rng := NewGuards("test"), seeded(4)
	g.Update(v, start, rng)
	n := Need{Port: 443}

	exits, middles := map[*directory.Relay]int{}, map[*directory.Relay]map[*directory.Relay]int{}
	const draws = 200_000
	var guard *directory.Relay
	for range draws {
		p, a, err := v.Select(g, n, start, rng)
		if err != nil {
			t.Fatal(err)
		}
		g.Done(a)
		guard = p[Guard]
		exits[p[Exit]]++
		if middles[p[Exit]] == nil {
			middles[p[Exit]] = map[*directory.Relay]int{}
		}
		middles[p[Exit]][p[Middle]]++
	}
	check := func(what string, got map[*directory.Relay]int, position directory.Position, allowed func(*directory.Relay) bool) {
		var counts []int
		var weights []float64
		for i := range c.Relays {
			r := &c.Relays[i]
			w := float64(r.Weight) * float64(c.Weights.Of(position, r.Flags))
			if allowed(r) && w > 0 {
				counts, weights = append(counts, got[r]), append(weights, w)
			}
		}
		if x := chiSquare(counts, weights); x > limit(len(counts)) {
			t.Errorf("%s: chi square %.1f over %d relays, limit %.1f", what, x, len(counts), limit(len(counts)))
		}
	}
	check("exits", exits, directory.AsExit, func(r *directory.Relay) bool {
		return together(c, guard, r, false) && serves(r, destination{port: 443})
	})
	var common *directory.Relay
	for x, k := range exits {
		if common == nil || k > exits[common] {
			common = x
		}
	}
	check("middles", middles[common], directory.AsMiddle, func(m *directory.Relay) bool {
		return together(c, guard, m, false) && together(c, common, m, false)
	})
}

// First guards of many clients are spread by bandwidth and position weight.
func TestGuardsAreDrawnByWeight(t *testing.T) {
	c := big(t, 90, seeded(5))
	c.Weights = directory.WeightsOf(c.Relays)
	share(c)
	v, rng := NewView(c, Options{}), seeded(6)
	first := map[int32]int{}
	for range 10_000 {
		g := NewGuards("test")
		g.Update(v, start, rng)
		first[g.primary[0].node]++
	}
	var counts []int
	var weights []float64
	for i, m := range v.guards.members {
		counts, weights = append(counts, first[m]), append(weights, float64(v.guards.weight(i)))
	}
	if x := chiSquare(counts, weights); x > limit(len(counts)) {
		t.Errorf("chi square %.1f over %d guards, limit %.1f", x, len(counts), limit(len(counts)))
	}
}

// Weights and position weights say nothing where a relay has no share.
func TestNothingIsDrawnWithoutShares(t *testing.T) {
	c := big(t, 60, seeded(3))
	c.Weights = directory.WeightsOf(c.Relays)
	for i := range c.Relays {
		c.Relays[i].Shares = directory.Shares{}
	}
	v, g := NewView(c, Options{}), NewGuards("test")
	g.Update(v, start, seeded(1))
	_, _, err := v.Select(g, web, start, seeded(1))
	if none, ok := errors.AsType[*NoPathError](err); !ok || none.Position != Guard || none.Rule() != RuleShare {
		t.Errorf("Select: %v", err)
	}
}

// Ports beyond those that a view remembers still get the right exits.
func TestManyPorts(t *testing.T) {
	c := newClient(t, "a 10.1.0.1 1 guard\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=1-1000\ny 10.4.0.1 1 ports=1001-2000")
	for port := uint16(1); port <= 2000; port++ {
		want := "x"
		if port > 1000 {
			want = "y"
		}
		p, a := c.get(Need{Port: port})
		c.g.Done(a)
		if p[Exit].Nickname != want {
			t.Fatalf("port %d: exit %s", port, p[Exit].Nickname)
		}
	}
	if n := len(*c.v.wheels.Load()); n > maxPortWheels {
		t.Errorf("%d ports are remembered", n)
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, relays := range []int{7, 1000, 10_000} {
		b.Run(fmt.Sprintf("relays=%d", relays), func(b *testing.B) {
			c := big(b, relays, seeded(1))
			if relays < 10 {
				c = draw(b, seven)
			}
			v, g, rng := NewView(c, Options{}), NewGuards("test"), rand.New(rand.NewChaCha8([32]byte{}))
			g.Update(v, start, rng)
			n := Need{Port: 443}
			b.ReportAllocs()
			for b.Loop() {
				_, a, err := v.Select(g, n, start, rng)
				if err != nil {
					b.Fatal(err)
				}
				g.Done(a)
			}
		})
	}
}

func BenchmarkNewView(b *testing.B) {
	c := big(b, 10_000, seeded(1))
	b.ReportAllocs()
	for b.Loop() {
		NewView(c, Options{})
	}
}
