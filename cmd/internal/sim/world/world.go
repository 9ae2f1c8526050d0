// Package world is a network over time: which relays are listed on each day,
// honest ones that come and go, and an attacker's that arrive by a plan. It also
// gives the shares of Tor's weights, which attackers' capacities are measured
// by. It knows no clients and none of tunic's rules.
//
// Specification: docs/sybil.md, "The simulator".
package world

import (
	"bytes"
	"math"
	"net/netip"
	"slices"

	"tunic/cmd/internal/sim/dice"
	"tunic/cmd/internal/sim/population"
	"tunic/cmd/internal/sim/scenario"
	"tunic/directory"
	"tunic/directory/keys"
)

// Lead is how many days before day 0 a world begins: so long that clients have
// guards of all ages by then, as if they had always been there.
const Lead = 730

// never is a day that does not come.
const never = math.MaxInt32

// A Node is a relay as long as it is listed. Days count from the attack, which
// begins on day 0.
type Node struct {
	ID          keys.RelayID
	First, Last int // listed from First until before Last
	Bad         bool
	Linked      bool   // attacker's: detection may see it as one of a set
	Capacity    uint64 // kB/s, in truth
	Claim       uint64 // kB/s, as who believes it would weigh it
	Flags       directory.Flags
	TorGuard    bool // has what Tor's clients ask of a guard
	Ports       directory.PortSummary
	Addrs       []netip.AddrPort
	AS          uint32
	Family      int32 // -1: none
	Nickname    string
	Version     string
	Slot        int32 // which relay of the population it is or stands for; -1: attacker's
	Range       int32 // attacker's /16, counted from 0
}

// Options are the inputs of a world.
type Options struct {
	Seed dice.Seed
	Days int // from day 0
	// MeanStay is how many days an honest relay stays, exponentially; each that
	// leaves is replaced by another. 0: 500.
	MeanStay int
	// TorGuardDays is from which age a relay is a guard to Tor's authorities; if it
	// is not 0, they measure it from the third day on. Tor's take eight days at the
	// least. 0: flags are those of the population, and the attacker's from the first
	// day.
	TorGuardDays int
}

// A World is a network over time.
type World struct {
	Options
	Population *population.Population
	Scenario   *scenario.Scenario
	Nodes      []Node // ascending by identity
	Ranges     int    // the attacker's /16s
}

const (
	purposeStay dice.Purpose = 0x776f7200 + iota
	purposeMove
	purposeAttack
	purposeKnockOut
)

// New makes a world.
func New(p *population.Population, s *scenario.Scenario, o Options) *World {
	if o.MeanStay == 0 {
		o.MeanStay = 500
	}
	w := &World{Options: o, Population: p, Scenario: s}
	for i := range p.Relays {
		w.succession(int32(i))
	}
	w.attack()
	slices.SortFunc(w.Nodes, func(a, b Node) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return w
}

// succession lists the relays of one slot of the population, one after the
// other: the one that is there on day 0, those before it, those after it.
func (w *World) succession(slot int32) {
	r := &w.Population.Relays[slot]
	n := w.node(slot)
	n.First = -r.Age
	rng := w.Seed.Rand(purposeStay, uint64(slot), 0)
	stay := func() int { return 1 + int(rng.ExpFloat64()*float64(w.MeanStay)) }
	n.Last = stay()
	w.Nodes = append(w.Nodes, n)
	for end, k := n.Last, uint64(1); end < w.Days; k++ {
		next := w.replacement(slot, k)
		next.First, next.Last = end, end+stay()
		end = next.Last
		w.Nodes = append(w.Nodes, next)
	}
	for begin, k := n.First, uint64(1)<<32; begin > -Lead; k++ {
		before := w.replacement(slot, k)
		before.First, before.Last = begin-stay(), begin
		begin = before.First
		w.Nodes = append(w.Nodes, before)
	}
}

// node makes a node of a relay of the population.
func (w *World) node(slot int32) Node {
	r := &w.Population.Relays[slot]
	const asked = directory.Guard | directory.Fast | directory.Stable
	return Node{ID: r.ID, Capacity: max(r.Weight, 1), Claim: max(r.Weight, 1), Flags: r.Flags | directory.Running | directory.Valid,
		TorGuard: r.V2Dir && r.Flags.Has(asked), Ports: r.Ports, Addrs: r.Addrs, AS: r.AS, Family: r.Family,
		Nickname: r.Nickname, Version: r.Version, Slot: slot, Range: -1}
}

// replacement makes a newcomer that is worth as much as the slot's relay: in the
// range and provider of another, without family.
func (w *World) replacement(slot int32, k uint64) Node {
	rng := w.Seed.Rand(purposeMove, uint64(slot), k)
	n := w.node(slot)
	other := &w.Population.Relays[rng.IntN(len(w.Population.Relays))]
	a := other.Addrs[0].Addr().As4()
	a[2], a[3] = byte(rng.IntN(256)), byte(1+rng.IntN(254))
	n.Addrs = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4(a), n.Addrs[0].Port())}
	n.AS, n.Family = other.AS, -1
	n.Nickname = w.Population.Relays[rng.IntN(len(w.Population.Relays))].Nickname
	for i := range n.ID {
		n.ID[i] = byte(rng.Uint32())
	}
	return n
}

// Listed returns the nodes that are listed on a day, in order.
func (w *World) Listed(day int, to []int32) []int32 {
	to = to[:0]
	for i := range w.Nodes {
		if n := &w.Nodes[i]; n.First <= day && day < n.Last {
			to = append(to, int32(i))
		}
	}
	return to
}

// KnockedOut says whether the attacker makes an honest guard unreachable that
// day. guards is how many honest guards there are.
func (w *World) KnockedOut(node int32, day, guards int) bool {
	share := w.Scenario.Adversary.ChurnGuardsPerDay
	if share == 0 || day < 0 || w.Nodes[node].Bad || !w.Nodes[node].Flags.Has(directory.Guard) {
		return false
	}
	if share >= 1 {
		share /= float64(max(guards, 1))
	}
	return w.Seed.Float(purposeKnockOut, uint64(node), uint64(day)) < share
}
