package bench

import (
	"math"
	"testing"
)

// The sums by hand: 31 cells make a record of 16,045 bytes for 15,221 of a stream.
func TestFloorAddsUp(t *testing.T) {
	r := &run{report: Report{Machine: Machine{Cores: 2}}}
	f := &floor{run: r, crypto: 5, cheapest: 0.25, slow: 1}
	if err := f.sum(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name       string
		cpu, speed float64
	}{
		{floorSum, 5 + 0.25*(3*16045.0/15221+1), 339.0},
		{floorWaitedSum, 5 + 3*16045.0/15221 + 1, 223.6},
	} {
		cpu, _ := r.report.figure(floorName, want.name, cpuPerGiB)
		speed, _ := r.report.figure(floorName, want.name, mibPerSecond)
		if math.Abs(cpu-want.cpu) > 1e-9 || math.Abs(speed-want.speed) > 0.1 {
			t.Errorf("%s: %v s/GiB and %v MiB/s, want %v and %v", want.name, cpu, speed, want.cpu, want.speed)
		}
	}
	if n := math.Round(cellsInGiB); n != 2_186_847 {
		t.Errorf("a GiB is %v cells", n)
	}
}
