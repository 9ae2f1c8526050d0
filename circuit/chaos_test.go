package circuit_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"tunic/circuit"
)

// TestStreamsInAnyOrder has streams begin, move data, end and be abandoned at
// random times at both ends of one circuit. Whatever crosses on its way, the
// circuit must not take it for an offence, and forget all of it in the end.
func TestStreamsInAnyOrder(t *testing.T) {
	nw := newNetwork(t, 3)
	c := newClient(nw).build(3)
	seed := rand.Uint64()
	const users, turns = 12, 40
	var wg sync.WaitGroup
	for user := range users {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(user)))
			for range turns {
				if err := useStream(c, rng); err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
			}
		})
	}
	within(t, "all streams", func() error { wg.Wait(); return nil })
	if err := c.Err(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	hop := nw.relays[2].only(t)
	within(t, "the exit's streams end", func() error {
		for hop.Streams() > 0 {
			if err := echo(c); err != nil {
				return err
			}
		}
		return nil
	})
	if n := c.Streams(); n != 0 {
		t.Errorf("seed %d: %d streams left at the client", seed, n)
	}
}

// useStream opens a stream to any destination and does a few things with it. Only
// the circuit's end is an error.
func useStream(c *circuit.Circuit, rng *rand.Rand) error {
	hosts := []string{"echo", "sum", "source", "hold", "reset", "refuse", "silent", "slow"}
	s, err := c.Begin(hosts[rng.IntN(len(hosts))], uint16(1+rng.IntN(2000)), 0)
	if err != nil {
		return err
	}
	s.SetDeadline(time.Now().Add(5 * time.Millisecond))
	var other sync.WaitGroup
	if rng.IntN(2) == 0 {
		other.Go(func() { io.Copy(io.Discard, s) })
	}
	for range rng.IntN(6) {
		switch rng.IntN(5) {
		case 0:
			s.Write(make([]byte, 1+rng.IntN(400_000)))
		case 1:
			s.Read(make([]byte, 1+rng.IntN(400_000)))
		case 2:
			s.CloseWrite()
		case 3:
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
		case 4:
			s.SetDeadline(time.Now().Add(time.Duration(rng.IntN(10)) * time.Millisecond))
		}
	}
	s.Close()
	other.Wait()
	if err := c.Err(); err != nil {
		return fmt.Errorf("the circuit is gone: %w", err)
	}
	return nil
}
