package path

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// A simulation that wakes clients only at their events, and when a relay of
// theirs changes, gets the very guards that one with a step an hour gets.
func TestSleepersMissNothing(t *testing.T) {
	w := newWorld(t, 3)
	g := [2]*Guards{NewGuards("test"), NewGuards("test")}
	rng := [2]*rand.Rand{seeded(1), seeded(1)}
	wake, steps := time.Time{}, 0
	var held map[keys.RelayID]directory.Relay
	for now := start; now.Before(start.Add(300 * day)); now = now.Add(period) {
		c := w.step(t, now)
		v := NewView(c, Options{})
		up := func(keys.RelayID) bool { return true }
		g[0].Update(v, now, rng[0])
		always, ok := g[0].Carry(now, rng[0], up)
		changed := false
		for id, before := range held {
			r := c.Relay(id)
			changed = changed || (r == nil) != (before.ID != id) || r != nil && r.Flags != before.Flags
		}
		if wake.IsZero() || !now.Before(wake) || changed {
			steps++
			g[1].Update(v, now, rng[1])
			if _, carried := g[1].Carry(now, rng[1], up); carried != ok {
				t.Fatalf("at %v a guard: %v and %v", now, ok, carried)
			}
			wake = g[1].NextEvent(now)
			held = map[keys.RelayID]directory.Relay{}
			for id := range g[1].Sample {
				if r := c.Relay(id); r != nil {
					held[id] = *r
				} else {
					held[id] = directory.Relay{}
				}
			}
		}
		if first, carries := g[1].First(now); carries != ok || first != always {
			t.Fatalf("at %v the sleeper's guard is %v, the other's %v", now, first, always)
		}
		if !slices.Equal(slices.Collect(g[0].Sample), slices.Collect(g[1].Sample)) {
			t.Fatalf("at %v the samples differ", now)
		}
	}
	t.Logf("%d steps of %d", steps, 300*day/period)
}

// What a simulated client holds.
func TestGuardsAreSmall(t *testing.T) {
	v := NewView(big(t, 1000, seeded(1)), Options{})
	const clients = 2000
	all := make([]*Guards, clients)
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	rng := seeded(2)
	before := memory()
	for i := range all {
		all[i] = NewGuards("test")
		all[i].Update(v, start, rng)
		all[i].Carry(start, rng, func(keys.RelayID) bool { return true })
	}
	each := (memory() - before) / clients
	runtime.KeepAlive(all)
	t.Logf("%d bytes a client", each)
	if each > 2300 {
		t.Errorf("%d bytes a client", each)
	}
}

func BenchmarkThrough(b *testing.B) {
	for _, relays := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("relays=%d", relays), func(b *testing.B) {
			v, rng := NewView(big(b, relays, seeded(1)), Options{}), rand.New(rand.NewChaCha8([32]byte{}))
			guard := v.guards.members[0]
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := v.Through(guard, Need{Port: 443}, rng); !ok {
					b.Fatal("no path")
				}
			}
		})
	}
}

func BenchmarkGuards(b *testing.B) {
	v := NewView(big(b, 10_000, seeded(1)), Options{})
	up := func(keys.RelayID) bool { return true }
	b.Run("fill", func(b *testing.B) {
		rng := seeded(1)
		b.ReportAllocs()
		for b.Loop() {
			NewGuards("test").Update(v, start, rng)
		}
	})
	b.Run("step", func(b *testing.B) {
		g, rng := NewGuards("test"), seeded(1)
		b.ReportAllocs()
		for b.Loop() {
			g.Update(v, start, rng)
			g.Carry(start, rng, up)
			g.NextEvent(start)
		}
	})
}

func TestThroughAllocatesNothing(t *testing.T) {
	v, rng := NewView(big(t, 1000, seeded(1)), Options{}), seeded(1)
	guard := v.guards.members[0]
	if n := testing.AllocsPerRun(1000, func() { v.Through(guard, Need{Port: 443}, rng) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExposure(b *testing.B) {
	c := big(b, 10_000, seeded(1))
	c.ValidAfter = start
	for i := range c.Relays {
		c.Relays[i].Country = string([]byte{'A' + byte(i%7), 'A' + byte(i/7%9)})
	}
	v := NewView(c, Options{})
	for b.Loop() {
		v.Groups(52_560, nil)
	}
}

func TestSelectAllocatesTheAttemptAlone(t *testing.T) {
	v, rng, g := NewView(big(t, 1000, seeded(1)), Options{}), seeded(1), NewGuards("test")
	g.Update(v, start, rng)
	n := testing.AllocsPerRun(1000, func() {
		_, a, err := v.Select(g, Need{Port: 443}, start, rng)
		if err != nil {
			t.Fatal(err)
		}
		g.Done(a)
	})
	if n != 1 {
		t.Errorf("%v allocations", n)
	}
}
