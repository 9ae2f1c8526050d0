package authority

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"

	"tunic/directory"
	"tunic/directory/rules"
)

const ( // fixed by docs/protocol.md, "Flags": absolute thresholds; Tor's
	fastBandwidth   = 100_000   // bytes/s
	guardBandwidth  = 2_000_000 // bytes/s
	guardFraction   = 0.98      // of the time known
	guardFamiliar   = 8 * 24 * time.Hour
	stableBetween   = 5 * 24 * time.Hour
	stableUptime    = 30 * 24 * time.Hour
	activeBandwidth = 4_000         // bytes/s: less does not count in quantiles
	fewRelays       = 20            // active relays below which Guard is less of a choice
	hsdirAge        = 14            // days served; in small networks what makes a full middle
	enoughHistory   = 4 * time.Hour // of observing, before runs say more than uptime
)

const ( // fixed by docs/protocol.md, "Flags": how close to a quantile is as good
	fractionSlack = 0.02 // a relay with one short failure is no worse than its peers
	topQuarter    = 0.75
	lowestEighth  = 0.125
)

const ( // fixed by docs/protocol.md, "Weights"; bytes/s
	unobservedBandwidth = 100_000    // believed at most of a relay that has observed nothing yet
	claimedBandwidth    = 10_000_000 // believed at most of any, until bandwidth is measured
)

// facts is what a decision about a relay's flags takes: measured, claimed, or
// from its descriptor.
type facts struct {
	opinion   opinion
	exits     bool    // its policy serves both ports that an Exit must
	bandwidth uint64  // bytes/s, as believed
	between   float64 // seconds: mean time between failures
	run       float64 // seconds of the run that goes on
	fraction  float64 // of known time present
	known     float64 // weighted seconds that it has been known
	age       int     // days served, as the rules count them
	vouched   bool    // it comes of age sooner
}

// An opinion is whether an authority says that a relay runs.
type opinion uint8

const (
	noOpinion opinion = iota
	down
	up
)

// thresholds are what separates relays that bear a flag from the others, drawn
// from all active relays that one authority knows.
type thresholds struct {
	fast     uint64
	between  float64 // Stable, where runs are known long enough
	run      float64 // Stable, else
	useRuns  bool
	familiar float64
	fraction float64
	guard    uint64
	age      int // no flag needs more
}

// flagger decides flags for all relays of one vote.
type flagger struct {
	t     thresholds
	tick  float64 // seconds: resolution of times, one interval between tests
	rules *rules.Rules
}

// newFlagger computes the thresholds from the facts of all relays. observing
// is how long the authority has been keeping history, tick the interval at
// which it tests.
func newFlagger(all []facts, observing, tick time.Duration, r *rules.Rules) *flagger {
	active := make([]facts, 0, len(all))
	for _, f := range all {
		if f.opinion == up && f.bandwidth >= activeBandwidth {
			active = append(active, f)
		}
	}
	g := &flagger{tick: tick.Seconds(), rules: r}
	g.t.useRuns = observing >= enoughHistory
	bandwidth := column(active, func(f *facts) uint64 { return f.bandwidth })
	g.t.fast = relative(bandwidth, lowestEighth, fastBandwidth)
	guards := topQuarter
	if len(active) < fewRelays { // of a handful a quarter is no choice, and two deaths could leave nobody a path
		guards = lowestEighth
	}
	g.t.guard = relative(bandwidth, guards, guardBandwidth)
	g.t.between = relative(column(active, func(f *facts) float64 { return f.between }), 0.5, stableBetween.Seconds())
	g.t.run = relative(column(active, func(f *facts) float64 { return f.run }), 0.5, stableUptime.Seconds())
	g.t.age = math.MaxInt
	if r.Stretch > 1000 { // on the network's second day nobody may have served a whole one
		g.t.age = atQuantile(column(active, func(f *facts) int { return f.age }), 0.5)
	}
	known := column(active, func(f *facts) float64 { return f.known })
	g.t.familiar = relative(known, lowestEighth, guardFamiliar.Seconds())
	familiar := make([]facts, 0, len(active))
	for _, f := range active {
		if f.known+g.tick >= g.t.familiar {
			familiar = append(familiar, f)
		}
	}
	g.t.fraction = relative(column(familiar, func(f *facts) float64 { return f.fraction }), 0.5, guardFraction)
	return g
}

// earned are the flags that a relay that runs has to earn.
const earned = directory.Fast | directory.Stable | directory.HSDir | directory.Guard

