package sim

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cmd/internal/sim/dice"
	"tunic/cmd/internal/sim/ours"
	"tunic/cmd/internal/sim/tor"
	"tunic/cmd/internal/sim/world"
)

const (
	purposeBegin dice.Purpose = 0x73696d00 + iota
	purposeCircuits
	purposeTor
	purposeTunic
	purposePaths
)

// shard is how many clients a thread takes at a time.
const shard = 512

// A lane is the clients of one algorithm who chose their guards at one time.
type lane struct {
	run              *run
	algorithm, start string
	source           source
	tunic            *ours.Clients
	tor              []tor.Guards
	took             time.Duration
	gauged           figures

	// By client.
	first []int16   // day of the first circuit with both ends the attacker's, -1: none yet
	guard []int16   // day of the first circuit through a guard of the attacker's
	both  []float32 // share of circuits with both ends the attacker's, summed over days
	idle  []int16   // days without any guard that might be used
}

func newLane(r *run, algorithm, start string, s source) *lane {
	l := &lane{run: r, algorithm: algorithm, start: start, source: s, first: make([]int16, r.Clients), guard: make([]int16, r.Clients),
		both: make([]float32, r.Clients), idle: make([]int16, r.Clients)}
	for i := range l.first {
		l.first[i], l.guard[i] = -1, -1
	}
	switch algorithm {
	case Tunic:
		l.tunic = ours.NewClients(r.world, r.Clients)
	case Tor:
		l.tor = make([]tor.Guards, r.Clients)
	}
	return l
}

// begins is the day on which a client chooses its first guards.
func (l *lane) begins(client int) int {
	if l.start == Fresh {
		return 0
	}
	return -1 - int(l.run.seed.Of(purposeBegin, uint64(client), 0)%world.Lead)
}

// remembers reports whether clients of the lane have guards that stay.
func (l *lane) remembers() bool { return l.algorithm == Tunic || l.algorithm == Tor }

// step takes all clients through a day.
func (l *lane) step(day int, m morning) {
	if day < 0 && (!l.remembers() || l.start == Fresh) {
		return
	}
	var next atomic.Int64
	var threads sync.WaitGroup
	for range l.run.Threads {
		threads.Go(func() {
			d := dice.New(l.run.seed)
			for {
				from := int(next.Add(shard)) - shard
				if from >= l.run.Clients {
					return
				}
				for c := from; c < min(from+shard, l.run.Clients); c++ {
					if l.begins(c) <= day {
						l.client(c, day, m, d)
					}
				}
			}
		})
	}
	threads.Wait()
}

// client takes one client through a day.
func (l *lane) client(c, day int, m morning, d *dice.Dice) {
	var p, guard float64 // chances that a circuit has both ends, the guard, of the attacker's
	switch m := m.(type) {
	case *tunicDay:
		p, guard = l.tunicChances(c, day, m, d)
	case *torDay:
		switch l.algorithm {
		case Tor:
			p, guard = l.torChances(c, day, m, d)
		case TorNoGuards:
			p, guard = m.bad.unguarded, m.bad.guards
		case Uniform:
			p, guard = m.evenly.unguarded, m.evenly.guards
		}
	}
	if day < 0 || guard == 0 {
		return
	}
	circuits := l.run.Scenario.Clients.StreamsPerDay
	x := l.run.seed.Float(purposeCircuits, uint64(c), uint64(day))
	if l.guard[c] < 0 && x < 1-math.Pow(1-guard, circuits) {
		l.guard[c] = int16(day)
	}
	l.both[c] += float32(p)
	if l.first[c] < 0 && x < 1-math.Pow(1-p, circuits) {
		l.first[c] = int16(day)
	}
}

// tunicChances steps a client of tunic. All circuits of a day go through one
// guard.
func (l *lane) tunicChances(c, day int, m *tunicDay, d *dice.Dice) (both, guard float64) {
	g := l.tunic.Step(c, m.Day, m.down, func() *dice.Dice {
		d.Set(purposeTunic, uint64(c), uint64(day+world.Lead))
		return d
	})
	switch {
	case g < 0:
		if day >= 0 {
			l.idle[c]++
		}
	case l.run.world.Nodes[g].Bad:
		return m.chances.Of(g), 1
	}
	return 0, 0
}

// torChances steps a client of Tor, whose circuits are dealt to two guards; where
// one is in conflict with the exit, the third takes its place.
func (l *lane) torChances(c, day int, m *torDay, d *dice.Dice) (both, guard float64) {
	g := &l.tor[c]
	g.Step(m.Day, func() *rand.Rand { return d.Set(purposeTor, uint64(c), uint64(day+world.Lead)) })
	nodes := l.run.world.Nodes
	use, n := g.InUse(m.Day, nil)
	for _, x := range use[:n] {
		if nodes[x].Bad {
			guard += 1 / float64(n)
		}
	}
	if guard == 0 {
		return 0, 0 // an honest guard is in conflict with no exit of the attacker's
	}
	return m.bad.through(g, m.Day, nodes), guard
}

// through is the chance that a circuit has both ends of the attacker's: the exit
// is drawn first, and the guard is one of those in use that go with it.
func (e *exposure) through(g *tor.Guards, d *tor.Day, nodes []world.Node) (p float64) {
	if e.family {
		return 0
	}
	part := func(inRange int32) float64 {
		use, n := g.InUse(d, func(x int32) bool { return nodes[x].Bad && nodes[x].Range == inRange })
		bad := 0
		for _, x := range use[:n] {
			if nodes[x].Bad {
				bad++
			}
		}
		if n == 0 {
			return 0
		}
		return float64(bad) / float64(n)
	}
	rest := e.exits
	var done []int32
	for _, x := range g.Primary() {
		if k := nodes[x].Range; nodes[x].Bad && !contains(done, k) {
			done = append(done, k)
			rest -= e.exit[k]
			p += e.exit[k] * part(k)
		}
	}
	return p + max(0, rest)*part(-1)
}

func contains(s []int32, x int32) bool {
	for _, y := range s {
		if x == y {
			return true
		}
	}
	return false
}
