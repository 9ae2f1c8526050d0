package circuit_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell"
	"tunic/circuit"
	"tunic/directory/keys"
)

// inVirtualTime runs f with a network in memory, where waiting costs nothing.
func inVirtualTime(t *testing.T, relays int, f func(t *testing.T, nw *network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newMemoryNetwork(t, relays)) })
}

// TestOpenGivesUpOnSilence is a relay that takes CREATE and says nothing.
func TestOpenGivesUpOnSilence(t *testing.T) {
	inVirtualTime(t, 1, func(t *testing.T, nw *network) {
		nw.relays[0].answerWith = func(answerer) {}
		l := newClient(nw).link()
		start := time.Now()
		_, err := circuit.Open(context.Background(), l, nw.infos()[0], nw.params)
		if err == nil || time.Since(start) != circuit.HopTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = circuit.Open(ctx, l, nw.infos()[0], nw.params)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("with a context of one second, after %v: %v", time.Since(start), err)
		}
	})
}

// TestExtendStalls has each part of an EXTEND stall in turn: the relay ends the
// circuit after 10 s, not before.
func TestExtendStalls(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(nw *network)
		send    int // fragments
		late    time.Duration
	}{
		{"the client sends one fragment", func(*network) {}, 1, 0},
		{"the client sends two fragments", func(*network) {}, 2, 0},
		{"the owner does not answer", func(nw *network) {
			nw.relays[0].extend = func(*circuit.Hop, keys.RelayID) {}
		}, 3, 0},
		{"the next relay does not answer", func(nw *network) {
			nw.relays[1].answerWith = func(answerer) {}
		}, 3, 0},
		{"the owner is slow and the next relay does not answer", func(nw *network) {
			nw.relays[0].extend = func(h *circuit.Hop, to keys.RelayID) {
				nw.relays[0].work.Go(func() {
					time.Sleep(9 * time.Second)
					nw.relays[0].extendTo(h, to)
				})
			}
			nw.relays[1].answerWith = func(answerer) {}
		}, 3, 9 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inVirtualTime(t, 2, func(t *testing.T, nw *network) {
				test.prepare(nw)
				cl := newClient(nw)
				r := cl.buildRaw(t, 1)
				bystander := cl.build(1)
				_, whole := extendWhole(t, nw, nw.infos()[1])
				start := time.Now()
				for i := range test.send {
					r.sendIn(cell.RelayEarly, 0, cell.Extend, 0, fragment(i, whole))
				}
				if got := <-r.ended; got != cell.ReasonTimeout {
					t.Errorf("destroyed: %v, want %v", got, cell.ReasonTimeout)
				}
				if took := time.Since(start) - test.late; took != circuit.HopTimeout {
					t.Errorf("after %v, want %v", took, circuit.HopTimeout)
				}
				if bystander.Err() != nil {
					t.Errorf("another circuit of the link: %v", bystander.Err())
				}
				bystander.Close()
			})
		})
	}
}

// TestSlowExtendWorks takes nearly as long as it may in each part.
func TestSlowExtendWorks(t *testing.T) {
	inVirtualTime(t, 2, func(t *testing.T, nw *network) {
		nw.relays[0].extend = func(h *circuit.Hop, to keys.RelayID) {
			nw.relays[0].work.Go(func() {
				time.Sleep(9 * time.Second)
				nw.relays[0].extendTo(h, to)
			})
		}
		c := newClient(nw).build(1)
		if err := c.Extend(context.Background(), nw.infos()[1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := c.Err(); err != nil {
			t.Errorf("the circuit ends when the time for extending has passed: %v", err)
		}
		c.Close()
	})
}

// TestLateAnswerOfTheOwner comes when the hop is gone.
func TestLateAnswerOfTheOwner(t *testing.T) {
	inVirtualTime(t, 2, func(t *testing.T, nw *network) {
		asked := make(chan *circuit.Hop, 1)
		nw.relays[0].extend = func(h *circuit.Hop, _ keys.RelayID) { asked <- h }
		c := newClient(nw).build(1)
		if err := c.Extend(context.Background(), nw.infos()[1]); err == nil {
			t.Fatal("extended")
		}
		h := <-asked
		<-h.Done()
		nw.relays[0].extendTo(h, nw.infos()[1].ID)
		synctest.Wait()
		if l, err := nw.relays[0].dial(nw.infos()[1].ID); err != nil || l.Circuits() != 0 {
			t.Errorf("%d circuits are left on the link to the next relay, %v", l.Circuits(), err)
		}
	})
}

// TestDialGivesUp holds the limit of its own that Dial has.
func TestDialGivesUp(t *testing.T) {
	inVirtualTime(t, 2, func(t *testing.T, nw *network) {
		c := newClient(nw).build(2)
		start := time.Now()
		_, err := c.Dial(context.Background(), "silent", 1, 0)
		if err == nil || time.Since(start) != time.Minute {
			t.Errorf("Dial returned after %v: %v", time.Since(start), err)
		}
		start = time.Now()
		_, err = c.Resolve(context.Background(), cell.ResolveRequest{Host: "never.example"})
		if err == nil || time.Since(start) != time.Minute {
			t.Errorf("Resolve returned after %v: %v", time.Since(start), err)
		}
		if err := echo(c); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

// TestIdleCircuitSleeps drops the key objects between 10 and 20 s after the last
// cell, at each end, and goes on afterwards.
func TestIdleCircuitSleeps(t *testing.T) {
	inVirtualTime(t, 3, func(t *testing.T, nw *network) {
		c := newClient(nw).build(3)
		ends := []interface{ Asleep() bool }{c}
		for _, r := range nw.relays {
			ends = append(ends, r.only(t))
		}
		check := func(when string, want bool) {
			t.Helper()
			synctest.Wait()
			for i, e := range ends {
				if e.Asleep() != want {
					t.Errorf("%s: end %d asleep: %v", when, i, !want)
				}
			}
		}
		for range 3 {
			if err := echo(c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(circuit.SleepAfter - time.Millisecond)
			check("just before the time", false)
			time.Sleep(circuit.SleepAfter + 2*time.Millisecond)
			check("after twice the time", true)
		}
		s, err := c.Dial(context.Background(), "echo", 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			s.Write([]byte("x"))
			io.ReadFull(s, make([]byte, 1))
			time.Sleep(circuit.SleepAfter - time.Second)
			check("with a cell now and then", false)
		}
		c.Close()
	})
}
