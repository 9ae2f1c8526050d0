package rules

import (
	"slices"

	"tunic/directory"
)

// entry is one parameter: where its value goes, its default, its value in a
// small and in a test network, and its bounds.
type entry struct {
	name               string
	field              *int
	value, small, test int
	least, most        int
}

// table lists every parameter of r, in the order of docs/protocol.md, "Rules
// against Sybil attacks".
func (r *Rules) table() []entry {
	return slices.Concat(r.limits(), r.ages(), r.shares(), r.detection(), r.vouching(), r.guards())
}

func (r *Rules) limits() []entry {
	l := &r.Limits
	return []entry{
		{"adm_per_address", &l.PerAddress, 2, 2, 2, 1, 1000},
		{"adm_per_64", &l.Per64, 8, 8, 8, 1, 1000},
		{"adm_per_24", &l.Per24, 8, 8, 8, 1, 10_000},
		{"adm_per_16", &l.Per16, 128, 128, 128, 1, 50_000},
		{"adm_per_as", &l.PerAS, 32, 32, 32, 1, 50_000},
		{"adm_as_permille", &l.ASPermille, 200, 500, 1000, 1, 1000},
		{"adm_new_per_address", &l.NewPerAddr, 2, 4, 1000, 1, 1000},
		{"adm_new_window", &l.NewWindow, 30, 30, 30, 1, 365},
	}
}

func (r *Rules) ages() []entry {
	l := &r.Limits
	entries := []entry{
		{"age_freeze", &l.FreezeAfter, 14, 14, 14, 1, 365},
		{"age_forget", &l.ForgetAfter, 60, 60, 60, 1, 3650},
		{"age_uptime", &l.UptimeOfADay, 900, 900, 0, 0, 1000},
		{"cohort_days", &r.EpochDays, 15, 15, 15, 1, 365},
		{"cohort_age", &r.CohortAge, 730, 730, 730, 1, 36_500},
	}
	for p, x := range [positions]struct{ from, start, full, young int }{
		{30, 0, 90, 180},
		{3, 100, 30, 90},
		{8, 250, 30, 90},
	} {
		ramp, letter := &r.Ramps[p], letters[p]
		entries = append(entries,
			entry{"age_from_" + letter, &ramp.From, x.from, tenth(x.from), 0, 0, 3650},
			entry{"age_start_" + letter, &ramp.Start, x.start, x.start, 1000, 0, 1000},
			entry{"age_full_" + letter, &ramp.Full, x.full, tenth(x.full), 1, 1, 3650},
			entry{"young_days_" + letter, &r.YoungDays[p], x.young, x.young, x.young, 1, 3650})
	}
	return entries
}

// tenth is how long a small network waits where others wait so many days.
func tenth(days int) int { return (days + 9) / 10 }

// letters end the names of parameters that each position has.
var letters = [positions]string{"g", "m", "e"}

func (r *Rules) shares() []entry {
	var entries []entry
	for p, caps := range [positions][Dimensions]int{ // in the order of the dimensions
		{20, 40, 250, 400, 25, 5, 20, 150, 30},
		{30, 60, 400, 500, 80, 40, 20, 250, 150},
		{30, 60, 300, 400, 100, 40, 20, 200, 120},
	} {
		for d, c := range caps {
			name := "cap_" + Dimension(d).String() + "_" + letters[p]
			entries = append(entries, capEntry(name, Dimension(d), &r.Caps[d][p], c))
		}
	}
	for _, x := range []struct {
		d Dimension
		c int
	}{{BySlash24, 30}, {BySlash16, 60}, {ByAS, 400}, {ByFamily, 100}, {ByGroup, 40}} {
		entries = append(entries, capEntry("base_"+x.d.String(), x.d, &r.BaseCaps[x.d], x.c))
	}
	return entries
}

// capEntry makes the entry of a cap of c permille.
func capEntry(name string, d Dimension, field *int, c int) entry {
	times := 4
	if d.ofHonest() {
		times = 8
	}
	wide := min(1000, times*c)
	return entry{name, field, c, wide, wide, 1, 1000}
}

