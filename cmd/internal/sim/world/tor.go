package world

import (
	"tunic/directory"
)

const ( // of Tor's bandwidth authorities, where delays are simulated
	torUnmeasuredDays = 3  // before a relay is measured
	torUnmeasured     = 20 // kB/s that it counts until then
)

// A Class is a relay's kind as position weights see it.
type class int

const (
	classM class = iota
	classG
	classE
	classD
	classes
)

func classOf(f directory.Flags) class {
	switch {
	case f.Has(directory.Guard | directory.Exit):
		return classD
	case f.Has(directory.Guard):
		return classG
	case f.Has(directory.Exit):
		return classE
	}
	return classM
}

// Shares are what clients of one algorithm choose by on one day: for each
// position the chance of each listed relay, without regard to exclusions. Each
// sums to 1.
type Shares struct {
	Day                 int
	Listed              []int32
	Guard, Middle, Exit []float64 // in the order of Listed; Exit is the mean over the clients' ports
}

// torDay is the relays of a day as Tor's authorities weigh them.
type torDay struct {
	w      *World
	listed []int32
	flags  []directory.Flags
	weight []float64
	guard  []bool
	sums   [classes]float64 // of weights, by class
}

// torDay weighs the relays of a day. Grown up, honest relays alone, is how the
// attacker's shares are measured.
func (w *World) torDay(day int, grown bool) *torDay {
	t := &torDay{w: w, listed: w.Listed(day, nil)}
	for _, i := range t.listed {
		n := &w.Nodes[i]
		weight, flags, fit := float64(n.Claim), n.Flags, n.TorGuard
		if age := day - n.First; !grown && age < w.TorGuardDays {
			flags, fit = flags&^directory.Guard, false
			if age < torUnmeasuredDays {
				weight = min(weight, torUnmeasured)
			}
		}
		t.flags, t.weight, t.guard = append(t.flags, flags), append(t.weight, weight), append(t.guard, fit)
		t.sums[classOf(flags)] += weight
	}
	return t
}

// with returns the position weights when an attacker's bandwidth is added.
func (t *torDay) with(need [kinds]float64) directory.PositionWeights {
	return directory.Weights(1+uint64(t.sums[classG]+need[guard]), 1+uint64(t.sums[classM]+need[plain]),
		1+uint64(t.sums[classE]+need[exit]), 1+uint64(t.sums[classD]))
}

// positions sums up what relays count in each position.
func (t *torDay) positions(v directory.PositionWeights) (g, m, e float64) {
	for k, i := range t.listed {
		x := t.weight[k]
		if t.guard[k] {
			g += x * float64(v.Of(directory.AsGuard, t.flags[k]))
		}
		m += x * float64(v.Of(directory.AsMiddle, t.flags[k]))
		if !t.w.Nodes[i].Ports.Empty() {
			e += x * float64(v.Of(directory.AsExit, t.flags[k]))
		}
	}
	return g, m, e
}

// Tor returns the shares of Tor's weights on a day.
func (w *World) Tor(day int) *Shares {
	t := w.torDay(day, false)
	v := t.with([kinds]float64{})
	return w.Chances(day, t.listed, func(k int) (g, m, e float64) {
		if t.guard[k] {
			g = t.weight[k] * float64(v.Of(directory.AsGuard, t.flags[k]))
		}
		return g, t.weight[k] * float64(v.Of(directory.AsMiddle, t.flags[k])), t.weight[k] * float64(v.Of(directory.AsExit, t.flags[k]))
	})
}

// Scarcest returns the capacity, kB/s, of the position that Tor's weights give
// least to, counting honest relays on day 0 alone.
func (w *World) Scarcest() float64 {
	t := w.torDay(0, true)
	honest := &torDay{w: w}
	for k, i := range t.listed {
		if w.Nodes[i].Bad {
			continue
		}
		honest.listed, honest.flags = append(honest.listed, i), append(honest.flags, t.flags[k])
		honest.weight, honest.guard = append(honest.weight, t.weight[k]), append(honest.guard, t.guard[k])
		honest.sums[classOf(t.flags[k])] += t.weight[k]
	}
	g, m, e := honest.positions(honest.with([kinds]float64{}))
	return min(g, m, e) / directory.WeightScale
}

// Uniform returns the shares of who chooses evenly among those that Tor would
// let stand in a position.
func (w *World) Uniform(day int) *Shares {
	t := w.torDay(day, false)
	return w.Chances(day, t.listed, func(k int) (g, m, e float64) {
		if t.guard[k] {
			g = 1
		}
		return g, 1, 1
	})
}

// Chances turns what relays count in each position into chances.
func (w *World) Chances(day int, listed []int32, count func(k int) (g, m, e float64)) *Shares {
	s := &Shares{Day: day, Listed: listed, Guard: make([]float64, len(listed)), Middle: make([]float64, len(listed)), Exit: make([]float64, len(listed))}
	exits := make([]float64, len(listed))
	for k, i := range listed {
		s.Guard[k], s.Middle[k], exits[k] = count(k)
		if w.Nodes[i].Ports.Empty() {
			exits[k] = 0
		}
	}
	normalize(s.Guard)
	normalize(s.Middle)
	s.Exit = w.overPorts(listed, exits)
	return s
}

// overPorts returns the chance of each exit, the mean over the clients' ports of
// those that serve the port.
func (w *World) overPorts(listed []int32, exits []float64) []float64 {
	mean := make([]float64, len(listed))
	one := make([]float64, len(listed))
	ports := w.Scenario.Clients.Ports
	for _, port := range ports {
		for k, i := range listed {
			one[k] = 0
			if exits[k] > 0 && w.Nodes[i].Ports.Allows(port) {
				one[k] = exits[k]
			}
		}
		normalize(one)
		for k, x := range one {
			mean[k] += x / float64(len(ports))
		}
	}
	return mean
}

// normalize makes values sum to 1, unless all are 0.
func normalize(x []float64) {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	if sum == 0 {
		return
	}
	for i := range x {
		x[i] /= sum
	}
}
