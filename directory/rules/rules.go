// Package rules holds the numbers of the defence against Sybil attacks: limits
// of admission, the ramp of ages, caps on shares, detection, vouching, and what
// clients do about guards. Each is a consensus parameter with a default, hard
// bounds and a value for small networks; this package says which apply and
// knows nothing of what is done with them.
//
// Three things relax a network's rules, and the consensus names each: [Small],
// a network of few relays; [Young], a network younger than the ramp of ages;
// [Test], a network of private addresses. [Relaxed] decides, so that every
// authority and auditor finds the same.
//
// Specification: docs/protocol.md, "Rules against Sybil attacks".
package rules

import (
	"slices"
	"strings"
	"time"

	"tunic/directory"
)

// What may be relaxed in a network. A consensus lists the names in this order.
const (
	Small = "small" // fewer relays than sybil_small: wider caps, shorter times
	Test  = "test"  // private addresses: quarantine of minutes, no draw budget
	Young = "young" // the network is younger than the ramp: ages are stretched
)

// day is the unit of ages.
const day = 24 * time.Hour

// A Position of a path, as an index: that of directory.Position.
const positions = 3

// A Ramp says what share of its weight a relay of some age may carry in a
// position: nothing before From days, Start permille on that day, and linearly
// more until all of it on day Full.
type Ramp struct{ From, Start, Full int }

// Dimensions in which relays are grouped for caps, in the order in which the
// caps are applied.
type Dimension int

// The dimensions.
const (
	BySlash24 Dimension = iota // IPv4 /24, IPv6 /48
	BySlash16                  // IPv4 /16, IPv6 /32
	ByAS
	ByCountry
	ByFamily  // declared or inferred
	ByVoucher // all that one operator's vouchers let in, directly or not
	ByYoung   // all relays younger than YoungDays
	ByCohort  // all relays first listed in one epoch of EpochDays
	Dimensions
)

var dimensionNames = [Dimensions]string{"24", "16", "as", "country", "family", "voucher", "young", "cohort"}

func (d Dimension) String() string { return dimensionNames[d] }

// Limits of admission: how many relays may be listed.
type Limits struct {
	PerAddress   int // per IPv4 address
	Per64        int // per IPv6 /64
	Per24        int // per IPv4 /24, and per IPv6 /48
	Per16        int // per IPv4 /16, and per IPv6 /32
	PerAS        int // per AS, but at least ASPermille of all
	ASPermille   int
	NewPerAddr   int // new identities of one address within NewWindow days
	NewWindow    int // days
	FreezeAfter  int // days away after which a relay's age is frozen
	ForgetAfter  int // days away after which its age is lost
	UptimeOfADay int // permille of a day's tests that a day of age needs
}

// Detection of groups, and what follows from it.
type Detection struct {
	Least         int // relays that a group has at least
	FalseAlarms   int // expected false alarms of arrivals, per thousand years and window
	MarginBits    int // evidence needed beyond log2 of the number of pairs
	Quarantine    int // minutes that a quarantine lasts
	Weight        int // permille of its weight that a quarantined relay carries, as a middle
	IncumbentDays int // relays older than this than a group's median are never joined to it by inference
	TrailingDays  int // days of arrivals that the usual rate is fitted to
}

// Vouching for newcomers.
type Vouch struct {
	Age       int // days after which an operator may vouch
	Every     int // days for one token
	Stock     int // tokens held at most
	Depth     int // of a chain of vouchers
	SpeedUp   int // permille of the time that the ramp takes a vouched relay
	FreezeFor int // days that a finding against a child costs the voucher
}

// Guards, as clients keep them.
type Guards struct {
	Sample         int // guards in the sample while it can have them
	SampleMost     int
	SamplePermille int // of the network's guards at most in a sample
	Primary        int
	Use            int // primaries in use at once
	LifeLeast      int // days; each guard's lifetime is drawn between
	LifeMost       int
	ConfirmedLife  int // days from confirmation at least
	UnlistedLimit  int // days
	PerSubnet      int // sampled guards of one /16 (IPv6: /32)
	PerFamily      int // of one family, declared or inferred
	PerCohort      int // first listed in one epoch
	PerAS          int
	PerVoucher     int
	NewPerDay      int // guards newly used for traffic; 0: no limit
	NewPerMonth    int
	NewPerYear     int
	Layer2         int // second-layer guards of paths that need them
	Layer2Least    int // hours; lifetime of one, the greater of two draws between
	Layer2Most     int
}

