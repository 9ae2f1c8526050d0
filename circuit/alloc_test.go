package circuit_test

import (
	"io"
	"testing"

	"tunic/circuit"
)

// maxAllocs is how many objects 64 KiB of a stream may take on their way through
// client, guard, middle and exit together: the new keys of all layers' ends, and a
// little for what the pools lose to the collector.
const maxAllocs = 45

// TestStreamsAllocateLittle counts what a stream takes in each direction, at its ends
// and at all relays.
func TestStreamsAllocateLittle(t *testing.T) {
	if circuit.RaceEnabled {
		t.Skip("pools drop items in race builds")
	}
	buf := make([]byte, 64<<10)
	for name, way := range map[string]struct {
		exit   func(s *circuit.Stream) // what it does
		client func(s *circuit.Stream) error
	}{
		"down": {
			func(s *circuit.Stream) { s.ReadFrom(endless{}) },
			func(s *circuit.Stream) error { return second(io.ReadFull(s, buf)) },
		},
		"up": {
			func(s *circuit.Stream) { s.WriteTo(io.Discard) },
			func(s *circuit.Stream) error { return second(s.Write(buf)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := serveCircuit(t, way.exit).Dial(t.Context(), "any", 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			move := func() {
				if err := way.client(s); err != nil {
					t.Fatal(err)
				}
			}
			for range 200 {
				move() // fills the pools, and opens the window
			}
			if n := testing.AllocsPerRun(300, move); n > maxAllocs {
				t.Errorf("%v allocations for 64 KiB, want %d", n, maxAllocs)
			} else {
				t.Logf("%v allocations for 64 KiB", n)
			}
		})
	}
}
