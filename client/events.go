package client

import "fmt"

// A Phase is how far a client has come in getting ready.
type Phase uint8

// The phases, in their order. Those of fetching the consensus are left out by a
// client that has a usable one on disk.
const (
	Starting       Phase = iota
	DialDirectory        // connecting to a mirror or an authority
	FetchConsensus       // connected, asking for the consensus
	HaveConsensus        // verified and usable
	DialGuard            // connecting to a guard
	BuildCircuit         // the first hop is open, the others follow
	Ready                // a circuit is open
	Closed
)

var phases = [...]struct {
	name    string
	percent int
}{
	{"starting", 0}, {"connecting to the directory", 10}, {"fetching the consensus", 25}, {"have the consensus", 50},
	{"connecting to a guard", 60}, {"building a circuit", 80}, {"ready", 100}, {"closed", 0},
}

func (p Phase) String() string {
	if int(p) < len(phases) {
		return phases[p].name
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Percent returns the phase as progress towards [Ready].
func (p Phase) Percent() int {
	if int(p) < len(phases) {
		return phases[p].percent
	}
	return 0
}

// MarshalText returns the phase's name, for status output.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// An Event is one step of progress, or one thing that stands in its way.
type Event struct {
	Phase   Phase
	Problem error // nil for plain progress; its text has no addresses
}
