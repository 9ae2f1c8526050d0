package sim

import (
	"math"
	"slices"
	"strconv"

	"tunic/cmd/internal/sim/ours"
	"tunic/directory"
)

// Horizons are the days within which a client counts as compromised.
var Horizons = []int{1, 7, 30, 90, 365}

// A Share is a part of a whole, with its 95 % interval after Wilson.
type Share struct {
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Attacker is what the attacker's relays are.
type Attacker struct {
	Relays      int     `json:"relays"`
	Contributed float64 `json:"contributed"` // share of all bandwidth
	Guard       float64 `json:"guard_share"` // of each position under the algorithm, on the last day
	Middle      float64 `json:"middle_share"`
	Exit        float64 `json:"exit_share"`
}

// A Result is what one algorithm gives for one start. Names of JSON fields stay.
type Result struct {
	Algorithm string `json:"algorithm"`
	Start     string `json:"start"`
	Scenario  string `json:"scenario"`
	Days      int    `json:"days"`
	Clients   int    `json:"clients"`
	Seed      uint64 `json:"seed"`

	// Compromised is the share of clients that had a circuit with guard and exit
	// both the attacker's, by days from the attack.
	Compromised map[string]Share `json:"compromised"`
	// BadGuard is the share that had a circuit through a guard of the attacker's.
	BadGuard map[string]Share `json:"bad_guard"`
	// Circuits is the share of circuits with both ends the attacker's.
	Circuits Share `json:"circuits_bad"`
	// Quantiles of the days to a client's first; null: not within the run.
	Quantiles map[string]*int `json:"days_to_first"`
	Advantage float64         `json:"advantage"` // Circuits ÷ Contributed²
	// Bound is what the shares of the last day and the draw budget allow at most, of
	// clients that begin then, within a year, whatever is done to honest relays; null
	// where the algorithm has no such bound.
	Bound *float64 `json:"bound_year"`

	GuardEntropy     float64 `json:"guard_entropy_bits"`
	ExitEntropy      float64 `json:"exit_entropy_bits"`
	GuardMinEntropy  float64 `json:"guard_min_entropy_bits"`
	ExitMinEntropy   float64 `json:"exit_min_entropy_bits"`
	MiddleEntropy    float64 `json:"middle_entropy_bits"`
	MiddleMinEntropy float64 `json:"middle_min_entropy_bits"`

	ThroughputVsTor float64 `json:"throughput_vs_tor"`
	LoadP95         float64 `json:"load_p95"`
	LoadMax         float64 `json:"load_max"`
	Idle            float64 `json:"honest_idle"`
	NewcomerDays    *int    `json:"newcomer_half_days"` // null: not followed; -1: not within 180 days

	Refused           int      `json:"refused"` // of the attacker's relays, ever
	Quarantined       int      `json:"quarantined"`
	HonestRefused     int      `json:"honest_refused"`
	HonestQuarantined int      `json:"honest_quarantined"`
	GuardsPerYear     float64  `json:"guards_per_client"`  // that carried traffic, over the run and what came before it
	WithoutGuard      float64  `json:"days_without_guard"` // share of client days on which no guard might be used
	Attacker          Attacker `json:"attacker"`
	Runtime           float64  `json:"runtime_s"`

	curve  []float64 // share compromised, by day
	series []point
	lorenz []float64
}

// result sums up a lane.
func (r *run) result(l *lane) *Result {
	f := &l.gauged
	x := &Result{Algorithm: l.algorithm, Start: l.start, Scenario: r.Scenario.Name, Days: r.Days, Clients: r.Clients, Seed: r.Seed,
		Compromised: within(l.first, r.Days), BadGuard: within(l.guard, r.Days), Circuits: meanShare(l.both, r.Days), Quantiles: map[string]*int{},
		GuardEntropy: f.entropy[directory.AsGuard], MiddleEntropy: f.entropy[directory.AsMiddle], ExitEntropy: f.entropy[directory.AsExit],
		GuardMinEntropy: f.minEntropy[directory.AsGuard], MiddleMinEntropy: f.minEntropy[directory.AsMiddle], ExitMinEntropy: f.minEntropy[directory.AsExit],
		ThroughputVsTor: f.relative, LoadP95: f.loadP95, LoadMax: f.loadMax, Idle: f.idle,
		Runtime: l.took.Seconds(), curve: curve(l.first, r.Days), series: f.series, lorenz: f.lorenz}
	x.Attacker = r.attacker(f)
	if c := x.Attacker.Contributed; c > 0 {
		x.Advantage = x.Circuits.Share / (c * c)
	}
	for _, q := range []int{5, 25, 50} {
		x.Quantiles[strconv.Itoa(q)] = quantile(x.curve, float64(q)/100)
	}
	idle := 0
	for _, days := range l.idle {
		idle += int(days)
	}
	x.WithoutGuard = float64(idle) / float64(r.Days*r.Clients)
	switch l.algorithm {
	case Tunic:
		x.NewcomerDays, x.Bound = &f.newcomer, &f.bound
		for k := range r.Clients {
			x.GuardsPerYear += float64(l.tunic.Used(k)) / float64(r.Clients)
		}
		n := l.source.(*tunicSource).network
		x.admitted(n)
	case Tor:
		for k := range l.tor {
			x.GuardsPerYear += float64(l.tor[k].Used) / float64(r.Clients)
		}
	}
	return x
}

// admitted takes over what the authorities did.
func (x *Result) admitted(n *ours.Network) {
	x.Refused, x.HonestRefused = len(n.Refused[1]), len(n.Refused[0])
	x.Quarantined, x.HonestQuarantined = len(n.Quarantined[1]), len(n.Quarantined[0])
}

// attacker says what it brought along, and what it got for it.
func (r *run) attacker(f *figures) Attacker {
	a := Attacker{Guard: f.attacker[directory.AsGuard], Middle: f.attacker[directory.AsMiddle], Exit: f.attacker[directory.AsExit]}
	var bad, all float64
	for _, i := range r.world.Listed(r.Days-1, nil) {
		n := &r.world.Nodes[i]
		all += float64(n.Capacity)
		if n.Bad {
			a.Relays++
			bad += float64(n.Capacity)
		}
	}
	a.Contributed = bad / max(all, 1)
	return a
}

// within returns the share of clients whose first day came within each horizon,
// and within the whole run.
func within(first []int16, days int) map[string]Share {
	shares := map[string]Share{}
	horizons := Horizons
	if !slices.Contains(horizons, days) {
		horizons = append(slices.Clone(horizons), days)
	}
	for _, h := range horizons {
		if h > days {
			continue
		}
		n := 0
		for _, d := range first {
			if d >= 0 && int(d) < h {
				n++
			}
		}
		shares[strconv.Itoa(h)] = Wilson(float64(n), float64(len(first)))
	}
	return shares
}

// curve returns the share of clients whose day had come by the end of each day.
func curve(first []int16, days int) []float64 {
	c := make([]float64, days)
	for _, d := range first {
		if d >= 0 {
			c[d] += 1 / float64(len(first))
		}
	}
	for d := 1; d < days; d++ {
		c[d] += c[d-1]
	}
	return c
}

// quantile returns the day by whose end that share of clients was compromised,
// counted from 1; nil if the run ended before.
func quantile(curve []float64, share float64) *int {
	for d, c := range curve {
		if c >= share {
			d++
			return &d
		}
	}
	return nil
}

// z95 is the normal distribution's bound of a 95 % interval.
const z95 = 1.959964

// Wilson returns k of n as a share with its 95 % interval. n need not be whole:
// an effective number of samples.
func Wilson(k, n float64) Share {
	if n == 0 {
		return Share{High: 1}
	}
	p := k / n
	centre := p + z95*z95/(2*n)
	half := z95 * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	scale := 1 + z95*z95/n
	share := Share{p, min(p, max(0, (centre-half)/scale)), max(p, min(1, (centre+half)/scale))} // rounding errors do not leave p outside
	if k == 0 {
		share.Low = 0
	}
	return share
}

// meanShare returns the mean over clients of a share that is summed over days.
// Circuits of one client are alike, so the interval goes by how clients differ:
// it is that of as many independent circuits as would scatter as much.
func meanShare(sums []float32, days int) Share {
	n := float64(len(sums))
	var mean, square float64
	for _, s := range sums {
		p := float64(s) / float64(days)
		mean += p / n
		square += p * p / n
	}
	variance := (square - mean*mean) / n
	if variance <= 0 || mean <= 0 || mean >= 1 {
		return Wilson(mean*n, n)
	}
	effective := min(mean*(1-mean)/variance, n*float64(days)*1e6)
	return Wilson(mean*effective, effective)
}