func (r *Rules) detection() []entry {
	d := &r.Detection
	return []entry{
		{"detect_least", &d.Least, 5, 5, 5, 3, 1000},
		{"detect_false_alarms", &d.FalseAlarms, 1000, 1000, 1000, 1, 1_000_000},
		{"detect_margin_bits", &d.MarginBits, 10, 10, 10, 0, 1000},
		{"detect_incumbent", &d.IncumbentDays, 180, 180, 180, 1, 3650},
		{"detect_trailing", &d.TrailingDays, 90, 90, 90, 7, 365},
		{"quarantine_minutes", &d.Quarantine, 43_200, 4_320, 30, 1, 525_600},
		{"quarantine_weight", &d.Weight, 100, 100, 100, 0, 1000},
	}
}

func (r *Rules) vouching() []entry {
	v := &r.Vouch
	return []entry{
		{"vouch_age", &v.Age, 180, 60, 0, 0, 3650},
		{"vouch_every", &v.Every, 90, 30, 1, 1, 3650},
		{"vouch_stock", &v.Stock, 2, 2, 2, 0, 100},
		{"vouch_depth", &v.Depth, 3, 3, 3, 0, 16},
		{"vouch_ramp", &v.SpeedUp, 500, 500, 500, 1, 1000},
		{"vouch_freeze", &v.FreezeFor, 365, 90, 1, 1, 3650},
	}
}

func (r *Rules) guards() []entry {
	g := &r.Guards
	return []entry{
		{"guard_sample", &g.Sample, 20, 20, 20, 1, 60},
		{"guard_sample_most", &g.SampleMost, 40, 60, 60, 1, 60},
		{"guard_sample_permille", &g.SamplePermille, 200, 200, 200, 1, 1000},
		{"guard_primary", &g.Primary, 3, 3, 3, 1, 8},
		{"guard_use", &g.Use, 1, 1, 1, 1, 8},
		{"guard_life_least", &g.LifeLeast, 300, 300, 300, 1, 3650},
		{"guard_life_most", &g.LifeMost, 390, 390, 390, 1, 3650},
		{"guard_confirmed", &g.ConfirmedLife, 300, 300, 300, 1, 3650},
		{"guard_unlisted", &g.UnlistedLimit, 20, 20, 20, 1, 365},
		{"guard_per_subnet", &g.PerSubnet, 2, 60, 60, 1, 60},
		{"guard_per_family", &g.PerFamily, 1, 60, 60, 1, 60},
		{"guard_per_cohort", &g.PerCohort, 1, 60, 60, 1, 60},
		{"guard_per_as", &g.PerAS, 4, 60, 60, 1, 60},
		{"guard_per_voucher", &g.PerVoucher, 1, 60, 60, 1, 60},
		{"guard_new_day", &g.NewPerDay, 1, 4, 0, 0, 1000},
		{"guard_new_month", &g.NewPerMonth, 3, 12, 0, 0, 1000},
		{"guard_new_year", &g.NewPerYear, 6, 36, 0, 0, 1000},
		{"guard_layer2", &g.Layer2, 4, 4, 4, 1, 16},
		{"guard_layer2_least", &g.Layer2Least, 24, 24, 24, 1, 8760},
		{"guard_layer2_most", &g.Layer2Most, 288, 288, 288, 1, 8760},
	}
}

// Bounds returns the least and the most that a parameter counts as; ok is false
// where there is none of that name.
func Bounds(name string) (least, most int64, ok bool) {
	if name == smallName || name == fullName {
		return 0, directory.MaxRelays, true
	}
	for _, e := range new(Rules).table() {
		if e.name == name {
			return int64(e.least), int64(e.most), true
		}
	}
	return 0, 0, false
}

// Names returns the names of all parameters, ascending.
func Names() []string {
	names := []string{smallName, fullName}
	for _, e := range new(Rules).table() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}
