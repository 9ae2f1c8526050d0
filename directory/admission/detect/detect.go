// Package detect finds groups of relays that arrive together or behave as one:
// arrivals beyond what the usual rate explains, and relays that have more in
// common than chance gives strangers. What it finds is a suspicion, and its
// consequence is mild: quarantine. It knows no clock and no disk; the authority
// and the simulator run the same code.
//
// Specification: docs/protocol.md, "Detection".
package detect

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// The codes of groups, as in quarantine lines.
const (
	Batch   = "batch"   // arrived together, more than the usual rate explains
	Cluster = "cluster" // have more in common than chance explains
)

// A Subject is a relay as detection sees it: facts of its descriptors and of
// its history at one authority. A field that is not known has its zero value and
// is evidence for nothing.
type Subject struct {
	admission.Relay
	Seen      time.Time // when it was first seen, to the minute
	DayOnly   bool      // Seen is known to the day only: adopted from a consensus, or the authority had not run
	Nickname  string
	Version   string // platform line: program, version, system
	Policy    string // exit policy in full, as text; "" for none
	Contact   string
	Port      uint16 // of its first address
	Rate      uint64 // bytes/s as its descriptor offers
	Burst     uint64
	Starts    []int64 // minutes since 1970 of its latest restarts, at most 32 count
	Rotations []int64 // and of its key changes
}

// A Group is a set of relays that seem to be one operator's. Its id stays when it
// grows; it becomes the one that most of its members have in the consensus, which
// is Subject.Group.
type Group struct {
	ID        directory.Digest
	Code      string         // Batch or Cluster
	Members   []keys.RelayID // ascending
	Joined    []time.Time    // when each member was found to belong to it: its quarantine runs from then
	Since     time.Time      // when the group was found
	Window    time.Duration  // Batch: of which arrivals were too many
	Millibits int64          // thousandths of a bit: how unlikely, as -log2 of the probability
	Why       string         // for people: classes of evidence, never values; printable ASCII
}

// A Config is what the detector has to know of the network.
type Config struct {
	Usable        time.Time // the network began to be usable: relays first seen by then are founders, never judged by arrivals
	SharedSubnets bool      // the network file lets relays share subnets: addresses are no evidence
}

// A Detector remembers what it needs from run to run. One goroutine at a time
// may use it.
type Detector struct {
	config Config
	state  State
	prints map[keys.RelayID]uint64 // of what each subject was compared by in the run before
	seed   maphash.Seed
}

// New returns a detector without history.
func New(c Config) *Detector { return &Detector{config: c, seed: maphash.MakeSeed()} }

// Run judges the subjects (all relays known, refused ones too) and returns all
// groups that have members among them, ascending by id. now should not go back
// from run to run; the order of subjects does not matter. The first run compares
// all subjects, later ones those that are new or changed.
func (d *Detector) Run(subjects []Subject, now time.Time, r *rules.Rules) []Group {
	v := &view{subjects: sorted(subjects), config: d.config, rules: r}
	v.describe()
	list, u, c := d.count(v, now)
	v.compareWith(u, hourOf(now), r)
	g := newRegistry(v, d.state.Groups, now.Unix())
	renamed := g.adopt(d.state.Groups)
	for i, e := range d.state.Episodes {
		if name, ok := renamed[e.Group]; ok {
			d.state.Episodes[i].Group = name
		}
	}
	d.takeBatches(g, list, u, c, hourOf(now))
	d.takeClusters(g)
	d.state.Groups = g.list()
	return d.groups(v)
}

// count brings the counts of arrivals up to now and tests them.
func (d *Detector) count(v *view, now time.Time) ([]arrival, *usual, census) {
	t, to := &d.state, hourOf(now)+1
	trailing := v.rules.Detection.TrailingDays * 24
	from := to - longest
	if len(t.Arrivals.Counts) == 0 {
		from -= trailing
	}
	list := v.arrivals(from, to)
	t.Arrivals.extend(max(v.begin(), from, 0), to)
	t.Arrivals.note(list)
	t.Episodes = slices.DeleteFunc(t.Episodes, func(e episode) bool { return e.To < to-trailing-longest })
	established := v.established(to - longest)
	since := max(min(t.Tested, to)-1, to-longest)
	t.flag(since, to, established, v.rules)
	t.Tested = to
	u, c := newUsual(&t.Arrivals, t.flagged(), established), v.census(to-longest)
	t.flagParts(v, list, u, c, since, to)
	return list, u, c
}

