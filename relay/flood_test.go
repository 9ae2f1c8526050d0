package relay_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link/linktest"
	"tunic/circuit/handshake"
)

// BenchmarkCreateFlood prints what a handshake costs that many clients send at once,
// nearly all of them more than the relay can answer; with the other ends' reading and
// writing of bytes that were made ready before.
func BenchmarkCreateFlood(b *testing.B) {
	nw := newNet(b, 1, options{})
	r := nw.relays[0]
	const clients, perRecord = 16, cell.RecordCells / cell.Fragments
	each := max(1, min(b.N/clients/perRecord, 1500)) // records
	messages := make([][]byte, 2000)
	for i := range messages {
		hop := r.hop()
		_, msg, err := handshake.Start(nw.params.Network, hop.ID, hop.Key, handshake.Extensions{})
		if err != nil {
			b.Fatal(err)
		}
		messages[i] = msg
	}
	var conns []net.Conn
	var floods [][]byte
	next := 0
	for range clients {
		conn, err := net.Dial("tcp", r.target().Addrs[0].String())
		if err != nil {
			b.Fatal(err)
		}
		h := linktest.Initiate(b, conn, r.target(), linktest.Options{Prologue: linktest.Prologue(nw.params.Network, r.ID())})
		var flood []byte
		for i := range each {
			var cells []linktest.Cell
			for k := range perRecord {
				for f := range cell.Fragments {
					body := make([]byte, cell.BodySize)
					cell.PutFragment(body, cell.AssembleCreate, f, messages[next%len(messages)])
					cells = append(cells, linktest.Cell{ID: cell.CircuitID(i*perRecord + k + 1).WithInitiator(true), Command: cell.Create, Body: body})
				}
				next++
			}
			flood = append(flood, h.Record(cells...)...)
		}
		conns, floods = append(conns, conn), append(floods, flood)
	}
	before := r.Status()
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(func() { io.Copy(io.Discard, c) }) // ends when the connection closes
	}
	answered := func() (n uint64) {
		s := r.Status()
		n = s.Handshakes - before.Handshakes
		for why := range s.Refused {
			n += s.Refused[why] - before.Refused[why]
		}
		return n
	}
	b.ResetTimer()
	from := time.Now()
	for i, c := range conns {
		all.Go(func() { c.Write(floods[i]) }) // fails where the relay closes the link
	}
	for n := uint64(0); n < uint64(next); time.Sleep(10 * time.Millisecond) {
		was := n
		if n = answered(); n == was && len(r.Status().Links) < clients && time.Since(from) > time.Second {
			break // links that do not take their answers are closed
		}
	}
	took := time.Since(from)
	b.StopTimer()
	b.ReportMetric(took.Seconds()*1e6/float64(answered()), "µs/create")
	b.ReportMetric(float64(r.Status().Handshakes-before.Handshakes)/took.Seconds(), "answered/s")
	for _, c := range conns {
		c.Close()
	}
	all.Wait()
}
