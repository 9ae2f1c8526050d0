package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tunic/cmd/internal/sim/ours"
	"tunic/directory"
	"tunic/directory/rules"
)

// Errors about rules.
var (
	ErrParam  = errors.New("no such rule")
	ErrBounds = errors.New("rule out of bounds")
	ErrAblate = errors.New("no such defence")
)

// Rules are what a run changes about tunic's rules.
type Rules struct {
	Params map[string]int64 // of the consensus, by name
	Ablate []string         // defences to do without
}

// A defence is what [Rules.Ablate] may name: parameters that make it void.
type defence struct {
	name, means string
	params      map[string]int64
}

// everywhere gives a parameter of each position one value.
func everywhere(value int64, names ...string) map[string]int64 {
	m := map[string]int64{}
	for _, n := range names {
		for _, p := range []string{"g", "m", "e"} {
			m[n+"_"+p] = value
		}
	}
	return m
}

// with adds single parameters.
func with(m map[string]int64, value int64, names ...string) map[string]int64 {
	for _, n := range names {
		m[n] = value
	}
	return m
}

// The two that are no parameters.
const (
	ablateRefusals  = "refusals"
	ablateDetection = "detection"
)

// none is a limit or cap that limits nothing.
const none = 1000

// defences lists what can be switched off.
func defences() []defence {
	return []defence{
		{ablateRefusals, "limits of admission", nil},
		{ablateDetection, "groups that are found, and quarantine", nil},
		{"ramp", "ages", with(with(everywhere(none, "age_start"), 0, "age_from_g", "age_from_m", "age_from_e"), 1, "age_full_g", "age_full_m", "age_full_e")},
		{"cap.24", "caps by /24", with(everywhere(none, "cap_24"), none, "base_24")},
		{"cap.16", "caps by /16", with(everywhere(none, "cap_16"), none, "base_16")},
		{"cap.as", "caps by autonomous system", with(everywhere(none, "cap_as"), none, "base_as")},
		{"cap.family", "caps by family, declared or found", with(everywhere(none, "cap_family", "cap_group"), none, "base_family", "base_group")},
		{"cap.young", "the cap of all young relays", everywhere(none, "cap_young")},
		{"cap.cohort", "caps by month of arrival", everywhere(none, "cap_cohort")},
		{"caps", "all caps", with(everywhere(none, "cap_24", "cap_16", "cap_as", "cap_country", "cap_family", "cap_group", "cap_voucher", "cap_young", "cap_cohort"),
			none, "base_24", "base_16", "base_as", "base_family", "base_group")},
		{"sample", "bounds on a client's sample", with(map[string]int64{}, 60, "guard_per_subnet", "guard_per_family", "guard_per_cohort", "guard_per_as", "guard_per_voucher")},
		{"budget", "the draw budget", with(map[string]int64{}, 0, "guard_new_day", "guard_new_month", "guard_new_year")},
		{"lifetime", "long guards: 108 to 120 days, as Tor's", map[string]int64{"guard_life_least": 108, "guard_life_most": 120, "guard_confirmed": 60}},
	}
}

// Defences says which defences can be switched off, a line each.
func Defences() string {
	var b strings.Builder
	for _, d := range defences() {
		fmt.Fprintf(&b, "  %-12s %s\n", d.name, d.means)
	}
	return b.String()
}

// check says which names are not known, and which values no network would take.
func (r *Rules) check() error {
	for name, value := range r.Params {
		switch least, most, ok := rules.Bounds(name); {
		case !ok:
			return fmt.Errorf("%w: %s (there are %s)", ErrParam, name, strings.Join(rules.Names(), ", "))
		case value < least || value > most:
			return fmt.Errorf("%w: %s = %d: use %d to %d", ErrBounds, name, value, least, most)
		}
	}
	for _, name := range r.Ablate {
		if !slices.ContainsFunc(defences(), func(d defence) bool { return d.name == name }) {
			return fmt.Errorf("%w: %s; there are\n%s", ErrAblate, name, Defences())
		}
	}
	return nil
}

// off returns what is switched off otherwise than by parameters.
func (r *Rules) off() ours.Off {
	return ours.Off{Refusals: slices.Contains(r.Ablate, ablateRefusals), Detection: slices.Contains(r.Ablate, ablateDetection)}
}

// params returns the parameters of the consensus. What a caller sets counts more
// than what a defence sets that is switched off.
func (r *Rules) params() ([]directory.Param, error) {
	all := map[string]int64{}
	for _, d := range defences() {
		if slices.Contains(r.Ablate, d.name) {
			maps.Copy(all, d.params)
		}
	}
	maps.Copy(all, r.Params)
	return directory.Params(all)
}
