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

// TestEarlyDataGoesWithBEGIN weighs what a client writes: one record for both.
func TestEarlyDataGoesWithBEGIN(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		cl := newClient(nw)
		c := cl.build(3)
		synctest.Wait()
		before := cl.pool.Links()[0].Written
		s, err := c.BeginWith(t.Context(), "hold", 1, 0, make([]byte, 2*cell.MaxData))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		const record = 2 + 3*cell.Size + 16 // BEGIN and two DATA
		if n := cl.pool.Links()[0].Written - before; n != record {
			t.Errorf("%d bytes written, want %d: one record", n, record)
		}
		s.Close()
		c.Close()
		synctest.Wait()
	})
}
