package main

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/circuit"
	"tunic/cmd/localnet"
)

// The benchmarks of this file print what relays in processes of their own have in
// memory. Each runs once and takes a minute: a load, then the time after which
// memory must be back with the system.
//
//	go test -run '^$' -bench 'Idle|Busy' -benchtime 1x ./cmd/tunic

const (
	restTime  = 13 * time.Second // until an unloaded relay has given back what its start took
	afterLoad = 55 * time.Second // within which memory goes back
)

// report prints the memory of one relay before and after n of something came.
func report(b *testing.B, nd *localnet.Node, before int64, n int, what string) {
	_, anon := resident(b, nd.PID)
	b.ReportMetric(float64(anon-before)/float64(n), "KiB/"+what)
	b.ReportMetric(float64(anon)/1024, "MiB-after")
}

// rested waits until the relays are at rest and returns the anonymous memory of the
// i-th.
func (l *loaded) rested(i int) int64 {
	time.Sleep(restTime)
	all, anon := resident(l.b, l.relays[i].PID)
	l.b.ReportMetric(float64(all)/1024, "MiB-idle-with-program")
	l.b.ReportMetric(float64(anon)/1024, "MiB-idle")
	return anon
}

// inParallel calls f for each number below n, as many at a time as workers.
func inParallel(n, workers int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}

// BenchmarkIdleCircuits: what 10,000 circuits cost the relay in the middle of them
// that nothing moves on.
func BenchmarkIdleCircuits(b *testing.B) {
	l := startLoaded(b, 3, 0)
	before := l.rested(1)
	const n, each = 10_000, 1000 // circuits of one client
	var failed atomic.Int64
	for i := range n / each {
		l.links(loadClient(i))
	}
	inParallel(n, 8, func(i int) {
		c, err := l.circuit(l.links(loadClient(i/each)), 0, 1, 2)
		if err != nil {
			failed.Add(1)
			b.Log(err)
			return
		}
		b.Cleanup(func() { c.Close() })
	})
	if failed.Load() > 0 {
		b.Fatalf("%d circuits failed", failed.Load())
	}
	time.Sleep(afterLoad)
	s := l.status(l.relays[1])
	if s.Relay.Circuits < n {
		b.Fatalf("the relay has %d circuits", s.Relay.Circuits)
	}
	report(b, l.relays[1], before, n, "circuit")
}

// BenchmarkIdleLinks: what links cost a relay that nothing but padding moves on. As
// many as the limit of open files lets a relay have of strangers.
func BenchmarkIdleLinks(b *testing.B) {
	l := startLoaded(b, 3, 0)
	before := l.rested(0)
	const most = 10_000
	for i := range most {
		l.links(loadClient(i))
	}
	var links atomic.Int64
	inParallel(most, 16, func(i int) {
		if lk, err := l.dial(b.Context(), l.links(loadClient(i)), 0); err == nil && lk.Err() == nil {
			links.Add(1)
		}
	})
	time.Sleep(afterLoad)
	n := len(l.status(l.relays[0]).Relay.Links)
	if n < 1000 {
		b.Fatalf("the relay has %d links of %d", n, links.Load())
	}
	b.ReportMetric(float64(n), "links")
	report(b, l.relays[0], before, n, "link")
}

// BenchmarkIdleStreams: what streams cost an exit that nothing moves on.
func BenchmarkIdleStreams(b *testing.B) {
	l := startLoaded(b, 3, 0)
	before := l.rested(2)
	const n, each = 4000, 200
	var circuits [n / each]*circuit.Circuit
	for i := range circuits {
		c, err := l.circuit(l.links(loadClient(i)), 0, 1, 2)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		circuits[i] = c
	}
	inParallel(n, 8, func(i int) {
		if _, err := l.begin(circuits[i/each], wantNothing); err != nil {
			b.Error(err)
		}
	})
	time.Sleep(afterLoad)
	if got := l.status(l.relays[2]).Relay.Streams; got != n {
		b.Fatalf("the exit has %d streams", got)
	}
	report(b, l.relays[2], before, n, "stream")
}

// BenchmarkBusyCircuits: what 1,000 circuits cost a relay while bytes come on all of
// them as fast as they can, and a minute after their end.
func BenchmarkBusyCircuits(b *testing.B) {
	l := startLoaded(b, 3, 0)
	before := l.rested(1)
	idle, _ := resident(b, l.relays[1].PID)
	const n, each = 1000, 100
	flows := make([]*download, n)
	circuits := make([]*circuit.Circuit, n)
	inParallel(n, 8, func(i int) {
		c, err := l.circuit(l.links(loadClient(i/each)), 0, 1, 2)
		if err == nil {
			circuits[i] = c
			flows[i], err = l.download(c)
		}
		if err != nil {
			b.Error(err)
		}
	})
	if b.Failed() {
		b.FailNow()
	}
	var most int64
	for range 20 {
		time.Sleep(time.Second / 2)
		_, anon := resident(b, l.relays[1].PID)
		most = max(most, anon)
	}
	var bytes int64
	for i, f := range flows {
		bytes += f.got.Load()
		circuits[i].Close()
	}
	b.ReportMetric(float64(bytes>>20), "MiB-moved")
	b.ReportMetric(float64(most)/1024, "MiB-busy")
	b.ReportMetric(float64(most-before)/n, "KiB/circuit")
	time.Sleep(afterLoad)
	after, _ := resident(b, l.relays[1].PID)
	b.ReportMetric(float64(after)/1024, "MiB-after-with-program")
	b.ReportMetric(float64(after)/float64(idle), "after/idle")
}
