package ours

import (
	"math"
	"sync/atomic"

	"tunic/client/path"
	"tunic/cmd/internal/sim/dice"
	"tunic/cmd/internal/sim/world"
	"tunic/directory/keys"
)

// wake is after how many days at most a client looks at the consensus, so that
// views of long ago are let go of. Nothing comes of it.
const wake = 30

// Clients are many clients of one network. They are stepped independently of
// each other, several at once.
type Clients struct {
	world *world.World
	byID  map[keys.RelayID]int32 // nodes
	all   []client
}

// A client is its guards, and what is needed to see that nothing has changed.
type client struct {
	guards  *path.Guards
	sample  []int32 // nodes
	due     int32   // day of the next event
	first   int32   // node of the guard that carries traffic, -1: none
	aside   bool    // it is not the one that would, if all could be reached
	changes int32   // guards that it ever used
}

// NewClients returns clients that have no guards yet.
func NewClients(w *world.World, count int) *Clients {
	c := &Clients{world: w, byID: make(map[keys.RelayID]int32, len(w.Nodes)), all: make([]client, count)}
	for i := range w.Nodes {
		c.byID[w.Nodes[i].ID] = int32(i)
	}
	return c
}

// Step brings a client to a day and returns the guard that its circuits of the
// day go through, -1 if none may. down says which the attacker makes
// unreachable, nil: none.
func (c *Clients) Step(k int, d *Day, down func(node int32) bool, rng func() *dice.Dice) int32 {
	me := &c.all[k]
	if me.guards == nil {
		me.guards, me.first = path.NewGuards("sim"), -1
		c.look(me, d, down, rng())
		me.due = min(me.due, int32(d.Number+k%wake))
		return me.first
	}
	if int32(d.Number) >= me.due || me.aside || me.first < 0 || c.changed(me, d) || down != nil && down(me.first) {
		c.look(me, d, down, rng())
	}
	return me.first
}

func (c *Clients) changed(me *client, d *Day) bool {
	for _, i := range me.sample {
		if d.Changed[i] {
			return true
		}
	}
	return false
}

// look does what a client does with a consensus, and with its first circuit.
func (c *Clients) look(me *client, d *Day, down func(node int32) bool, rng *dice.Dice) {
	g := me.guards
	g.Update(d.View, d.Now, rng.Rand)
	hit := false
	before := me.first
	id, ok := g.Carry(d.Now, rng.Rand, func(id keys.RelayID) bool {
		if down != nil && down(c.byID[id]) {
			hit = true
			return false
		}
		return true
	})
	me.first, me.aside = -1, hit
	if ok {
		me.first = c.byID[id]
		if me.first != before {
			me.changes++
		}
	}
	me.sample = me.sample[:0]
	for id := range g.Sample {
		me.sample = append(me.sample, c.byID[id])
	}
	me.due = int32(d.Number + wake)
	if next := g.NextEvent(d.Now); !next.IsZero() {
		me.due = min(me.due, int32(d.Number)+max(1, int32(math.Ceil(float64(next.Sub(d.Now))/float64(day)))))
	}
}

// Chances are the chances, by guard, that a circuit of a day has an exit of the
// attacker's. They are worked out when they are first asked for.
type Chances struct {
	world *world.World
	day   *Day
	known []atomic.Uint64 // by node: bits of the chance plus 1, 0: not known
}

// NewChances returns the chances of a day.
func NewChances(w *world.World, d *Day) *Chances {
	return &Chances{world: w, day: d, known: make([]atomic.Uint64, len(w.Nodes))}
}

// Of returns the chance that a circuit through an attacker's guard has an exit
// of the attacker's as well: by the exact weights, with all exclusions, the mean
// over the clients' ports.
func (c *Chances) Of(guard int32) float64 {
	if b := c.known[guard].Load(); b != 0 {
		return math.Float64frombits(b) - 1
	}
	p := 0.0
	if node := c.day.place[guard]; node >= 0 {
		ports := c.world.Scenario.Clients.Ports
		for _, port := range ports {
			p += c.through(node, port) / float64(len(ports))
		}
	}
	c.known[guard].Store(math.Float64bits(p + 1))
	return p
}

func (c *Chances) through(node int32, port uint16) float64 {
	bad, all := 0.0, 0.0
	for x, share := range c.exits(node, port) {
		all += float64(share)
		if c.world.Nodes[c.day.nodes[x]].Bad {
			bad += float64(share)
		}
	}
	if all == 0 {
		return 0
	}
	return bad / all
}

func (c *Chances) exits(node int32, port uint16) func(func(int32, uint64) bool) {
	return func(yield func(int32, uint64) bool) { c.day.View.Exits(node, path.Need{Port: port}, yield) }
}

// Used returns how many guards have carried a client's traffic, one after the
// other.
func (c *Clients) Used(k int) int { return int(c.all[k].changes) }
