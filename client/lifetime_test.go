package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link"
	"tunic/cell/logtest"
	"tunic/directory"
)

// Ten minutes after its first stream a circuit takes no new ones; it closes
// when its streams have ended and what they sent has had time to leave.
func TestDirtyCircuitTakesNoNewStreams(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		first := get(t, c, "")
		time.Sleep(maxDirtiness - time.Second)
		second := get(t, c, "")
		if second.e != first.e {
			t.Error("a circuit was left before its time")
		}
		time.Sleep(time.Second)
		third := get(t, c, "")
		if third.e == first.e {
			t.Error("a circuit took a stream after its time")
		}
		third.Close()
		second.Close()
		time.Sleep(time.Hour)
		echo(t, first)
		first.Close()
		time.Sleep(linger - time.Second)
		if first.e.circuit.Err() != nil {
			t.Error("closed before what was sent had time to leave")
		}
		time.Sleep(2 * time.Second)
		if first.e.circuit.Err() == nil {
			t.Error("a dirty circuit without streams is open")
		}
	})
}

// A circuit whose streams are not over at both ends stays, though the
// application has closed them.
func TestCircuitWaitsForItsStreams(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		conn := get(t, c, "")
		f := conn.e.circuit.(*fakeCircuit)
		half := func(d int) {
			f.mu.Lock()
			f.open += d
			f.mu.Unlock()
		}
		half(1)
		conn.Close()
		time.Sleep(time.Hour)
		if f.Err() != nil {
			t.Error("closed with a stream that is not over")
		}
		half(-1)
		time.Sleep(2 * time.Minute)
		if f.Err() == nil {
			t.Error("open without streams")
		}
	})
}

func TestUnusedCircuitsAreRenewed(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		time.Sleep(time.Second)
		old := map[uint64]bool{}
		for _, s := range c.Status().Circuits {
			old[s.ID] = true
		}
		for range 120 {
			time.Sleep(time.Minute)
			if clean, _ := c.count(); clean < minClean-1 {
				t.Fatalf("%d unused circuits", clean)
			}
			w.publish(w.relays())
		}
		for _, s := range c.Status().Circuits {
			if old[s.ID] {
				t.Error("an unused circuit is two hours old")
			}
		}
	})
}

// Circuits are prepared for the ports that were used lately.
func TestUsedPortsArePredicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8, 4)
		for i := range w.bundle.Consensus.Relays {
			if r := &w.bundle.Consensus.Relays[i]; r.Nickname == "h" {
				r.Ports, r.Shares[directory.AsExit] = summary(t, "80,443,6667"), 1
			}
		}
		c := launch(t, w)
		defer c.Close()
		ready(t, c)
		served := func() (n int) {
			for _, s := range c.Status().Circuits {
				if s.State == "clean" && s.Hops[2].Nickname == "h" {
					n++
				}
			}
			return n
		}
		time.Sleep(time.Second)
		if n := served(); n > 1 {
			t.Fatalf("%d circuits to the slowest exit", n)
		}
		conn, err := c.Dial(t.Context(), Request{Host: "irc.example", Port: 6667})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		time.Sleep(time.Second)
		if n := served(); n < portCircuits {
			t.Errorf("%d circuits for a port that is in use", n)
		}
	})
}

// A full pool makes room for new keys by closing what has been idle longest.
func TestFullPoolMakesRoom(t *testing.T) {
	in(t, 7, 3, func(t *testing.T, w *world, c *Client) {
		for i := range maxCircuits + 50 {
			get(t, c, fmt.Sprint(i)).Close()
		}
		time.Sleep(time.Second)
		if n := len(c.Status().Circuits); n > maxCircuits {
			t.Errorf("%d circuits", n)
		}
	})
}

// A client goes on with an expired consensus for 24 periods and says so, then refuses
// requests, and takes them again when there is a newer one.
func TestConsensusTooOldIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		w.sources = func(link.Target) error { return errors.New("no newer consensus") }
		s, err := openStore(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var log logtest.Journal
		c, err := start(Config{Network: w.file, Log: log.Logger()}, s, &memory{b: w.bundle}, w, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ready(t, c)
		until := w.bundle.Consensus.ValidUntil
		warned := func() int { return log.Count("consensus has expired") }
		time.Sleep(time.Until(until) - time.Minute)
		if n := warned(); n != 0 {
			t.Errorf("%d warnings before it expires", n)
		}
		time.Sleep(23 * w.file.Timing.Period)
		get(t, c, "").Close()
		if n := warned(); n != 1 {
			t.Errorf("%d warnings after it has expired", n)
		}
		time.Sleep(3 * w.file.Timing.Period)
		_, err = c.Dial(t.Context(), Request{Host: "example.com", Port: 80})
		var e *Error
		if !errors.As(err, &e) || e.Code != NetUnreachable || !errors.Is(err, directory.ErrExpired) {
			t.Errorf("Dial after the grace: %v", err)
		}
		if c.Status().Problem == "" {
			t.Error("the status names no problem")
		}
		w.mu.Lock()
		w.sources = nil
		w.mu.Unlock()
		w.publish(w.relays())
		time.Sleep(2 * w.file.Timing.Period)
		get(t, c, "").Close()
		if p := c.Status().Problem; p != "" {
			t.Errorf("the status still says %q", p)
		}
	})
}
