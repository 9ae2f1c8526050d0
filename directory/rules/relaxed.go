package rules

import (
	"time"

	"tunic/directory"
)

// What may be relaxed in a network. A consensus lists the names in this order.
const (
	Small = "small" // fewer relays than sybil_small: the widest caps, shorter times
	Test  = "test"  // private addresses: no ramp, quarantine of minutes, no draw budget
	Wide  = "wide"  // fewer relays than sybil_full: wider caps, by their number
	Young = "young" // younger than 12 epochs or the ramp: ages count more, caps by age are wider
)

const ( // of the parameters that say what is small; our choice
	smallName    = "sybil_small"
	smallDefault = 200 // in networks of fewer relays percentages of one relay mean little
	fullName     = "sybil_full"
	fullDefault  = 6000 // in networks of fewer the greatest honest operators hold more than caps allow
)

// youngEpochs is how many epochs a network has until no cohort is more than its
// usual part of it: 12 · cohort_days is a year.
const youngEpochs = 12

// day is the unit of ages.
const day = 24 * time.Hour

// Relaxed says, in the order of their names, what is relaxed in a network of
// that many relays at that time.
func Relaxed(n *directory.Network, params []directory.Param, relays int, at time.Time) []string {
	var names []string
	if relays < sizeOf(params, smallName, smallDefault) {
		names = append(names, Small)
	}
	if n.PrivateAddresses {
		names = append(names, Test)
	}
	if relays < sizeOf(params, fullName, fullDefault) {
		names = append(names, Wide)
	}
	r := Of(params, names, relays, 0)
	if at.Sub(n.Timing.Start) < time.Duration(max(r.longest(), youngEpochs*r.EpochDays))*day {
		names = append(names, Young)
	}
	return names
}

// sizeOf is the size of a network that a parameter says.
func sizeOf(params []directory.Param, name string, otherwise int) int {
	v, ok := param(params, name)
	if !ok {
		return otherwise
	}
	return int(min(max(v, 0), directory.MaxRelays))
}

// longest is the age in days at which a relay carries all that it can.
func (r *Rules) longest() int {
	n := 0
	for _, ramp := range r.Ramps {
		n = max(n, ramp.Full)
	}
	return n
}

const (
	// unstretched is the stretch by which ages count as they are, in permille.
	unstretched = 1000
	// maxStretch is the stretch in a network of less than a day: enough for a
	// relay of one day to be of full age.
	maxStretch = 1000 * 3651
)

// stretch is by how much ages count in a young network: there the oldest relay
// possible is of full age.
func stretch(full int, age time.Duration) int {
	days := int(age / day)
	if days < 1 {
		return maxStretch
	}
	return max(unstretched, (1000*full+days-1)/days)
}

// AgeOf returns the age in days as the ramp and the caps count it. In a network
// of less than a day everybody is of full age.
func (r *Rules) AgeOf(days int) int {
	days = max(days, 0)
	if r.Stretch >= maxStretch {
		return max(days, r.longest())
	}
	return int(int64(days) * int64(r.Stretch) / 1000)
}
