package relay_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link/linktest"
	"tunic/circuit"
)

// What goes wrong here goes wrong for those who cause it: others' bytes go on, each
// request is answered or refused with the right reason, and afterwards new ones are
// answered again. How fast bytes go on is printed by BenchmarkOverload of cmd/tunic.

// roundTrips has a stream of c carry n bytes to an echo and back.
func (nw *testNet) roundTrips(c *circuit.Circuit, port uint16, n int) {
	nw.t.Helper()
	s, err := c.Dial(nw.ctx(), "127.0.0.1", port, 0)
	if err != nil {
		nw.t.Errorf("a stream beside the trouble: %v", err)
		return
	}
	defer s.Close()
	sent := make([]byte, n)
	rand.Read(sent)
	go func() { s.Write(sent); s.CloseWrite() }() // ends when all is sent
	s.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
		nw.t.Errorf("%d bytes of %d came back beside the trouble: %v", len(got), n, err)
	}
}

func TestBytesGoOnUnderAFloodOfHandshakes(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, options{})
	to := echo(t)
	c := nw.circuit(nw.client(nil), nw.relays...)
	var created, refused int64
	for range 10 { // where others have the processor a flood may be slower than its answers
		done := make(chan struct{})
		go func() { defer close(done); nw.roundTrips(c, to.Port(), 1<<20) }() // ends with them
		answered, no := nw.flood()
		<-done
		if created, refused = created+answered, refused+no; refused > 0 {
			break
		}
	}
	t.Logf("%d answered, %d refused for want of workers", created, refused)
	if created == 0 || refused == 0 {
		t.Error("no handshake of a flood was answered, or none refused")
	}
	nw.roundTrips(nw.circuit(nw.client(nil), nw.relays...), to.Port(), 1000)
}

// flood begins a thousand circuits at once from eight clients, and returns how many
// handshakes were answered and refused when all have been.
func (nw *testNet) flood() (created, refused int64) {
	const clients, each = 8, 125
	var yes, no atomic.Int64
	var all sync.WaitGroup
	for range clients {
		h := nw.hostile(nw.relays[0], nil)
		var flood []byte // made ready: to send it costs much less than to answer it
		for i := range uint32(each) {
			var cells []linktest.Cell
			for _, b := range fragments(nw.message1(nw.relays[0])) {
				cells = append(cells, linktest.Cell{ID: h.NewID(i), Command: cell.Create, Body: b})
			}
			flood = append(flood, h.Record(cells...)...)
		}
		all.Go(func() { // ends with the last of its records
			if _, err := h.Conn.Write(flood); err != nil {
				nw.t.Errorf("the relay closed a link: %v", err)
			}
		})
		all.Go(func() { // ends with the last answer
			for n := 0; n < each; {
				got, err := h.Next(patience)
				switch {
				case err != nil:
					nw.t.Errorf("%d handshakes of %d answered: %v", n, each, err)
					return
				case got.Command == cell.Created && got.Body[0] == cell.Fragments-1: // the last of three
					yes.Add(1)
					n++
				case got.Command == cell.Created:
				case got.Command == cell.Destroy && cell.Reason(got.Body[0]) == cell.ReasonResource:
					no.Add(1)
					n++
				default:
					nw.t.Errorf("%v: %x", got, got.Body[0])
					return
				}
			}
		})
	}
	all.Wait()
	return yes.Load(), no.Load()
}

func TestBytesGoOnWhileManyStreamsOpen(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, options{})
	to := echo(t)
	p := nw.client(nil)
	c := nw.circuit(p, nw.relays...)
	var opened atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		many := nw.circuit(p, nw.relays...)
		for range 250 {
			all.Go(func() {
				s, err := many.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
				if err != nil {
					t.Errorf("one of 1,000 streams: %v", err)
					return
				}
				opened.Add(1)
				s.Close()
			})
		}
	}
	nw.roundTrips(c, to.Port(), 1<<20)
	all.Wait()
	if n := opened.Load(); n != 1000 {
		t.Errorf("%d of 1,000 streams opened", n)
	}
	nw.waitFor("the end of all streams", func() bool { return nw.relays[1].Status().Streams == 0 })
}

func TestBytesGoOnBesideALinkThatIsNotRead(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, options{})
	to := echo(t)
	p, limit := nw.greedy()
	var all []*circuit.Stream
	for range 8 { // before the first of them fills the link
		s, err := nw.circuit(p, nw.relays...).Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	var ended atomic.Int64
	for _, s := range all {
		go func() { s.Write(make([]byte, 16<<20)); ended.Add(1) }() // ends with the circuit
	}
	nw.waitFor("a link that is not read", func() bool { return limit.left.Load() < 0 })
	nw.roundTrips(nw.circuit(nw.client(nil), nw.relays...), to.Port(), 1<<20)
	if n := ended.Load(); n > 0 {
		t.Errorf("%d streams of a link that is not read went on, or ended", n)
	}
}

func TestBytesGoOnBesideADestinationThatStops(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, options{})
	to := echo(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // nobody reads what it accepts
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := nw.client(nil)
	c := nw.circuit(p, nw.relays...)
	const streams = 8
	var ended, wrote atomic.Int64
	for range streams {
		s, err := c.Dial(nw.ctx(), "127.0.0.1", ln.Addr().(*net.TCPAddr).AddrPort().Port(), 0)
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends with the circuit
			for block := make([]byte, 16<<10); ; {
				n, err := s.Write(block)
				wrote.Add(int64(n))
				if err != nil {
					ended.Add(1)
					return
				}
			}
		}()
	}
	// What the kernels, the exit and the client hold is full when nothing moves any more.
	before := int64(-1)
	nw.waitFor("destinations that have stopped", func() bool {
		was := before
		before = wrote.Load()
		return before == was && before > streams*100<<10
	})
	nw.roundTrips(c, to.Port(), 1<<20) // on the same circuit
	nw.roundTrips(nw.circuit(p, nw.relays...), to.Port(), 1<<20)
	if n := ended.Load(); n > 0 {
		t.Errorf("%d streams to a destination that stops have ended", n)
	}
}
