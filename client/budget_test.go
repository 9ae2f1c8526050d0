package client

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tunic/client/path"
)

// unrelaxed publishes a consensus of a network that is neither small nor a test, and
// returns a client that is ready in it.
func (w *world) unrelaxed(t *testing.T) *Client {
	w.relaxed = nil
	w.publish(w.relays())
	c := launch(t, w)
	ready(t, c)
	return c
}

// Who knocks out a client's guard gets it onto another one once a day at most,
// and the user is told why nothing works. The next day it goes on by itself.
func TestGuardsAreNotSpentInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		c := w.unrelaxed(t)
		defer c.Close()
		get(t, c, "first").Close()
		w.kill(guard(c, 0))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := c.Dial(ctx, Request{Host: "example.com", Port: 80}); err == nil {
			t.Fatal("a second guard was used within the day")
		}
		if _, problem := c.status.now(); !strings.Contains(problem, "guard_override") {
			t.Errorf("the user is told %q", problem)
		}
		time.Sleep(24 * time.Hour)
		w.publish(w.relays())
		time.Sleep(time.Hour)
		conn := get(t, c, "second")
		if hops, _ := CircuitHops(conn); hops[0].Nickname == guard(c, 0) && w.dead[relayID(hops[0].Nickname)] {
			t.Error("through a dead guard")
		}
		conn.Close()
	})
}

func TestGuardOverrideTakesNewGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		w.relaxed = nil
		w.publish(w.relays())
		s, err := openStore(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		c, err := start(Config{Network: w.file, Log: quiet, GuardOverride: true}, s, &memory{b: w.bundle}, w, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ready(t, c)
		for i := range 3 {
			get(t, c, string(rune('p'+i))).Close()
			w.kill(guard(c, 0))
			get(t, c, string(rune('x'+i))).Close()
		}
	})
}

// A circuit that was ready through a second new guard takes no request once
// another new guard has had the last of the budget.
func TestReadyCircuitsGoWithTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		c := w.unrelaxed(t)
		defer c.Close()
		c.mu.Lock()
		now := time.Now()
		p, a, err := c.view.Select(c.guards, path.Need{Port: 80}, now, c.rng)
		if err != nil {
			t.Fatal(err)
		}
		c.guards.Failed(a, now, c.rng) // so that the next goes through another
		_, b, err := c.view.Select(c.guards, path.Need{Port: 80}, now, c.rng)
		if err != nil || b.Guard() == a.Guard() {
			t.Fatalf("second attempt: %v", err)
		}
		other := c.pool.add(p, b, path.Need{Port: 80}, now)
		c.mu.Unlock()
		get(t, c, "one").Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		if !other.retired {
			t.Error("a circuit through a guard beyond the budget is kept")
		}
		c.pool.remove(other)
	})
}