// flags returns what the authority says of a relay, and on which flags it has
// no opinion: of a relay that it may not have reached yet it can't judge how
// good it is.
func (g *flagger) flags(f *facts) (set, unknown directory.Flags) {
	set = directory.Valid
	if f.exits {
		set |= directory.Exit
	}
	switch f.opinion {
	case noOpinion:
		return set, directory.Running | earned
	case down:
		return set, 0
	}
	set |= directory.Running
	for _, flag := range []directory.Flags{directory.Fast, directory.Stable, directory.HSDir, directory.Guard} {
		if g.conditions(flag, f).met() {
			set |= flag
		}
	}
	return set, 0
}

// A condition is one of those that a flag has: a figure of the relay, how much it
// may lack, and what it must be at least. Zero is a condition that any relay
// meets.
type condition struct {
	what              string
	have, slack, need float64
}

func (c *condition) met() bool { return c.have+c.slack >= c.need }

// conditions are all that one flag has.
type conditions [5]condition

func (c *conditions) met() bool {
	for i := range c {
		if !c[i].met() {
			return false
		}
	}
	return true
}

// What conditions are about, with the units of their figures.
const (
	ofBandwidth = "bandwidth in bytes/s"
	ofRuns      = "seconds between failures"
	ofRun       = "seconds up without failure"
	ofFamiliar  = "seconds known"
	ofFraction  = "share of time up"
	ofAge       = "days served"
)

// conditions returns those of a flag that has to be earned. Times are not known
// better than to an interval between tests.
func (g *flagger) conditions(flag directory.Flags, f *facts) *conditions {
	fast := condition{ofBandwidth, float64(f.bandwidth), 0, float64(g.t.fast)}
	if flag == directory.Fast {
		return &conditions{fast}
	}
	stable := condition{ofRun, f.run, g.tick, g.t.run}
	if g.t.useRuns {
		stable = condition{ofRuns, f.between, g.tick, g.t.between}
	}
	switch flag {
	case directory.Stable:
		return &conditions{stable}
	case directory.HSDir:
		return &conditions{fast, stable, {ofAge, float64(f.age), 0, float64(min(hsdirAge, g.rules.Ramps[directory.AsMiddle].Full, g.t.age))}}
	}
	return &conditions{
		{ofBandwidth, float64(f.bandwidth), 0, float64(max(g.t.fast, g.t.guard))},
		stable,
		{ofFamiliar, f.known, g.tick, g.t.familiar},
		{ofFraction, f.fraction, fractionSlack, g.t.fraction},
		{ofAge, float64(f.age), 0, float64(min(g.guardAge(f), g.t.age))},
	}
}

// guardAge is the age at which a relay may carry something as a guard: what does
// not must not be one, since it would carry less as a middle.
func (g *flagger) guardAge(f *facts) int {
	ramp := g.rules.Ramps[directory.AsGuard]
	age := sort.Search(ramp.Full, func(days int) bool { return ramp.At(days) > 0 })
	if f.vouched {
		age = (age*g.rules.Vouch.SpeedUp + 999) / 1000
	}
	return age
}

// relative returns the threshold that a quantile of the values gives, or the
// absolute one where that is lower: who meets that keeps the flag, however many
// better relays somebody adds.
func relative[T cmp.Ordered](sorted []T, quantile float64, absolute T) T {
	return min(atQuantile(sorted, quantile), absolute)
}

// atQuantile returns the value below which the given share of the values lies,
// the zero value if there are none.
func atQuantile[T cmp.Ordered](sorted []T, quantile float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[min(len(sorted)-1, int(quantile*float64(len(sorted))))]
}

func column[T cmp.Ordered](all []facts, of func(*facts) T) []T {
	list := make([]T, len(all))
	for i := range all {
		list[i] = of(&all[i])
	}
	slices.Sort(list)
	return list
}

// believed returns the bandwidth in bytes/s that an authority believes of a
// descriptor's claims: what it offers steadily, in bursts, and has observed,
// whichever is least, and no more than a cap.
func believed(d *directory.Descriptor) uint64 {
	b := min(d.Rate, d.Burst)
	if d.Observed > 0 {
		return min(b, d.Observed, claimedBandwidth)
	}
	return min(b, unobservedBandwidth)
}

// weightOf returns a bandwidth in bytes/s as a weight in kB/s, at least 1.
func weightOf(bandwidth uint64) uint64 { return max(1, bandwidth/1000) }

// servesExit reports whether a port summary has both ports that the flag Exit
// stands for.
func servesExit(s directory.PortSummary) bool { return s.Allows(80) && s.Allows(443) }
