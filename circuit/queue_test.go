package circuit_test

import (
	"runtime"
	"sync"
	"testing"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit"
)

// TestFullQueueEndsTheCircuit has a client that reads nothing while an exit sends
// more than any window: the guard's queue overflows, and that circuit ends. Other
// clients of the guard notice nothing.
func TestFullQueueEndsTheCircuit(t *testing.T) {
	nw := newMemoryNetwork(t, 0)
	nw.limits.QueueCells = 128
	nw.relays = append(nw.relays, newRelay(nw))
	nw.limits = link.Limits{}
	nw.relays = append(nw.relays, newRelay(nw), newRelay(nw))
	hops := nw.relays[1].goRaw()
	r := newClient(nw).buildRaw(t, 2)
	guard := nw.relays[0].only(t)
	exit := <-hops
	nw.relays[1].rawHops.Store(nil)
	bystander := newClient(nw).build(3)

	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	r.setGate(gate)
	for range 2000 {
		exit.send(cell.Data, 1, make([]byte, 100))
	}
	destroyed(t, "the guard", guard, -1, cell.ReasonResource)
	if err := echo(bystander); err != nil {
		t.Errorf("another client while the first reads nothing: %v", err)
	}
	open()
	r.expectEnd(cell.ReasonResource)
	if got := await(t, "DESTROY at the exit", exit.ended); got != cell.ReasonNone {
		t.Errorf("the exit is told %v, want nothing", got)
	}
}

// TestForwardingDoesNotAllocate counts what cells cost on their way through two
// relays, from a raw client to a raw exit: the ends make new key objects for every
// 31st cell, and nobody makes anything for each.
func TestForwardingDoesNotAllocate(t *testing.T) {
	if circuit.RaceEnabled {
		t.Skip("pools drop items in race builds")
	}
	nw := newNetwork(t, 3)
	hops := nw.relays[2].goRaw()
	r := newClient(nw).buildRaw(t, 3)
	exit := <-hops
	exit.count, r.count = make(chan struct{}, 1), make(chan struct{}, 1)
	const cells = countedCells
	exit.want, r.want = cells, cells
	run := func() {
		for range cells {
			r.send(exitHop, cell.Data, 1, nil)
		}
		await(t, "cells at the exit", exit.count)
		for range cells {
			exit.send(cell.Data, 1, nil)
		}
		await(t, "cells at the client", r.count)
	}
	run() // fill the pools
	if perCell := testing.AllocsPerRun(5, run) / (2 * cells); perCell > 0.3 {
		t.Errorf("%.2f allocations for each cell", perCell)
	}
}

// TestIdleCircuitIsSmall weighs circuits that are asleep, at both ends together,
// with their places on the link.
func TestIdleCircuitIsSmall(t *testing.T) {
	nw := newNetwork(t, 1)
	cl := newClient(nw)
	l := cl.link()
	var all []*circuit.Circuit
	open := func(n int) {
		for range n {
			c, err := circuit.OpenDir(t.Context(), l, nw.params)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
	}
	open(100) // warms up
	const (
		circuits = 6000          // so that it does not matter whether a link holds its buffers
		most     = 33 << 10 / 10 // bytes
	)
	before := heap()
	open(circuits)
	if each := (heap() - before) / circuits; each > most {
		t.Errorf("an idle circuit takes %d bytes at both ends, want %d at most", each, most)
	} else {
		t.Logf("an idle circuit takes %d bytes at both ends", each)
	}
	runtime.KeepAlive(all)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
