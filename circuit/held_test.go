package circuit_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

// TestHeldAndMoved follows data that an exit's stream holds: the chunks that it
// takes, how long it has waited, and what has moved.
func TestHeldAndMoved(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		exit := nw.relays[2]
		streams := make(chan *circuit.Stream, 1)
		exit.begin = func(s *circuit.Stream, _ cell.BeginRequest) {
			s.Connect(cell.ConnectedReply{})
			streams <- s
		}
		r := newClient(nw).buildRaw(t, 3)
		r.begin(exitHop, 1, "any", 1)
		s := <-streams
		check := func(when string, wantBytes int64, wantOldest time.Duration, wantDelivered int64) {
			t.Helper()
			synctest.Wait()
			if bytes, oldest := s.Hop().Held(); bytes != wantBytes || oldest != wantOldest {
				t.Errorf("%s: holds %d bytes for %v, want %d for %v", when, bytes, oldest, wantBytes, wantOldest)
			}
			if sent, delivered := s.Moved(); sent != 0 || delivered != wantDelivered {
				t.Errorf("%s: moved %d and %d bytes, want 0 and %d", when, sent, delivered, wantDelivered)
			}
		}
		check("nothing has come", 0, 0, 0)
		r.upload(100)
		time.Sleep(time.Second)
		check("100 bytes wait", 4<<10, time.Second, 0)
		r.upload(10_000) // further chunks
		time.Sleep(time.Second)
		check("more wait", 12<<10, 2*time.Second, 0)
		io.CopyN(io.Discard, s, 10_100)
		check("all is read", 0, 0, 10_100)
		r.upload(100)
		reading, writing := io.Pipe()
		exit.work.Go(func() { s.WriteTo(writing) })
		time.Sleep(time.Minute)
		check("the destination takes nothing", 4<<10, time.Minute, 10_100)
		reading.Close()
		check("the destination is gone", 0, 0, 10_200)
		s.Close()
		r.lc.Destroy(cell.ReasonNone)
	})
}

// TestHeldByWriters has streams of an exit wait for the window: each counts at what
// its data is kept in.
func TestHeldByWriters(t *testing.T) {
	for name, tt := range map[string]struct {
		write func(s *circuit.Stream)
		want  int64
	}{
		"a reader with little": {func(s *circuit.Stream) { s.ReadFrom(&trickle{endless{}}) }, circuit.SmallRead},
		"a reader with much":   {func(s *circuit.Stream) { s.ReadFrom(endless{}) }, circuit.ReadSize},
		"a write":              {func(s *circuit.Stream) { s.Write(make([]byte, 1<<20)) }, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, 3, func(t *testing.T, nw *network) {
				exit := nw.relays[2]
				streams := make(chan *circuit.Stream, 1)
				exit.begin = func(s *circuit.Stream, _ cell.BeginRequest) {
					s.Connect(cell.ConnectedReply{})
					exit.work.Go(func() { tt.write(s) })
					streams <- s
				}
				r := newClient(nw).buildRaw(t, 3)
				r.begin(exitHop, 1, "any", 1)
				s := <-streams
				synctest.Wait()
				time.Sleep(time.Second)
				if bytes, oldest := s.Held(); bytes != tt.want || oldest != time.Second {
					t.Errorf("holds %d bytes for %v, want %d for a second", bytes, oldest, tt.want)
				}
				r.lc.Destroy(cell.ReasonNone)
				synctest.Wait()
				if bytes, _ := s.Held(); bytes != 0 {
					t.Errorf("holds %d bytes when the circuit is gone", bytes)
				}
			})
		})
	}
}

// A trickle is a reader that has a byte less than is asked for.
type trickle struct{ from io.Reader }

func (r *trickle) Read(p []byte) (int, error) { return r.from.Read(p[1:]) }

// TestUnreadDataOfOneCircuit sends to many streams that nobody reads: each stays
// below its own limit, and all together pass that of the circuit.
func TestUnreadDataOfOneCircuit(t *testing.T) {
	if circuit.RaceEnabled {
		t.Skip("100,000 cells take too long with the race detector")
	}
	nw := newNetwork(t, 3)
	r := newClient(nw).buildRaw(t, 3)
	hop := nw.relays[2].only(t)
	full := make([]byte, cell.MaxData)
	const streams = circuit.MaxUnreadOfAny/circuit.XOffLimit + 1
	for id := range cell.StreamID(streams) {
		r.send(exitHop, cell.Begin, 100+id, beginData(1, "hold"))
		for range circuit.XOffLimit / cell.MaxData {
			r.send(exitHop, cell.Data, 100+id, full)
		}
		if id%20 == 0 && id < streams-20 { // let the client's own queue run empty
			r.roundTrip()
		}
	}
	destroyed(t, "the exit", hop, -1, cell.ReasonResource)
	r.expectEnd(cell.ReasonDestroyed)
}