// Rules are all numbers.
type Rules struct {
	Limits    Limits
	Ramps     [positions]Ramp // by directory.Position
	Caps      [Dimensions][positions]int
	YoungDays [positions]int
	EpochDays int
	CohortAge int // days after which a relay belongs to no cohort any more
	Stretch   int // permille by which ages count more, 1000: as they are
	Detection Detection
	Vouch     Vouch
	Guards    Guards
}

// entry is one parameter: where its value goes, its default, its value in a
// small and in a test network, and its bounds.
type entry struct {
	name               string
	field              *int
	value, small, test int
	least, most        int
}

// table lists every parameter of r, in the order of docs/protocol.md.
func (r *Rules) table() []entry {
	l, d, v, g := &r.Limits, &r.Detection, &r.Vouch, &r.Guards
	entries := []entry{
		{"adm_per_address", &l.PerAddress, 2, 2, 2, 1, 1000},
		{"adm_per_64", &l.Per64, 2, 2, 2, 1, 1000},
		{"adm_per_24", &l.Per24, 8, 8, 8, 1, 10_000},
		{"adm_per_16", &l.Per16, 64, 64, 64, 1, 50_000},
		{"adm_per_as", &l.PerAS, 32, 32, 32, 1, 50_000},
		{"adm_as_permille", &l.ASPermille, 50, 500, 1000, 1, 1000},
		{"adm_new_per_address", &l.NewPerAddr, 2, 4, 1000, 1, 1000},
		{"adm_new_window", &l.NewWindow, 30, 30, 30, 1, 365},
		{"age_freeze", &l.FreezeAfter, 14, 14, 14, 1, 365},
		{"age_forget", &l.ForgetAfter, 60, 60, 60, 1, 3650},
		{"age_uptime", &l.UptimeOfADay, 900, 900, 0, 0, 1000},
		{"cohort_days", &r.EpochDays, 30, 30, 30, 1, 365},
		{"cohort_age", &r.CohortAge, 730, 730, 730, 1, 36_500},
		{"detect_least", &d.Least, 5, 5, 5, 3, 1000},
		{"detect_false_alarms", &d.FalseAlarms, 1000, 1000, 1000, 1, 1_000_000},
		{"detect_margin_bits", &d.MarginBits, 10, 10, 10, 0, 1000},
		{"detect_incumbent", &d.IncumbentDays, 180, 180, 180, 1, 3650},
		{"detect_trailing", &d.TrailingDays, 90, 90, 90, 7, 365},
		{"quarantine_minutes", &d.Quarantine, 43_200, 4_320, 30, 1, 525_600},
		{"quarantine_weight", &d.Weight, 100, 100, 100, 0, 1000},
		{"vouch_age", &v.Age, 180, 60, 0, 0, 3650},
		{"vouch_every", &v.Every, 90, 30, 1, 1, 3650},
		{"vouch_stock", &v.Stock, 2, 2, 2, 0, 100},
		{"vouch_depth", &v.Depth, 3, 3, 3, 0, 16},
		{"vouch_ramp", &v.SpeedUp, 500, 500, 500, 1, 1000},
		{"vouch_freeze", &v.FreezeFor, 365, 90, 1, 1, 3650},
		{"guard_sample", &g.Sample, 20, 20, 20, 1, 60},
		{"guard_sample_most", &g.SampleMost, 40, 60, 60, 1, 60},
		{"guard_sample_permille", &g.SamplePermille, 200, 200, 200, 1, 1000},
		{"guard_primary", &g.Primary, 3, 3, 3, 1, 8},
		{"guard_use", &g.Use, 1, 1, 1, 1, 8},
		{"guard_life_least", &g.LifeLeast, 180, 180, 180, 1, 3650},
		{"guard_life_most", &g.LifeMost, 270, 270, 270, 1, 3650},
		{"guard_confirmed", &g.ConfirmedLife, 120, 120, 120, 1, 3650},
		{"guard_unlisted", &g.UnlistedLimit, 20, 20, 20, 1, 365},
		{"guard_per_subnet", &g.PerSubnet, 1, 60, 60, 1, 60},
		{"guard_per_family", &g.PerFamily, 1, 60, 60, 1, 60},
		{"guard_per_cohort", &g.PerCohort, 1, 60, 60, 1, 60},
		{"guard_per_as", &g.PerAS, 2, 60, 60, 1, 60},
		{"guard_per_voucher", &g.PerVoucher, 1, 60, 60, 1, 60},
		{"guard_new_day", &g.NewPerDay, 1, 4, 0, 0, 1000},
		{"guard_new_month", &g.NewPerMonth, 3, 12, 0, 0, 1000},
		{"guard_new_year", &g.NewPerYear, 6, 36, 0, 0, 1000},
		{"guard_layer2", &g.Layer2, 4, 4, 4, 1, 16},
		{"guard_layer2_least", &g.Layer2Least, 24, 24, 24, 1, 8760},
		{"guard_layer2_most", &g.Layer2Most, 288, 288, 288, 1, 8760},
	}
	for p, x := range [positions]struct {
		letter            string
		from, start, full int
		young             int
		caps              [Dimensions]int // in the order of the dimensions
	}{
		{"g", 30, 0, 90, 180, [Dimensions]int{20, 40, 100, 400, 50, 20, 150, 50}},
		{"m", 3, 100, 30, 90, [Dimensions]int{30, 60, 150, 500, 80, 20, 250, 80}},
		{"e", 8, 250, 30, 90, [Dimensions]int{30, 60, 150, 400, 100, 20, 200, 60}},
	} {
		ramp := &r.Ramps[p]
		entries = append(entries,
			entry{"age_from_" + x.letter, &ramp.From, x.from, (x.from + 9) / 10, x.from, 0, 3650},
			entry{"age_start_" + x.letter, &ramp.Start, x.start, x.start, x.start, 0, 1000},
			entry{"age_full_" + x.letter, &ramp.Full, x.full, (x.full + 9) / 10, x.full, 1, 3650},
			entry{"young_days_" + x.letter, &r.YoungDays[p], x.young, x.young, x.young, 1, 3650})
		for d, c := range x.caps {
			wide := min(1000, 4*c)
			entries = append(entries,
				entry{"cap_" + Dimension(d).String() + "_" + x.letter, &r.Caps[d][p], c, wide, wide, 1, 1000})
		}
	}
	return entries
}

