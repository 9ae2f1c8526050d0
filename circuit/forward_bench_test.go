//go:build unix

package circuit_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tunic/cell"
)

// BenchmarkRelayForward is the rate at which one relay passes cells on: from the
// links of its neighbours further out, a layer added to each, to as many links of
// clients. What it gets is sealed beforehand, and what it sends is not opened, so
// that the load costs little beside it: load-% is its share of the processor time,
// measured with the same bytes over bare connections. Compare -cpu 1,2,4,8: the load
// runs on the same processors.
func BenchmarkRelayForward(b *testing.B) {
	for _, c := range []struct{ circuits, links int }{{1, 1}, {16, 1}, {16, 4}, {256, 1}, {256, 4}, {256, 64}} {
		b.Run(fmt.Sprintf("circuits=%d/links=%d", c.circuits, c.links), func(b *testing.B) {
			benchForward(b, newForwarding(b, inward, c.circuits, c.links, benchRound))
		})
	}
}

func benchForward(b *testing.B, f *forwarding) {
	load := loadCost(b)
	var cells int
	var cpu time.Duration
	b.SetBytes(benchRound * cell.BodySize)
	for b.Loop() {
		b.StopTimer()
		f.seal()
		b.StartTimer()
		before := processorTime(b)
		cells += f.round()
		cpu += processorTime(b) - before
	}
	perCell := float64(cpu.Nanoseconds()) / float64(cells)
	b.ReportMetric(float64(cells)/b.Elapsed().Seconds(), "cells/s")
	b.ReportMetric(perCell, "cpu-ns/cell")
	b.ReportMetric(100*load/perCell, "load-%")
}

// processorTime is what the process has used.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// loadCost is what sending and counting costs by itself, in ns of processor time for
// each cell.
func loadCost(b *testing.B) float64 {
	near, far := socketPair(b)
	all := make(chan struct{})
	go func() { // ends with what is sent
		defer close(all)
		buf := make([]byte, 128<<10)
		for left := benchRound / benchWrite * benchBytes; left > 0; {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			left -= n
		}
	}()
	before := processorTime(b)
	for p, i := make([]byte, benchBytes), 0; i < benchRound/benchWrite; i++ {
		if _, err := near.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	<-all
	return float64((processorTime(b) - before).Nanoseconds()) / benchRound
}
