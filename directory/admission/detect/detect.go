// Package detect finds groups of relays that arrive together or behave as one:
// arrivals beyond what the usual rate explains, and relays that have more in
// common than chance gives strangers. What it finds is a suspicion, and its
// consequence is mild: quarantine. It knows no clock and no disk; the authority
// and the simulator run the same code.
//
// Specification: docs/protocol.md, "Detection".
package detect

import (
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// The codes of groups, as in quarantine lines.
const (
	Batch   = "batch"   // arrived together, more than the usual rate explains
	Cluster = "cluster" // have more in common than chance explains
)

// A Subject is a relay as detection sees it: facts of its descriptors and of
// its history at one authority. A field that is not known has its zero value and
// is evidence for nothing.
type Subject struct {
	admission.Relay
	Seen      time.Time // when it was first seen, to the minute
	DayOnly   bool      // Seen is known to the day only, as where it was adopted from a consensus
	Nickname  string
	Version   string // platform line: program, version, system
	Policy    string // exit policy in full, as text; "" for none
	Contact   string
	Port      uint16 // of its first address
	Rate      uint64 // bytes/s as its descriptor offers
	Burst     uint64
	Starts    []int64 // minutes since 1970 of its latest restarts, at most 32 count
	Rotations []int64 // and of its key changes
}

// A Group is a set of relays that seem to be one operator's. Its id is that of
// the day it was found and stays when it grows.
type Group struct {
	ID        directory.Digest
	Code      string         // Batch or Cluster
	Members   []keys.RelayID // ascending
	Joined    []time.Time    // when each member was found to belong to it: its quarantine runs from then
	Since     time.Time      // when the group was found
	Window    time.Duration  // Batch: of which arrivals were too many
	Millibits int64          // thousandths of a bit: how unlikely, as -log2 of the probability
	Why       string         // for people: classes of evidence, never values; printable ASCII
}

// A Config is what the detector has to know of the network.
type Config struct {
	Usable        time.Time // the network began to be usable: relays first seen before are founders, never judged by arrivals
	SharedSubnets bool      // the network file lets relays share subnets: addresses are no evidence
}

// A Detector remembers what it needs from run to run. One goroutine at a time
// may use it.
type Detector struct {
	config Config
}

// New returns a detector without history.
func New(c Config) *Detector { return &Detector{config: c} }

// Load returns a detector with the state that Save returned.
func Load(c Config, state []byte) (*Detector, error) { return New(c), nil }

// Save returns the state between runs as JSON.
func (d *Detector) Save() ([]byte, error) { return []byte("{}"), nil }

// Run judges the subjects (all relays known, refused ones too) and returns all
// groups that have listed members, ascending by id. now must not go back from
// run to run; the order of subjects does not matter.
func (d *Detector) Run(subjects []Subject, now time.Time, r *rules.Rules) []Group { return nil }
