package path

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"tunic/directory/keys"
)

// A path through the second layer: its middle is one of few that stay for days,
// its three relays go together, and every member carries its part.
func TestSelectViaTakesFewMiddles(t *testing.T) {
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(2)}
	consensus := big(t, 400, seeded(2))
	consensus.ValidAfter = start
	c.update(consensus)
	middles, last := map[keys.RelayID]int{}, map[keys.RelayID]bool{}
	for range 4000 {
		p, a, err := c.v.SelectVia(c.g, Need{}, c.now, c.rng)
		if err != nil {
			t.Fatal(err)
		}
		c.g.Done(a)
		for i, x := range p {
			for _, y := range p[:i] {
				if !together(consensus, x, y, false) {
					t.Fatalf("%s and %s in one path", x.Nickname, y.Nickname)
				}
			}
		}
		middles[p[Middle].ID]++
		last[p[Exit].ID] = true
	}
	if len(middles) != 4 || len(last) < 50 {
		t.Errorf("%d middles and %d last relays", len(middles), len(last))
	}
	for id, n := range middles {
		if n < 800 || n > 1200 {
			t.Errorf("%s in %d of 4000 paths", c.name(id), n)
		}
	}
	for i, x := range c.g.second {
		for _, y := range c.g.second[:i] {
			if c.v.nodes[x.node].cohort == c.v.nodes[y.node].cohort || !together(consensus, c.v.nodes[x.node].relay, c.v.nodes[y.node].relay, false) {
				t.Error("two of the second layer are of one group")
			}
		}
	}
	before := c.g.State().Layer2
	c.g = restored(t, c)
	c.g.Update(c.v, c.now, c.rng)
	if _, _, err := c.v.SelectVia(c.g, Need{}, c.now, c.rng); err != nil || !slices.Equal(c.g.State().Layer2, before) {
		t.Errorf("after a restart %v (%v), before %v", c.g.State().Layer2, err, before)
	}
}

// Lifetimes are the greater of two draws: their mean lies at two thirds.
func TestSecondLayerLivesLong(t *testing.T) {
	rng := seeded(4)
	sum := 0.0
	const n = 20_000
	for range n {
		life := time.Duration(secondLife(24, 288, rng)) * time.Second
		if life < 24*time.Hour || life > 288*time.Hour {
			t.Fatalf("a life of %v", life)
		}
		sum += (life - 24*time.Hour).Hours() / 264
	}
	if mean := sum / n; math.Abs(mean-2.0/3) > 0.01 {
		t.Errorf("the mean lies at %.3f, want two thirds", mean)
	}
}

// Knocking out members of the second layer gets an attacker as many other ones
// in until their time is over, and no more.
func TestSecondLayerIsReplacedOnce(t *testing.T) {
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(2)}
	all := big(t, 400, seeded(2))
	all.ValidAfter = start
	c.update(all)
	_, first, err := c.v.SelectVia(c.g, Need{}, c.now, c.rng)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[keys.RelayID]bool{}
	for range 5 {
		gone := *all
		gone.Relays = nil
		for _, s := range c.g.second {
			seen[s.id] = true
		}
		for _, r := range all.Relays {
			if !seen[r.ID] || r.ID == first.Guard() {
				gone.Relays = append(gone.Relays, r)
			}
		}
		c.update(&gone)
		_, _, err = c.v.SelectVia(c.g, Need{}, c.now, c.rng)
	}
	if len(seen) != 8 {
		t.Errorf("%d relays were of the second layer", len(seen))
	}
	if _, ok := errors.AsType[*NoPathError](err); !ok {
		t.Errorf("with none of them left: %v", err)
	}
	c.after(13 * day)
	c.update(all)
	if _, _, err = c.v.SelectVia(c.g, Need{}, c.now, c.rng); err != nil || len(c.g.second) != c.v.rules.Guards.Layer2 {
		t.Errorf("after their time: %d members, %v", len(c.g.second), err)
	}
}

// However much of the middles' share a family has, the second layer has one of
// it at most.
func TestSecondLayerBoundsGroups(t *testing.T) {
	drawing := crowd(60, func(i int) string { return fmt.Sprintf("11.%d.0.1 1000 family=f", i) })
	for seed := range uint64(10) {
		c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(seed)}
		c.update(strict(t, drawing))
		if _, _, err := c.v.SelectVia(c.g, Need{}, c.now, c.rng); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range c.g.second {
			n += count(c.name(s.id)[0] == 'c')
		}
		if n > 1 || len(c.g.second) != 4 {
			t.Errorf("%d of one family among %d", n, len(c.g.second))
		}
	}
}
