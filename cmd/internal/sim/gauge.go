package sim

import (
	"math"
	"slices"
	"sort"

	"tunic/cmd/internal/sim/dice"
	"tunic/cmd/internal/sim/world"
	"tunic/directory"
)

const ( // our choice
	// paths are drawn to find the median of what circuits carry.
	paths = 20_000
	// seriesStride is how many days pass between two points of a plot.
	seriesStride = 3
	// full is the load at which a relay counts as full: its last hundredth is
	// shared by all that wait.
	full = 0.99
	// newcomerDays is how long a newcomer is followed.
	newcomerDays = 180
	// matureAge is from when a relay counts as grown up.
	matureAge = 730
)

// figures are what is found out of the shares of an algorithm, without clients.
type figures struct {
	entropy, minEntropy [3]float64 // bits, by directory.Position
	attacker            [3]float64 // its share of each position
	loadP95, loadMax    float64    // load ÷ capacity
	idle                float64    // share of what honest relays carry under Tor's weights without attack that they do not
	throughput          float64    // kB/s, median of circuits
	relative            float64    // throughput ÷ that of Tor's weights on the same day
	bound               float64    // on the probability that a client is compromised within a year; tunic's alone
	newcomer            int        // days until an honest newcomer carries half; -1: it does not within newcomerDays
	series              []point
	lorenz              []float64 // share of the traffic that the least loaded carry, by share of capacity, in fiftieths
}

// A point is the attacker's share of each position on a day.
type point struct {
	Day   int
	Share [3]float64
}

// A gauge measures shares.
type gauge struct {
	world  *world.World
	seed   dice.Seed
	demand float64 // kB/s that clients move in all, which each position carries once
	growth map[source]*growth
}

// growth adds up what honest relays carry by age.
type growth struct {
	carried, whole [newcomerDays]float64
}

func newGauge(w *world.World, seed dice.Seed) *gauge {
	return &gauge{world: w, seed: seed, demand: w.Scarcest() / 2, growth: map[source]*growth{}}
}

// sharesOf returns the shares that a lane's clients choose by.
func sharesOf(l *lane, m morning) *world.Shares {
	switch m := m.(type) {
	case *tunicDay:
		return m.Shares
	case *torDay:
		if l.algorithm == Uniform {
			return m.even
		}
		return m.shares
	}
	return nil
}

// measure takes the figures of a day: some each day, all on the last.
func (g *gauge) measure(l *lane, day int, last bool, m morning) {
	s := sharesOf(l, m)
	f := &l.gauged
	if day%seriesStride == 0 || last {
		f.series = append(f.series, point{day, g.attacker(s)})
	}
	if l.algorithm == Tunic && l.start == l.run.Starts[0] {
		g.grow(l.source, s)
	}
	if !last {
		return
	}
	f.attacker = g.attacker(s)
	for p, x := range [][]float64{s.Guard, s.Middle, s.Exit} {
		f.entropy[p], f.minEntropy[p] = entropy(x)
	}
	load := g.load(s)
	f.loadP95, f.loadMax, f.lorenz = g.spread(s, load)
	rivals := g.world.Tor(day)
	usual := g.load(rivals)
	f.idle = g.idle(s, load, g.without(rivals))
	f.throughput = g.throughput(s, load)
	f.relative = f.throughput / g.throughput(rivals, usual)
	f.newcomer = g.newcomer(l.source)
	if m, ok := m.(*tunicDay); ok {
		f.bound = m.Bound(func(n int32) bool { return g.world.Nodes[n].Bad }, int(365*l.run.Scenario.Clients.StreamsPerDay))
	}
}

// attacker returns the attacker's share of each position.
func (g *gauge) attacker(s *world.Shares) (share [3]float64) {
	for k, i := range s.Listed {
		if g.world.Nodes[i].Bad {
			share[directory.AsGuard] += s.Guard[k]
			share[directory.AsMiddle] += s.Middle[k]
			share[directory.AsExit] += s.Exit[k]
		}
	}
	return share
}

// entropy returns the entropy and the min-entropy of chances, in bits.
func entropy(chances []float64) (shannon, least float64) {
	greatest := 0.0
	for _, p := range chances {
		if p > 0 {
			shannon -= p * math.Log2(p)
		}
		greatest = max(greatest, p)
	}
	if greatest > 0 {
		least = -math.Log2(greatest)
	}
	return shannon, least
}

// load returns what each relay has to carry, kB/s.
func (g *gauge) load(s *world.Shares) []float64 {
	load := make([]float64, len(s.Listed))
	for k := range load {
		load[k] = g.demand * (s.Guard[k] + s.Middle[k] + s.Exit[k])
	}
	return load
}

