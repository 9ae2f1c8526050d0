package world

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"tunic/directory"
)

// firstProvider numbers the attacker's autonomous systems: no honest relay is in
// one of them. They are numbers kept for private use.
const firstProvider = 4_200_000_000

// A kind of attacker's relay.
type kind int

const (
	plain kind = iota
	guard
	exit
	kinds
)

// attack adds the attacker's relays.
func (w *World) attack() {
	a := &w.Scenario.Adversary
	if a.Relays == 0 {
		return
	}
	need := w.bandwidths()
	count := deal(a.Relays, need)
	var order []kind
	for k, n := range count {
		for range n {
			order = append(order, kind(k))
		}
	}
	rng := w.Seed.Rand(purposeAttack, 0, 0)
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	place := w.places(rng)
	link := rng.Perm(len(order))
	all, _ := directory.ParsePortSummary("*")
	for i, k := range order {
		n := Node{Bad: true, Last: never, Slot: -1, Family: -1, Version: "attacker",
			Capacity: max(1, uint64(need[k]/float64(count[k]))),
			Flags:    directory.Running | directory.Valid | directory.Fast | directory.Stable,
			Linked:   float64(link[i]) < a.Linkable*float64(len(order))-1e-9}
		n.Claim = max(1, uint64(float64(n.Capacity)*a.ClaimFactor))
		switch k {
		case guard:
			n.Flags, n.TorGuard = n.Flags|directory.Guard, true
		case exit:
			n.Flags, n.Ports = n.Flags|directory.Exit, all
		}
		n.First = -a.WaitDays - a.ArriveOverDays + int(float64(a.ArriveOverDays)*(float64(i)+0.5)/float64(len(order)))
		if a.DeclareFamily {
			n.Family = int32(w.Population.Families)
		}
		n.Addrs, n.AS, n.Range = place(i)
		n.Nickname = fmt.Sprintf("x%d", rng.Uint32())
		binary.BigEndian.PutUint64(n.ID[:], rng.Uint64())
		binary.BigEndian.PutUint64(n.ID[8:], rng.Uint64())
		w.Nodes = append(w.Nodes, n)
	}
}

// deal shares out n relays in proportion to need, at least one where there is
// any. Without any need all are plain.
func deal(n int, need [kinds]float64) (count [kinds]int) {
	sum := need[plain] + need[guard] + need[exit]
	if sum == 0 {
		return [kinds]int{plain: n}
	}
	left := n
	for _, k := range []kind{exit, plain} {
		if need[k] > 0 && left > 1 {
			count[k] = min(max(1, int(float64(n)*need[k]/sum+0.5)), left)
			if need[guard] > 0 {
				count[k] = min(count[k], left-1)
			}
			left -= count[k]
		}
	}
	switch {
	case need[guard] > 0:
		count[guard] = left
	case need[exit] > 0:
		count[exit] += left
	default:
		count[plain] += left
	}
	return count
}

// places returns where each of the attacker's relays stands: in ranges without
// honest relays, /24s and relays dealt evenly.
func (w *World) places(rng *rand.Rand) func(i int) ([]netip.AddrPort, uint32, int32) {
	a := &w.Scenario.Adversary
	taken := map[uint16]bool{}
	for i := range w.Nodes {
		b := w.Nodes[i].Addrs[0].Addr().As4()
		taken[binary.BigEndian.Uint16(b[:])] = true
	}
	var ranges []uint16
	for len(ranges) < a.Slash16 {
		x := uint16(1+rng.IntN(222))<<8 | uint16(rng.IntN(256))
		if !taken[x] || len(taken) > 50_000 {
			taken[x] = true
			ranges = append(ranges, x)
		}
	}
	w.Ranges = len(ranges)
	return func(i int) ([]netip.AddrPort, uint32, int32) {
		net24 := i % a.Slash24
		net16 := net24 % len(ranges)
		third := (net24/len(ranges) + 37*net16) % 256
		host := 1 + (i/a.Slash24)%254
		provider := net16 % a.Providers
		if a.Providers > len(ranges) {
			provider = net24 % a.Providers
		}
		x := ranges[net16]
		addr := netip.AddrFrom4([4]byte{byte(x >> 8), byte(x), byte(third), byte(host)})
		return []netip.AddrPort{netip.AddrPortFrom(addr, 443)}, firstProvider + uint32(provider), int32(net16)
	}
}

// bandwidths returns how much bandwidth of each kind makes the attacker's
// shares. Position weights depend on it in turn, so it is approached.
func (w *World) bandwidths() (need [kinds]float64) {
	a := &w.Scenario.Adversary
	day := w.torDay(0, true)
	for range 500 {
		v := day.with(need)
		g, m, e := day.positions(v)
		want := [kinds]float64{
			guard: part(a.GuardShare, g, float64(v.Wgg)),
			exit:  part(a.ExitShare, e, float64(v.Wee)),
		}
		middles := a.MiddleShare/(1-a.MiddleShare)*m - need[guard]*float64(v.Wmg) - need[exit]*float64(v.Wme)
		want[plain] = max(0, middles/directory.WeightScale)
		for k := range need {
			need[k] += (want[k] - need[k]) / 2
		}
	}
	return need
}

// part is how much of a class with that position weight has share of a position
// where honest relays hold others.
func part(share, others, weight float64) float64 {
	if share == 0 || weight == 0 {
		return 0
	}
	return share / (1 - share) * others / weight
}
