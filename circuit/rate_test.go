package circuit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

// A sink is a raw hop that acknowledges data, and counts it.
type sink struct {
	h     *rawHop
	t     *testing.T
	cells int
	data  map[cell.StreamID]int // bytes of each stream
}

func newSink(t *testing.T, h *rawHop) *sink {
	return &sink{h: h, t: t, data: map[cell.StreamID]int{}}
}

func (k *sink) take(m rawMessage) {
	k.t.Helper()
	if m.Command != cell.Data {
		k.t.Errorf("the client says %v", m.Command)
		return
	}
	k.data[m.Stream] += len(m.Data)
	if k.cells++; k.cells%31 == 0 {
		k.h.send(cell.Sendme, 0, m.tag[:])
	}
}

// until takes data until n bytes of a stream have come.
func (k *sink) until(id cell.StreamID, n int) {
	k.t.Helper()
	for k.data[id] < n {
		k.take(await(k.t, "data", k.h.got))
	}
}

// settle takes data until nothing more comes without time passing.
func (k *sink) settle() {
	k.t.Helper()
	for synctest.Wait(); len(k.h.got) > 0; synctest.Wait() {
		for len(k.h.got) > 0 {
			k.take(<-k.h.got)
		}
	}
}

// begun opens a stream on which the hop lets the client send.
func begun(t *testing.T, c *circuit.Circuit, h *rawHop) *circuit.Stream {
	t.Helper()
	s, err := c.Begin("any", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.connect(t)
	return s
}

// xonData is what XON carries.
func xonData(rate cell.XOnRate) []byte {
	data, _ := rate.AppendBinary(nil)
	return data
}

// TestStreamKeepsToTheRate stops a client's stream and lets it go on at a rate.
// Another stream of the circuit is never held up by that.
func TestStreamKeepsToTheRate(t *testing.T) {
	inVirtualTime(t, 1, func(t *testing.T, nw *network) {
		hops := nw.relays[0].goRaw()
		c := newClient(nw).build(1)
		h := <-hops
		s, other := begun(t, c, h), begun(t, c, h)
		go s.ReadFrom(endless{})
		k := newSink(t, h)
		k.until(s.ID(), circuit.XOffLimit)
		h.send(cell.XOff, s.ID(), nil)
		k.settle()
		before := k.data[s.ID()]
		time.Sleep(time.Hour)
		k.settle()
		if n := k.data[s.ID()] - before; n != 0 {
			t.Errorf("%d bytes after XOFF", n)
		}
		for _, rate := range []cell.XOnRate{1_000, 5_000, 1, 20_000} {
			h.send(cell.XOn, s.ID(), xonData(rate))
			k.settle()
			before, from := k.data[s.ID()], time.Now()
			for time.Since(from) < 2*time.Second {
				time.Sleep(10 * time.Millisecond)
				k.settle()
				other.Write([]byte("x"))
				had := k.data[other.ID()]
				if k.settle(); k.data[other.ID()] != had+1 {
					t.Fatalf("rate %d: the other stream waits", rate)
				}
			}
			got, want := k.data[s.ID()]-before, 2*1000*int(max(rate, 250))
			if got < want*95/100 || got > want*105/100+circuit.XOffLimit/2 {
				t.Errorf("%d bytes in 2 s at rate %d, want %d", got, rate, want)
			}
		}
		h.send(cell.XOn, s.ID(), xonData(0))
		before = k.data[s.ID()]
		k.until(s.ID(), before+4<<20) // no time passes
		c.Close()
		synctest.Wait()
	})
}
