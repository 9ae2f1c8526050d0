package path

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

const ( // our choice
	// maxShare, so that the prefix sums of any consensus fit 64 bits: 2^46 times
	// 2^17 relays. Weights of documents times 10,000 are below.
	maxShare = 1 << 46
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
	rules     *rules.Rules
	sameAS    bool // two relays of one AS are not in one path
	guards    wheel
	middles   wheel
	exits     []int32   // nodes that may be exits for any port at all
	dates     []arrival // of guards, ascending by day

	wheels atomic.Pointer[map[destination]*wheel] // replaced as a whole, by who holds mu
	mu     sync.Mutex
}

// A destination is what of a need decides which exits can serve it.
type destination struct {
	port   uint16
	family Family
}

// A node is one relay of the consensus, with what the rules compare.
type node struct {
	groups
	relay   *directory.Relay
	running bool // running and valid
	shares  directory.Shares
}

// An arrival is what guards' shares sum up to that were first listed on a day or
// before.
type arrival struct {
	day int32
	sum uint64
}

// NewView prepares a consensus.
func NewView(c *directory.Consensus, o Options) *View {
	v := &View{consensus: c, options: o, nodes: make([]node, len(c.Relays))}
	v.rules = rules.Of(c.Params, c.Relaxed, len(c.Relays), 0) // ages are in the shares: none is asked for here
	v.sameAS = !slices.Contains(c.Relaxed, rules.Small) && !slices.Contains(c.Relaxed, rules.Test)
	v.wheels.Store(&map[destination]*wheel{})
	for i := range c.Relays {
		n := &v.nodes[i]
		n.relay = &c.Relays[i]
		n.running = n.relay.Flags.Has(directory.Running | directory.Valid)
		n.shares = n.relay.Shares
		if n.running {
			v.place(int32(i), n)
		}
	}
	v.guards.finish()
	v.middles.finish()
	v.date()
	v.group()
	return v
}

// place puts a running relay where it may be drawn. A relay without a share in a
// position is never drawn for it.
func (v *View) place(i int32, n *node) {
	r := n.relay
	if r.Flags.Has(directory.Guard) {
		v.guards.add(i, n.shares[directory.AsGuard])
	}
	v.middles.add(i, n.shares[directory.AsMiddle])
	if exits(r) && n.shares[directory.AsExit] > 0 {
		v.exits = append(v.exits, i)
	}
}

// exits reports whether the relay's policy allows anything at all.
func exits(r *directory.Relay) bool { return !r.Ports.Empty() || !r.Ports6.Empty() }

// date sums up the guards' shares by the day of their first listing; those whose
// day is not known count as the newest.
func (v *View) date() {
	for i, node := range v.guards.members {
		d := int32(math.MaxInt32)
		if first := v.nodes[node].relay.FirstListed; !first.IsZero() {
			d = dayOf(first)
		}
		v.dates = append(v.dates, arrival{d, v.guards.weight(i)})
	}
	slices.SortFunc(v.dates, func(a, b arrival) int { return cmp.Compare(a.day, b.day) })
	for i := 1; i < len(v.dates); i++ {
		v.dates[i].sum += v.dates[i-1].sum
	}
}

// listedBy returns the sum of the shares of guards first listed on that day or
// before.
func (v *View) listedBy(d int32) uint64 {
	i := sort.Search(len(v.dates), func(i int) bool { return v.dates[i].day > d })
	if i == 0 {
		return 0
	}
	return v.dates[i-1].sum
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

// find returns the node of a relay, -1 if it is not listed as running and valid.
func (v *View) find(id keys.RelayID) int32 {
	relays := v.consensus.Relays // ascending by identity
	i := sort.Search(len(relays), func(i int) bool { return bytes.Compare(relays[i].ID[:], id[:]) >= 0 })
	if i == len(relays) || relays[i].ID != id || !v.nodes[i].running {
		return -1
	}
	return int32(i)
}

// mayGuard reports whether a listed relay would be drawn as a guard today.
func (v *View) mayGuard(n int32) bool {
	return v.nodes[n].relay.Flags.Has(directory.Guard) && v.nodes[n].shares[directory.AsGuard] > 0
}

// exitWheel returns the exits that serve a destination. The wheels of the last
// ports are kept; making one takes a walk over all exits.
func (v *View) exitWheel(d destination) *wheel {
	if w := (*v.wheels.Load())[d]; w != nil {
		return w
	}
	w := new(wheel)
	for _, i := range v.exits {
		if n := &v.nodes[i]; serves(n.relay, d) {
			w.add(i, n.shares[directory.AsExit])
		}
	}
	w.finish()
	v.mu.Lock()
	defer v.mu.Unlock()
	all := maps.Clone(*v.wheels.Load())
	for old := range all {
		if len(all) < maxPortWheels {
			break
		}
		delete(all, old)
	}
	all[d] = w
	v.wheels.Store(&all)
	return w
}