// spread returns the load of relays beside their capacity: the 95th percentile
// and the maximum, and the Lorenz curve.
func (g *gauge) spread(s *world.Shares, load []float64) (p95, most float64, lorenz []float64) {
	type relay struct{ load, capacity float64 }
	all := make([]relay, len(load))
	var loads, capacities float64
	for k, i := range s.Listed {
		all[k] = relay{load[k], float64(g.world.Nodes[i].Capacity)}
		loads, capacities = loads+load[k], capacities+all[k].capacity
	}
	sort.Slice(all, func(i, j int) bool { return all[i].load/all[i].capacity < all[j].load/all[j].capacity })
	const points = 50
	lorenz = make([]float64, points+1)
	var l, c float64
	for _, r := range all {
		l, c = l+r.load, c+r.capacity
		if p95 == 0 && c >= 0.95*capacities {
			p95 = r.load / r.capacity
		}
		if loads > 0 {
			lorenz[int(points*c/capacities+1e-9)] = l / loads
		}
		most = r.load / r.capacity
	}
	for i := 1; i <= points; i++ {
		lorenz[i] = max(lorenz[i], lorenz[i-1])
	}
	return p95, most, lorenz
}

// without returns loads as they would be without the attacker's relays.
func (g *gauge) without(s *world.Shares) []float64 {
	bad := g.attacker(s)
	load := make([]float64, len(s.Listed))
	for k, i := range s.Listed {
		if !g.world.Nodes[i].Bad {
			load[k] = g.demand * (part(s.Guard[k], bad[0]) + part(s.Middle[k], bad[1]) + part(s.Exit[k], bad[2]))
		}
	}
	return load
}

func part(x, bad float64) float64 {
	if bad >= 1 {
		return 0
	}
	return x / (1 - bad)
}

// idle is how much of what honest relays carry usually they do not carry.
func (g *gauge) idle(s *world.Shares, load, usual []float64) float64 {
	at := make(map[int32]float64, len(load))
	for k, i := range s.Listed {
		at[i] = load[k]
	}
	var lost, all float64
	for k, i := range g.world.Tor(s.Day).Listed {
		lost += max(0, usual[k]-at[i])
		all += usual[k]
	}
	if all == 0 {
		return 0
	}
	return lost / all
}

// throughput is the median of what circuits carry: each relay shares what its
// load leaves, as a processor shared by flows that come at random does, and a
// circuit carries what the tightest of its relays leaves it.
func (g *gauge) throughput(s *world.Shares, load []float64) float64 {
	left := make([]float64, len(load))
	for k, i := range s.Listed {
		c := float64(g.world.Nodes[i].Capacity)
		left[k] = c * (1 - min(load[k]/c, full))
	}
	sums := [3][]float64{cumulated(s.Guard), cumulated(s.Middle), cumulated(s.Exit)}
	rates := make([]float64, paths)
	for i := range rates {
		rates[i] = math.Inf(1)
		for p, sum := range sums {
			x := g.seed.Float(purposePaths, uint64(i), uint64(p)) * sum[len(sum)-1]
			k := sort.Search(len(sum)-1, func(k int) bool { return sum[k] > x })
			rates[i] = min(rates[i], left[k])
		}
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}

func cumulated(x []float64) []float64 {
	sums := make([]float64, len(x))
	sum := 0.0
	for i, v := range x {
		sum += v
		sums[i] = sum
	}
	return sums
}

// grow adds up a day of what honest relays of each age carry, beside what grown
// ones of their kind carry for their capacity.
func (g *gauge) grow(from source, s *world.Shares) {
	if g.growth[from] == nil {
		g.growth[from] = new(growth)
	}
	all := g.growth[from]
	const both = directory.Guard | directory.Exit
	var carried, capacity [both + 1]float64
	of := func(k int) float64 { return s.Guard[k] + s.Middle[k] + s.Exit[k] }
	for k, i := range s.Listed {
		if n := &g.world.Nodes[i]; !n.Bad && s.Day-n.First >= matureAge {
			carried[n.Flags&both] += of(k)
			capacity[n.Flags&both] += float64(n.Capacity)
		}
	}
	for k, i := range s.Listed {
		n := &g.world.Nodes[i]
		if age := s.Day - n.First; !n.Bad && age < newcomerDays && capacity[n.Flags&both] > 0 {
			all.carried[age] += of(k)
			all.whole[age] += float64(n.Capacity) * carried[n.Flags&both] / capacity[n.Flags&both]
		}
	}
}

// newcomer returns after how many days honest newcomers carry half of what grown
// relays of their kind and capacity do, together.
func (g *gauge) newcomer(from source) int {
	all := g.growth[from]
	if all == nil {
		return 0
	}
	for age, whole := range all.whole {
		if whole > 0 && all.carried[age] >= whole/2 {
			return age
		}
	}
	return -1
}
