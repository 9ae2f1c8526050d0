package relay_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link"
	"tunic/circuit"
	"tunic/relay"
)

// stuck is a limiter that lets a client read nothing after its first bytes.
type stuck struct{ left atomic.Int64 }

func (s *stuck) Burst() int                 { return 1 << 20 }
func (s *stuck) AllowN(time.Time, int) bool { return false }

func (s *stuck) WaitN(ctx context.Context, n int) error {
	if s.left.Add(-int64(n)) < 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// narrow is TCP whose dialler takes little into its own buffers.
type narrow struct{ link.TCP }

func (n narrow) Dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	c, err := n.TCP.Dial(ctx, addr)
	if err == nil {
		err = c.(*net.TCPConn).SetReadBuffer(8 << 10)
	}
	return c, err
}

// tight is a ceiling that a few windows pass, above what the links of a small
// network cost.
const tight = 400 << 10

// tightMemory gives the i-th relay that ceiling.
func tightMemory(i int) options {
	return options{config: func(k int, c *relay.Config) {
		if k == i {
			c.MaxMemory = tight
		}
	}}
}

// greedy returns the links of a client that reads some bytes and then nothing, and what
// keeps it from that.
func (nw *testNet) greedy() (*link.Pool, *stuck) {
	limit := new(stuck)
	limit.left.Store(100_000)
	p := link.NewPool(link.Config{Network: nw.network.Digest(), ReadLimit: limit, Transport: narrow{}})
	nw.t.Cleanup(func() { p.Close() })
	return p, limit
}

// A client that asks for much and reads nothing loses circuits when the relay runs
// out of memory; who reads keeps his.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, tightMemory(0))
	to := echo(t)
	good := nw.circuit(nw.client(nil), nw.relays...)
	p, _ := nw.greedy()
	var all []*circuit.Stream
	for range 8 {
		s, err := nw.circuit(p, nw.relays...).Dial(nw.ctx(), "127.0.0.1", to.Port(), 0)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for _, s := range all {
		go s.Write(make([]byte, 16<<20)) // ends with the circuit
	}
	nw.waitFor("the end of a circuit", func() bool { return nw.relays[0].Status().Refused["memory"] > 0 })
	if s, err := good.Dial(nw.ctx(), "127.0.0.1", to.Port(), 0); err != nil {
		t.Errorf("another circuit: %v", err)
	} else {
		s.Close()
	}
}

// What a client sent before it left counts as long as the destination does not take
// it: the connection goes when the exit runs out of memory, not minutes later.
func TestMemoryOfClientsThatLeftIsBounded(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, tightMemory(1))
	ln, err := net.Listen("tcp", "127.0.0.1:0") // nobody reads what it accepts
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := nw.client(nil)
	const n = 6 // streams that together hold more than the ceiling
	for range n {
		s, err := nw.circuit(p, nw.relays...).Dial(nw.ctx(), "127.0.0.1", ln.Addr().(*net.TCPAddr).AddrPort().Port(), 0)
		if err != nil {
			t.Fatal(err)
		}
		go s.Write(make([]byte, 64<<20)) // ends with the circuit
	}
	nw.waitFor("the end of a connection", func() bool {
		s := nw.relays[1].Status()
		return s.Streams < n && s.Refused["memory"] >= 2 // a circuit, then what it has left behind
	})
}

// Circuits and streams that hold no data are bounded too: new ones are refused, and
// those that there are go on.
func TestIdleCircuitsAreBounded(t *testing.T) {
	t.Parallel()
	nw := newNet(t, 2, tightMemory(0))
	p := nw.client(nil)
	l := nw.dial(p, nw.relays[0])
	var all []*circuit.Circuit
	for range 100 {
		c, err := circuit.Open(nw.ctx(), l, nw.relays[0].hop(), nw.params)
		if err != nil {
			break
		}
		defer c.Close()
		all = append(all, c)
	}
	// A third of a half of the ceiling, at 3 KiB each.
	if n := len(all); n < 15 || n > 25 {
		t.Errorf("%d idle circuits were taken", n)
	}
	if got := nw.relays[0].Status().Refused["memory"]; got != 1 {
		t.Errorf("%d circuits refused for memory, want 1", got)
	}
	for _, c := range all {
		if c.Err() != nil {
			t.Errorf("an idle circuit ended: %v", c.Err())
		}
	}
}

// What is ended is what has waited longest: of circuits that fill up one after the
// other behind a relay that reads no more, the first that hold anything, without a gap,
// and not the last.
func TestTheOldestIsEndedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 2, options{memory: true, config: func(i int, c *relay.Config) {
			if i == 0 {
				c.MaxMemory = 2 * tight
			}
		}})
		p := nw.client(nil)
		var all []*circuit.Circuit
		for range 20 {
			all = append(all, nw.circuit(p, nw.relays...))
		}
		streams := make([]net.Conn, len(all))
		for i, c := range all {
			s, err := c.DialDir(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			streams[i] = s
		}
		nw.relays[1].SetBandwidth(1, 1, 0)
		last := 0
		for ; nw.relays[0].Status().Refused["memory"] == 0; last++ {
			if last == len(all) {
				t.Fatal("all circuits together are not too much")
			}
			go streams[last].Write(make([]byte, 1<<20)) // ends with the circuit
			time.Sleep(time.Second)
		}
		first, end := -1, 0
		for i, c := range all {
			if c.Err() != nil {
				if first < 0 {
					first = i
				}
				end = i + 1
			}
		}
		if first < 0 || end >= last {
			t.Fatalf("of %d circuits that hold data, those from %d to %d were ended", last, first, end)
		}
		for i := first; i < end; i++ {
			if all[i].Err() == nil {
				t.Errorf("circuit %d goes on, older than %d that was ended", i, end-1)
			}
		}
		t.Logf("of %d circuits, %d to %d were ended", last, first, end-1)
	})
}