// begin is the hour from which on arrivals can be known: when the network became
// usable, or the first relay was seen.
func (v *view) begin() int {
	first := math.MaxInt
	for i := range v.subjects {
		first = min(first, hourOf(v.subjects[i].Seen))
	}
	if len(v.subjects) == 0 {
		first = 0
	}
	if v.config.Usable.IsZero() {
		return first
	}
	return max(hourOf(v.config.Usable), first)
}

// established counts the founders and those seen before an hour.
func (v *view) established(hour int) int {
	n := 0
	for i := range v.subjects {
		if s := &v.subjects[i]; v.founder(s) || hourOf(s.Seen) < hour {
			n++
		}
	}
	return n
}

// compareWith prepares evidence. Arriving in the same hours is as surprising as
// the usual rate, not the present one, says.
func (v *view) compareWith(u *usual, hour int, r *rules.Rules) {
	n := max(len(v.subjects), 1)
	v.chance = bits.Len(uint(n - 1))
	f := u.fit(1, hour, r.Detection.TrailingDays*24, 2*arrivalHours)
	v.arriving = max(0, min(arrivalBits, log2(float64(n)/max(1, f.mean))))
	v.measure()
	v.measureMoments(func(s *Subject) []int64 { return s.Starts }, func(p *profile) *[]moment { return &p.starts })
	v.measureMoments(func(s *Subject) []int64 { return s.Rotations }, func(p *profile) *[]moment { return &p.rotations })
}

// lateDay is for how many hours after an episode its batch is looked for again:
// relays of it may be seen or become alike later.
const lateDay = 24

// takeBatches finds the batches of the late episodes.
func (d *Detector) takeBatches(g *registry, list []arrival, u *usual, c census, hour int) {
	for i := range d.state.Episodes {
		e := &d.state.Episodes[i]
		if e.To+min(e.Window, 24)+lateDay < hour || d.state.covered(e) {
			continue
		}
		set, why := g.v.batchOf(e, list, u, c)
		if len(set) < g.v.rules.Detection.Least {
			continue
		}
		e.Group = g.take(set, e.Group, known{Code: Batch, Window: e.Window, Millibits: int64(e.Bits * 1000), Why: why})
	}
}

// takeClusters finds sets of alike subjects around those that are new or
// changed.
func (d *Detector) takeClusters(g *registry) {
	v := g.v
	n := len(v.subjects)
	l := &linker{v: v, r: v.rules, floor: floor(n, v.rules), done: make([]bool, n)}
	var sets [][]int
	cut := false
	for _, i := range d.changed(v) {
		if l.done[i] {
			continue
		}
		if l.x == nil {
			l.x = newIndex(v)
		}
		around := l.around(i)
		cut = cut || len(around) == mostLinked
		for _, set := range l.clusters(around) {
			if set = v.without(set); set == nil {
				continue
			}
			if cut {
				sets = v.merged(sets, set)
			} else {
				sets = append(sets, set)
			}
		}
	}
	for _, set := range sets {
		total := v.mean(set, set) * float64(len(set)-1)
		g.take(set, directory.Digest{}, known{Code: Cluster, Millibits: int64(total * 1000), Why: v.common(set)})
	}
}

// changed lists the subjects that are new or not what they were, and remembers
// them all.
func (d *Detector) changed(v *view) []int {
	var list []int
	prints := make(map[keys.RelayID]uint64, len(v.subjects))
	for i := range v.subjects {
		s := &v.subjects[i]
		p := d.print(s)
		if old, ok := d.prints[s.ID]; !ok || old != p {
			list = append(list, i)
		}
		prints[s.ID] = p
	}
	d.prints = prints
	return list
}

// print is a digest of what a subject is compared by, for this process only.
func (d *Detector) print(s *Subject) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	for _, text := range [...]string{s.Version, s.Policy, s.Contact, s.Nickname} {
		h.WriteString(text)
		h.WriteByte(0)
	}
	maphash.WriteComparable(&h, [...]uint64{uint64(s.Port), s.Rate, s.Burst, uint64(s.AS), uint64(s.Seen.Unix())})
	if len(s.Addrs) > 0 {
		maphash.WriteComparable(&h, s.Addrs[0])
	}
	for _, list := range [...][]int64{s.Starts, s.Rotations} {
		for _, m := range list[max(0, len(list)-mostMoments):] {
			maphash.WriteComparable(&h, m)
		}
		h.WriteByte(0)
	}
	return h.Sum64()
}

// groups returns those with members among the subjects.
func (d *Detector) groups(v *view) []Group {
	var list []Group
	for i := range d.state.Groups {
		g, ok := d.state.Groups[i].group(func(id keys.RelayID) bool { _, ok := v.find(id); return ok })
		if ok {
			list = append(list, g)
		}
	}
	return list
}
