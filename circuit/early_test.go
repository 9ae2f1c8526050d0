package circuit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

// TestEarlyDataWaitsWithALimit has an exit that acknowledges nothing: early data that
// finds the window full waits as long as its context, else as for an answer; then the
// stream is given up, and the circuit lives.
func TestEarlyDataWaitsWithALimit(t *testing.T) {
	for name, limit := range map[string]time.Duration{"a context of a second": time.Second, "no limit": 0} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, 1, func(t *testing.T, nw *network) {
				hops := nw.relays[0].goRaw()
				c := newClient(nw).build(1)
				h := <-hops
				full := begun(t, c, h)
				go full.Write(make([]byte, 1<<20)) // ends with the circuit
				synctest.Wait()

				ctx, want := t.Context(), circuit.AnswerTimeout
				if limit != 0 {
					timed, cancel := context.WithTimeout(ctx, limit)
					defer cancel()
					ctx, want = timed, limit
				}
				start := time.Now()
				_, err := c.BeginWith(ctx, "any", 1, 0, []byte("hello"))
				if took := time.Since(start); took != want || limit != 0 && !errors.Is(err, context.DeadlineExceeded) || err == nil {
					t.Errorf("after %v: %v, want %v", took, err, want)
				}
				id := expectBehindData(t, h, cell.Begin).Stream
				if m := expectBehindData(t, h, cell.End); m.Stream != id {
					t.Errorf("END for stream %d, want %d", m.Stream, id)
				}
				if c.Err() != nil || c.Streams() != 1 {
					t.Errorf("the circuit has %d streams, %v, want 1", c.Streams(), c.Err())
				}
				c.Close()
				synctest.Wait()
			})
		})
	}
}

// expectBehindData waits for the client's next message that is no DATA.
func expectBehindData(t *testing.T, h *rawHop, c cell.RelayCommand) rawMessage {
	t.Helper()
	for {
		m := await(t, c.String(), h.got)
		if m.Command == c {
			return m
		}
		if m.Command != cell.Data {
			t.Fatalf("got %v, want %v", m.Command, c)
		}
	}
}

// TestEarlyDataCounts has the exit stop a stream as soon as it may: what went with
// BEGIN counts like any data.
func TestEarlyDataCounts(t *testing.T) {
	inVirtualTime(t, 1, func(t *testing.T, nw *network) {
		hops := nw.relays[0].goRaw()
		c := newClient(nw).build(1)
		h := <-hops
		opened := make(chan *circuit.Stream, 1)
		go func() { // ends when all is sent
			s, err := c.BeginWith(t.Context(), "any", 1, 0, make([]byte, costCells*cell.MaxData))
			if err != nil {
				t.Error(err)
			}
			opened <- s
		}()
		id := h.connect(t)
		k := newSink(t, h)
		k.until(id, costCells*cell.MaxData)
		s := <-opened
		if sent, _ := s.Moved(); sent != costCells*cell.MaxData {
			t.Errorf("%d bytes sent, want %d", sent, costCells*cell.MaxData)
		}
		h.send(cell.XOff, id, nil)
		goesOn(t, c, h)
		c.Close()
		synctest.Wait()
	})
}

// TestEarlyDataGoesWithBEGIN weighs what the guard reads: one record for both.
func TestEarlyDataGoesWithBEGIN(t *testing.T) {
	nw := newNetwork(t, 1) // over TCP: a client writes at once, in its own goroutine
	hops := nw.relays[0].goRaw()
	c := newClient(nw).build(1)
	h := <-hops
	if _, err := c.BeginWith(t.Context(), "any", 1, 0, make([]byte, 2*cell.MaxData)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []cell.RelayCommand{cell.Begin, cell.Data, cell.Data} {
		h.expect(t, want)
	}
	want := recordOf(cell.Fragments) + recordOf(3) // CREATE; BEGIN and two DATA
	within(t, "counting", func() error {
		for nw.relays[0].pool.Links()[0].Read < want { // counted once handled
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	if got := nw.relays[0].pool.Links()[0].Read; got != want {
		t.Errorf("the guard has read %d bytes, want %d: early data in one record with BEGIN", got, want)
	}
}

// recordOf returns how many bytes a record of so many cells takes on a link.
func recordOf(cells uint64) uint64 { return 2 + cells*cell.Size + 16 }
