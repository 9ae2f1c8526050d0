// Package ours runs tunic's own rules in virtual time: admission, detection,
// ages, shares and, for each client, the guards of package path. Nothing is
// decided here; what an authority and a client do is called in their order.
//
// Specification: docs/sybil.md, "The simulator".
package ours

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"tunic/client/path"
	"tunic/cmd/internal/sim/dice"
	"tunic/cmd/internal/sim/world"
	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/admission/detect"
	"tunic/directory/admission/weigh"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

const day = 24 * time.Hour

// Inflation is by how much a relay can overstate its bandwidth to several
// measurers at once, as FlashFlow's authors found.
const Inflation = 1.33

// purposes of draws.
const (
	purposeMinute dice.Purpose = 0x6f757200 + iota
	purposeRandom
	purposeRestart
)

// Off are defences that are switched off.
type Off struct{ Refusals, Detection bool }

// A Network is the authorities of a world under tunic's rules. Its days are to
// be opened in order, by one goroutine.
type Network struct {
	world    *world.World
	off      Off
	params   []directory.Param
	relaxed  []string
	rules    *rules.Rules
	detector *detect.Detector
	ages     []admission.Ageing // by node
	families []directory.Digest
	before   int // the day opened last
	opened   bool
	last     []fact // by node: of the day opened last
	groups   []detect.Group

	Refused, Quarantined [2]map[int32]bool // nodes that ever were: honest ones, the attacker's
}

// A fact is what of a relay's standing can change a client's sample.
type fact struct {
	listed, guard bool
	group         directory.Digest
}

// A Day is the network of one day, as clients see it.
type Day struct {
	Number  int
	Now     time.Time
	View    *path.View
	Shares  *world.Shares
	Changed []bool // by node: a client that has it in its sample has to look
	Guards  int    // relays with a share as a guard
	Cuts    []weigh.Cut
	nodes   []int32 // of the consensus' relays
	place   []int32 // the other way, -1: not listed
}

// Bound is the bound that path.Expose computes on what the relays of which bad
// tells can see in a year of a client that begins today: the probability that it
// ever has a circuit with guard and exit of theirs, whatever they do to others.
func (d *Day) Bound(bad func(node int32) bool, circuits int) float64 {
	return d.View.Expose(func(n int32) bool { return bad(d.nodes[n]) }, circuits, nil).Year
}

// NewNetwork returns the authorities of a world. params are parameters of the
// consensus, ascending by name.
func NewNetwork(w *world.World, params []directory.Param, off Off) *Network {
	n := &Network{world: w, off: off, params: params, detector: detect.New(detect.Config{}),
		ages: make([]admission.Ageing, len(w.Nodes)), last: make([]fact, len(w.Nodes))}
	n.relaxed = rules.Relaxed(new(directory.Network), params, len(w.Population.Relays), n.at(0))
	n.rules = rules.Of(params, n.relaxed, len(w.Population.Relays), 0)
	for i := range w.Population.Families + 1 {
		n.families = append(n.families, directory.DigestOf(fmt.Appendf(nil, "tunic sim family %d", i)))
	}
	for k := range n.Refused {
		n.Refused[k], n.Quarantined[k] = map[int32]bool{}, map[int32]bool{}
	}
	return n
}

// Rules returns the rules in force.
func (n *Network) Rules() *rules.Rules { return n.rules }

// date is a day of the simulation, counted from 1970.
func (n *Network) date(d int) int { return n.world.Population.Day + d }

// at is noon of a day.
func (n *Network) at(d int) time.Time {
	return time.Unix(int64(n.date(d))*int64(day/time.Second), 0).UTC().Add(day / 2)
}

// Open works out the network of a day, later than the one before.
func (n *Network) Open(number int) *Day {
	listed := n.world.Listed(number, nil)
	n.grow(listed, number)
	relays := make([]admission.Relay, len(listed))
	for k, i := range listed {
		relays[k] = n.relay(i, number)
	}
	n.judge(relays, listed, number)
	relays, listed = n.admit(relays, listed, number)
	result := weigh.Explain(relays, n.rules, n.date(number))
	d := n.day(relays, listed, result, number)
	n.before, n.opened = number, true
	return d
}

// grow adds the days since the one opened before to the relays' ages. A relay
// that is met for the first time has served since it was listed.
func (n *Network) grow(listed []int32, number int) {
	guards := 0
	for _, i := range listed {
		if n.world.Nodes[i].Flags.Has(directory.Guard) {
			guards++
		}
	}
	for _, i := range listed {
		a, first := &n.ages[i], n.world.Nodes[i].First
		if *a == (admission.Ageing{}) {
			*a = admission.Ageing{Days: max(0, number-first), Last: n.date(number) - 1}
		}
		for d := max(n.before+1, first); n.opened && d < number; d++ {
			a.Observe(n.date(d), true, n.rules)
		}
		a.Observe(n.date(number), !n.world.KnockedOut(i, number, guards), n.rules)
	}
}

// relay is what a vote says of a node.
func (n *Network) relay(i int32, number int) admission.Relay {
	x := &n.world.Nodes[i]
	r := admission.Relay{ID: x.ID, AS: x.AS, First: n.date(x.First), Age: n.ages[i].Age(n.date(number), n.rules),
		Flags: x.Flags, Exits: !x.Ports.Empty(), Weight: measured(x)}
	for _, a := range x.Addrs {
		r.Addrs = append(r.Addrs, a.Addr())
	}
	if x.Family >= 0 {
		r.Family = n.families[x.Family : x.Family+1]
	}
	return r
}

