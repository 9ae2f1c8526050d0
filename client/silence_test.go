package client

import (
	"testing"
	"time"
)

// A relay that hangs keeps its connections. Requests on circuits through it find
// out soon; streams on such a circuit are told in the end.
func TestStuckCircuitIsLeftSoonAndClosed(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn := get(t, c, "")
		defer conn.Close()
		echo(t, conn)
		stuck := conn.Hops()[2].Nickname
		w.freeze(stuck)
		began := time.Now()
		next := get(t, c, "")
		defer next.Close()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		if next.Hops()[2].Nickname == stuck {
			t.Error("the exit that hangs is asked again")
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the stuck stream reads on")
		}
		if took := time.Since(began); took > firstTry+time.Second {
			t.Errorf("the stuck stream was told after %v", took)
		}
		echo(t, next)
	})
}

// A destination that does not answer is none of the circuit's fault: it stays, and
// the request waits as long as it may. Many requests ask the exit once at a time.
func TestSlowDestinationIsNoStuckCircuit(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn := get(t, c, "")
		defer conn.Close()
		w.says(func(host string, port uint16, _ string) verdict { return verdict{after: firstTry - time.Second} })
		const requests = 20
		results := make(chan *Conn, requests)
		began := time.Now()
		for range requests {
			go func() { results <- get(t, c, "") }()
		}
		for range requests {
			slow := <-results
			defer slow.Close()
			if slow.e != conn.e {
				t.Error("a request has left its circuit")
			}
		}
		if took := time.Since(began); took > firstTry {
			t.Errorf("took %v", took)
		}
		echo(t, conn)
		if asked := conn.e.circuit.(*fakeCircuit).questions.Load(); asked < 1 || asked > 5 {
			t.Errorf("the exit was asked %d times", asked)
		}
	})
}

// A circuit that answers again in time stays.
func TestStuckCircuitThatRecoversStays(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn := get(t, c, "")
		defer conn.Close()
		stuck := conn.Hops()[2].Nickname
		w.freeze(stuck)
		time.AfterFunc(5*time.Second, func() {
			w.revive(stuck)
			conn.e.circuit.(*fakeCircuit).heard.Add(1) // what was under way arrives
		})
		next := get(t, c, "")
		defer next.Close()
		time.Sleep(time.Minute)
		echo(t, conn)
	})
}