// Of returns the rules that parameters (ascending by name, as in documents) and
// relaxations give. age is the network's at the time judged.
func Of(params []directory.Param, relaxed []string, age time.Duration) *Rules {
	r := &Rules{Stretch: 1000}
	small, test := slices.Contains(relaxed, Small), slices.Contains(relaxed, Test)
	for _, e := range r.table() {
		*e.field = e.value
		if small {
			*e.field = e.small
		}
		if test {
			*e.field = e.test
		}
		if v, ok := param(params, e.name); ok {
			*e.field = int(min(max(v, int64(e.least)), int64(e.most)))
		}
	}
	if slices.Contains(relaxed, Young) {
		r.Stretch = stretch(r.longest(), age)
	}
	return r
}

// smallDefault is the default of sybil_small: in networks of fewer relays
// percentages of one relay mean little.
const smallDefault = 200

// Relaxed says, in the order of their names, what is relaxed in a network of
// that many relays at that time.
func Relaxed(n *directory.Network, params []directory.Param, relays int, at time.Time) []string {
	small := int64(smallDefault)
	if v, ok := param(params, "sybil_small"); ok {
		small = min(max(v, 0), directory.MaxRelays)
	}
	var names []string
	if int64(relays) < small {
		names = append(names, Small)
	}
	if n.PrivateAddresses {
		names = append(names, Test)
	}
	if at.Sub(n.Timing.Start) < time.Duration(Of(params, names, 0).longest())*day {
		names = append(names, Young)
	}
	return names
}

// longest is the age in days at which a relay carries all that it can.
func (r *Rules) longest() int {
	n := 0
	for _, ramp := range r.Ramps {
		n = max(n, ramp.Full)
	}
	return n
}

// maxStretch is what a network of less than a day counts ages by: enough for a
// relay of a day to be of full age.
const maxStretch = 1000 * 3651

// stretch is by how much ages count in a young network: there the oldest relay
// possible is of full age.
func stretch(full int, age time.Duration) int {
	days := int(age / day)
	if days < 1 {
		return maxStretch
	}
	return max(1000, (1000*full+days-1)/days)
}

// AgeOf returns the age in days as the ramp and the caps count it. In a network
// of less than a day everybody is of full age.
func (r *Rules) AgeOf(days int) int {
	if r.Stretch >= maxStretch {
		return max(days, r.longest())
	}
	return int(int64(days) * int64(r.Stretch) / 1000)
}

// Names returns the names of all parameters, ascending.
func Names() []string {
	names := []string{"sybil_small"}
	for _, e := range new(Rules).table() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

func param(params []directory.Param, name string) (int64, bool) {
	i, ok := slices.BinarySearchFunc(params, name, func(p directory.Param, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return 0, false
	}
	return params[i].Value, true
}