// measured is what honest measurers find.
func measured(x *world.Node) uint64 {
	return min(x.Claim, uint64(float64(x.Capacity)*Inflation)+1)
}

// judge runs detection, and puts relays into groups and quarantine.
func (n *Network) judge(relays []admission.Relay, listed []int32, number int) {
	if n.off.Detection {
		return
	}
	subjects := make([]detect.Subject, 0, len(relays))
	index := make(map[keys.RelayID]int, len(relays))
	for k, i := range listed {
		if x := &n.world.Nodes[i]; !x.Bad || x.Linked {
			subjects = append(subjects, n.subject(i, relays[k]))
			index[x.ID] = k
		}
	}
	now := n.at(number)
	n.groups = n.detector.Run(subjects, now, n.rules)
	stay := time.Duration(n.rules.Detection.Quarantine) * time.Minute
	for g := range n.groups {
		for m, id := range n.groups[g].Members {
			k, ok := index[id]
			if !ok {
				continue
			}
			relays[k].Group = n.groups[g].ID
			if now.Sub(n.groups[g].Joined[m]) < stay {
				relays[k].Quarantined = true
				n.Quarantined[side(n.world, listed[k])][listed[k]] = true
			}
		}
	}
}

// side is 1 for the attacker's relays, as an index.
func side(w *world.World, i int32) int {
	if w.Nodes[i].Bad {
		return 1
	}
	return 0
}

// subject is what detection is shown of a node. The attacker's linked relays are
// set up alike, and restarted together.
func (n *Network) subject(i int32, r admission.Relay) detect.Subject {
	x := &n.world.Nodes[i]
	minute := n.world.Seed.Of(purposeMinute, uint64(i), 0) % (24 * 60)
	s := detect.Subject{Relay: r, Nickname: x.Nickname, Version: x.Version, Policy: x.Ports.String(),
		Port: x.Addrs[0].Port(), Rate: x.Capacity * 1000, Burst: x.Capacity * 2000}
	if x.Linked {
		minute = 600 + minute%60
		s.Port, s.Rate, s.Burst, s.Contact = 4711, 12_345_678, 23_456_789, "attacker"
		s.Policy += " linked"
		for k := range 6 { // updates of all of its machines, once a month
			if at := n.date(30 * (k - 3)); at >= n.date(x.First) {
				s.Starts = append(s.Starts, int64(at)*24*60+int64(600+7*k))
			}
		}
	}
	s.Seen = n.at(x.First).Add(time.Duration(minute)*time.Minute - day/2)
	return s
}

// admit leaves out the relays that limits refuse.
func (n *Network) admit(relays []admission.Relay, listed []int32, number int) ([]admission.Relay, []int32) {
	if n.off.Refusals {
		return relays, listed
	}
	var random directory.Digest
	binary.BigEndian.PutUint64(random[:], n.world.Seed.Of(purposeRandom, uint64(number+world.Lead), 0))
	kept, nodes := relays[:0], make([]int32, 0, len(listed))
	refusals := admission.Refusals(relays, n.rules, random)
	for k, rule := range refusals {
		if rule != "" {
			n.Refused[side(n.world, listed[k])][listed[k]] = true
			continue
		}
		kept, nodes = append(kept, relays[k]), append(nodes, listed[k])
	}
	return kept, nodes
}

// day makes the consensus that clients are given.
func (n *Network) day(relays []admission.Relay, listed []int32, result weigh.Result, number int) *Day {
	d := &Day{Number: number, Now: n.at(number), Cuts: result.Cuts, nodes: listed,
		place: slices.Repeat([]int32{-1}, len(n.world.Nodes)), Changed: make([]bool, len(n.world.Nodes))}
	c := &directory.Consensus{ValidAfter: d.Now, Params: n.params, Relaxed: n.relaxed, Weights: result.Weights,
		Relays: make([]directory.Relay, len(relays))}
	now := make([]fact, len(n.world.Nodes))
	for k, i := range listed {
		x, r := &n.world.Nodes[i], &relays[k]
		c.Relays[k] = directory.Relay{ID: x.ID, Addrs: x.Addrs, Flags: x.Flags, Weight: r.Weight, Ports: x.Ports, Family: r.Family,
			FirstListed: time.Unix(int64(r.First)*int64(day/time.Second), 0).UTC(), Age: r.Age, AS: r.AS, Group: r.Group, Shares: result.Shares[k]}
		if r.Quarantined {
			c.Relays[k].Flags &^= directory.Guard | directory.Exit
			c.Relays[k].Ports = directory.PortSummary{}
		}
		if result.Shares[k][directory.AsGuard] > 0 {
			d.Guards++
		}
		d.place[i] = int32(k)
		now[i] = fact{true, result.Shares[k][directory.AsGuard] > 0 && !r.Quarantined, r.Group}
	}
	for i := range now {
		d.Changed[i] = now[i] != n.last[i]
	}
	n.last = now
	d.View = path.NewView(c, path.Options{})
	d.Shares = n.world.Chances(number, listed, func(k int) (g, m, e float64) {
		s := &result.Shares[k]
		return float64(s[directory.AsGuard]), float64(s[directory.AsMiddle]), float64(s[directory.AsExit])
	})
	return d
}
