package path

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"sync"

	"tunic/directory"
	"tunic/directory/keys"
)

const ( // our choice
	// maxWeight in kB/s (4 TB/s), so that the prefix sums of any consensus fit
	// 64 bits: 2^32 times the scale of 10,000 times 2^17 relays.
	maxWeight = 1 << 32
	// maxPortWheels bounds the wheels of exits by port that a view keeps.
	maxPortWheels = 64
)

// Options are what a network file changes about the rules.
type Options struct {
	SameSubnet bool // relays of one path may share a /16 or /32
}

// A View is a consensus prepared for drawing paths. It does not change, and may
// be used by several goroutines at once; Select changes the Guards it is given.
type View struct {
	consensus *directory.Consensus
	options   Options
	nodes     []node // in the order of the consensus
	guards    wheel
	middles   wheel
	exits     []int32 // nodes that serve any port at all

	mu     sync.Mutex // guards what follows
	wheels map[destination]*wheel
}

// A destination is what of a need decides which exits can serve it.
type destination struct {
	port   uint16
	family Family
}

// A node is one relay of the consensus, with what the rules compare.
type node struct {
	relay    *directory.Relay
	running  bool     // running and valid
	nets     []uint64 // its /16s and /32s
	families []uint32
	exit     uint64 // weight as an exit
}

// NewView prepares a consensus.
func NewView(c *directory.Consensus, o Options) *View {
	v := &View{consensus: c, options: o, nodes: make([]node, len(c.Relays)), wheels: make(map[destination]*wheel)}
	families := make(map[directory.Digest]uint32)
	for i := range c.Relays {
		r := &c.Relays[i]
		n := &v.nodes[i]
		n.relay, n.running = r, r.Flags.Has(directory.Running|directory.Valid)
		n.nets = netsOf(r)
		for _, f := range r.Family {
			if _, ok := families[f]; !ok {
				families[f] = uint32(len(families))
			}
			n.families = append(n.families, families[f])
		}
		if n.running {
			v.place(int32(i), n)
		}
	}
	return v
}

// place puts a running relay where it may be drawn.
func (v *View) place(i int32, n *node) {
	r := n.relay
	if r.Flags.Has(directory.Guard) {
		v.guards.add(i, v.weight(r, directory.AsGuard))
	}
	v.middles.add(i, v.weight(r, directory.AsMiddle))
	if !r.Ports.Empty() || !r.Ports6.Empty() {
		n.exit = v.weight(r, directory.AsExit)
		v.exits = append(v.exits, i)
	}
}

// weight is bandwidth times position weight; a consensus without position
// weights has plain bandwidth.
func (v *View) weight(r *directory.Relay, p directory.Position) uint64 {
	scale := uint64(directory.WeightScale)
	if w := v.consensus.Weights; w != (directory.PositionWeights{}) {
		scale = w.Of(p, r.Flags)
	}
	return min(r.Weight, maxWeight) * min(scale, directory.WeightScale)
}

// netsOf returns the /16 of each IPv4 address and the /32 of each IPv6 one.
func netsOf(r *directory.Relay) []uint64 {
	var nets []uint64
	for _, ap := range r.Addrs {
		var id uint64
		if a := ap.Addr().Unmap(); a.Is4() {
			b := a.As4()
			id = uint64(binary.BigEndian.Uint16(b[:]))
		} else {
			b := a.As16()
			id = 1<<32 | uint64(binary.BigEndian.Uint32(b[:]))
		}
		if !slices.Contains(nets, id) {
			nets = append(nets, id)
		}
	}
	return nets
}

// Consensus returns what the view was made of.
func (v *View) Consensus() *directory.Consensus { return v.consensus }

// Guards returns how many relays may be guards.
func (v *View) Guards() int { return v.guards.len() }

// Serves reports whether the relay would serve as an exit for the need.
func Serves(r *directory.Relay, n Need) bool {
	return serves(r, destination{n.Port, n.Family}) && !slices.Contains(n.NotExit, r.ID)
}

func serves(r *directory.Relay, d destination) bool {
	allows := func(s directory.PortSummary) bool {
		return d.port == 0 && !s.Empty() || d.port != 0 && s.Allows(d.port)
	}
	switch d.family {
	case IPv4:
		return allows(r.Ports)
	case IPv6:
		return allows(r.Ports6)
	default:
		return allows(r.Ports) || allows(r.Ports6)
	}
}

// guardNode returns the node of a relay that is listed as a guard.
func (v *View) guardNode(id keys.RelayID) (int32, bool) {
	relays := v.consensus.Relays // ascending by identity
	i := sort.Search(len(relays), func(i int) bool { return bytes.Compare(relays[i].ID[:], id[:]) >= 0 })
	if i == len(relays) || relays[i].ID != id || !v.nodes[i].running || !relays[i].Flags.Has(directory.Guard) {
		return -1, false
	}
	return int32(i), true
}

// exitWheel returns the exits that serve a destination. The wheels of the last
// ports are kept; making one takes a walk over all exits.
func (v *View) exitWheel(d destination) *wheel {
	v.mu.Lock()
	defer v.mu.Unlock()
	if w := v.wheels[d]; w != nil {
		return w
	}
	w := new(wheel)
	for _, i := range v.exits {
		if n := &v.nodes[i]; serves(n.relay, d) {
			w.add(i, n.exit)
		}
	}
	if len(v.wheels) >= maxPortWheels {
		for old := range v.wheels {
			delete(v.wheels, old)
			break
		}
	}
	v.wheels[d] = w
	return w
}

// conflict returns the rule by which two relays may not be in one path.
func (v *View) conflict(a, b int32) (Rule, bool) {
	if a == b {
		return RuleSame, true
	}
	x, y := &v.nodes[a], &v.nodes[b]
	if shared(x.families, y.families) {
		return RuleFamily, true
	}
	if !v.options.SameSubnet && shared(x.nets, y.nets) {
		return RuleSubnet, true
	}
	return 0, false
}

// shared reports whether two short lists have a member in common.
func shared[T comparable](a, b []T) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}
