package bench

import (
	"math"
	"strconv"
	"strings"
)

// comparison is the name under which the report says how far the networks are from
// the floor.
const comparison = "distance"

// compare puts what the networks cost beside the floor, where both were measured.
func (r *run) compare() {
	floor, ok := r.report.figure(floorName, floorSum, cpuPerGiB)
	waited, ok2 := r.report.figure(floorName, floorWaitedSum, cpuPerGiB)
	if !ok || !ok2 {
		return
	}
	for _, n := range []struct{ measurement, name string }{{networkName, "one process"}, {processesName, "separate processes"}} {
		for _, what := range []string{oneStream, eightStreams} {
			if cpu, ok := r.report.figure(n.measurement, what, cpuPerGiB); ok {
				r.add(comparison, n.name+", "+what, figure{cpuPerGiB, cpu}, figure{distance, cpu / floor}, figure{distanceWaited, cpu / waited})
			}
		}
	}
}

// advise says what a relay's operator can read from the figures.
func (r *run) advise() {
	cases := forwardCases()
	cores := r.report.Machine.Cores
	rate, ok := r.report.figure("relay", cases[len(cases)-1].name(cores), capacity)
	if !ok {
		return
	}
	r.note("This machine can relay about %s MiB/s in each direction, if it does nothing else and its network can: bandwidth_rate = %s.",
		round(rate), grouped(rate*mib))
}

// grouped writes a number of bytes as a configuration file takes it, rounded down to
// two digits.
func grouped(v float64) string {
	if v < 1 {
		return "0"
	}
	unit := math.Pow(10, math.Max(0, math.Floor(math.Log10(v))-1))
	s := strconv.FormatInt(int64(math.Floor(v/unit)*unit), 10)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return b.String()
}
