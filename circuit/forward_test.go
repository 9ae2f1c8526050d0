package circuit_test

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/link/linktest"
	"tunic/cell/work"
	"tunic/circuit"
	"tunic/circuit/handshake"
	"tunic/directory/keys"
)

const ( // of a forwarding, in cells
	benchRound  = 64 * 4 * benchWrite  // between two pauses, over all links
	benchWindow = 16 * benchWrite      // under way, on all links; two writes on each at least
	benchWrite  = 8 * cell.RecordCells // with one system call
	benchBytes  = benchWrite / cell.RecordCells * (2 + cell.RecordCells*cell.Size + 16)
)

// TestRelayForwardsWithoutAllocating sends cells through a relay, in either direction:
// reading, opening, layer, queue, sealing and writing take nothing from the heap.
func TestRelayForwardsWithoutAllocating(t *testing.T) {
	if circuit.RaceEnabled {
		t.Skip("pools drop what they hold in race builds")
	}
	for name, way := range map[string]way{"inward": inward, "outward": outward} {
		t.Run(name, func(t *testing.T) { forwardWithoutAllocating(t, newForwarding(t, way, 4, 1, benchWrite)) })
	}
}

func forwardWithoutAllocating(t *testing.T, f *forwarding) {
	const rounds = 200
	var sealed [][]byte
	for range rounds {
		f.seal()
		sealed = append(sealed, f.lanes[0].sealed)
		f.lanes[0].sealed = nil
	}
	next := 0
	send := func() {
		f.lanes[0].sealed = sealed[next]
		next++
		f.lanes[0].send()
	}
	for range rounds / 2 {
		send() // fills the pools
	}
	if n := testing.AllocsPerRun(rounds/2-1, send); n > 0 {
		t.Errorf("%v allocations for %d cells, want 0", n, benchWrite)
	}
}

// A forwarding is a relay between neighbours that send and neighbours that count.
type forwarding struct {
	lanes []*lane
	plain []byte // of a record
}

// A way is where the cells of a forwarding go.
type way int

const (
	inward  way = iota // to the clients: the relay adds a layer
	outward            // from them: it takes one off
)

// A lane is one link towards the relay and one away from it.
type lane struct {
	from, to *linktest.Hostile
	ids      []cell.CircuitID // on the link that it sends on
	next     int              // of ids
	sealed   []byte           // of the next round
	credit   chan struct{}    // for benchWrite cells each
	done     chan struct{}    // all cells of the round have come
	round    int              // cells in one
}

// newForwarding builds the circuits, without handshakes. round is how many cells make
// a round, over all links.
func newForwarding(tb testing.TB, w way, circuits, links, round int) *forwarding {
	hops := make(chan *circuit.Hop, 1)
	keyed := &handshake.Result{}
	cfg := linktest.NewRelay()
	handler := &linktest.Handler{New: func(l *link.Link, id cell.CircuitID, _ cell.Command, _ []byte, _ *link.Batch) {
		binary.BigEndian.PutUint32(keyed.Inward[:], uint32(id))
		h, err := circuit.NewHop(l, id, keyed, circuit.KindTransit, unasked{}, circuit.Params{})
		if err != nil {
			tb.Errorf("new hop: %v", err)
		}
		hops <- h
	}}
	config := cfg.Config(handler)
	config.SourceClass = func(netip.Addr) work.Class { return work.Relay }
	pool := linktest.NewPool(tb, config)
	target := cfg.Target(linktest.Serve(tb, pool, link.TCP{}, "127.0.0.1"))

	f := &forwarding{plain: make([]byte, cell.RecordCells*cell.Size)}
	for range links {
		further := linktest.NewRelay()
		out := linktest.Connect(tb, target, linktest.Options{As: further})
		in := linktest.Connect(tb, target, linktest.Options{As: linktest.NewRelay()})
		ln := &lane{from: out, to: in, credit: make(chan struct{}, max(2, benchWindow/benchWrite/links)), done: make(chan struct{}, 1)}
		if w == outward {
			ln.from, ln.to = in, out
		}
		ln.round = round / links / benchWrite * benchWrite
		for range cap(ln.credit) {
			ln.credit <- struct{}{}
		}
		for i := range circuits / links {
			near := in.NewID(uint32(i))
			in.Send(near, cell.CreateDir, nil)
			far, err := (<-hops).GoOn(findLink(tb, pool, further.ID))
			if err != nil {
				tb.Fatal(err)
			}
			ln.ids = append(ln.ids, [...]cell.CircuitID{inward: far, outward: near}[w])
		}
		f.lanes = append(f.lanes, ln)
		go ln.to.Skim(ln.counter()) // ends when the connection closes, with the benchmark
	}
	return f
}

// findLink waits until the pool has the link of a relay that has just connected.
func findLink(tb testing.TB, pool *link.Pool, id keys.RelayID) *link.Link {
	for range 1000 {
		if l := pool.Find(id); l != nil {
			return l
		}
		time.Sleep(time.Millisecond)
	}
	tb.Fatal("the relay has no link")
	return nil
}

// unasked owns hops that are asked for nothing.
type unasked struct{}

func (unasked) Extend(*circuit.Hop, keys.RelayID, []byte)                {}
func (unasked) Begin(*circuit.Stream, cell.BeginRequest)                 {}
func (unasked) BeginDir(*circuit.Stream)                                 {}
func (unasked) Resolve(*circuit.Hop, cell.StreamID, cell.ResolveRequest) {}
func (unasked) HopClosed(*circuit.Hop)                                   {}

// counter gives credit for the cells that come, and tells when a round is over.
func (ln *lane) counter() func(cells int) {
	total, credited := 0, 0
	return func(cells int) {
		total += cells
		for ; total-credited >= benchWrite; credited += benchWrite {
			ln.credit <- struct{}{}
		}
		if total >= ln.round {
			total, credited = 0, 0
			ln.done <- struct{}{}
		}
	}
}

// seal makes the records of the next round.
func (f *forwarding) seal() {
	for _, ln := range f.lanes {
		ln.sealed = ln.sealed[:0]
		for range ln.round / cell.RecordCells {
			for i := range cell.RecordCells {
				cell.PutHeader(f.plain[i*cell.Size:], cell.Header{Circuit: ln.ids[ln.next], Command: cell.Relay})
				ln.next = (ln.next + 1) % len(ln.ids)
			}
			ln.sealed = append(ln.sealed, ln.from.RecordOf(f.plain)...)
		}
	}
}

// round sends all that is sealed, and waits until it has come out.
func (f *forwarding) round() (cells int) {
	var wg sync.WaitGroup
	for _, ln := range f.lanes {
		cells += ln.round
		wg.Go(func() { ln.send() })
	}
	wg.Wait()
	return cells
}

func (ln *lane) send() {
	for p := ln.sealed; len(p) > 0; p = p[benchBytes:] {
		<-ln.credit
		if _, err := ln.from.Conn.Write(p[:benchBytes]); err != nil {
			return
		}
	}
	<-ln.done
}
