// Package scenario says who attacks and what clients do: a file of a few keys.
// It knows no relays and no time; package world makes relays of it.
//
// Specification: docs/sybil.md, "Scenarios".
package scenario

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Help describes each key, for people.
const Help = `A scenario is a TOML file. A key that is missing has the value that helps the
attacker most, except that time and numbers are 0. Unknown keys are errors.

[adversary]
relays                how many relays it runs in all
guard_share           what share of each position's capacity its relays have once
middle_share          all have joined, honest ones included: 0 to less than 1. Capacity
exit_share            is bandwidth times Tor's position weights, what full-grown relays
                      are chosen by. Of the three a missing one is 0, but guards and
                      exits that Tor's weights use as middles as well are middles.
                      Relays are dealt to guards, exits and plain middles in proportion
                      to the bandwidth that the shares need, so that all are alike.
slash16, slash24      over how many IPv4 ranges they are spread evenly: ranges that no
                      honest relay lies in. Missing: each relay has a /24 of its own, and
                      each /24 a /16.
providers             over how many autonomous systems, which no honest relay is in.
                      Missing: one for each /16.
wait_days             the last of them was first listed so many days before day 0, when
                      the attack begins: from then on circuits count
arrive_over_days      and the first so many days before the last; evenly in between.
                      0: all at once
claim_factor          by how much they overstate their bandwidth. The shares are of what
                      they have in truth. Tor's weights follow the claim; joint
                      measurement lets through 1.33. Missing: 1
declare_family        true: they say truthfully that they are one family
linkable              which fraction of them detection may see as one operator's, by
                      time of arrival and attributes. The others it is not shown at all.
churn_guards_per_day  which share of the honest guards it makes unreachable each day,
                      drawn anew each day, for the whole day. 1 or more: how many.
place_near_clients    true, or for which share of the clients: its relays stand next to
                      them on the network. No algorithm here asks where a client is, so
                      that this changes nothing: the run shows it.
[clients]
streams_per_day       streams of a client, each on a circuit of its own; missing: 24
ports                 their destination ports, all as frequent; missing: [443]
`

// Files are the scenarios that come with the program.
//
//go:embed files/*.toml
var files embed.FS

// ErrScenario is in the chain of every error about a scenario's content.
var ErrScenario = errors.New("scenario not usable")

// An Adversary is who attacks, see [Help].
type Adversary struct {
	Relays            int     `toml:"relays"`
	GuardShare        float64 `toml:"guard_share"`
	MiddleShare       float64 `toml:"middle_share"`
	ExitShare         float64 `toml:"exit_share"`
	Slash16           int     `toml:"slash16"`
	Slash24           int     `toml:"slash24"`
	Providers         int     `toml:"providers"`
	WaitDays          int     `toml:"wait_days"`
	ArriveOverDays    int     `toml:"arrive_over_days"`
	ClaimFactor       float64 `toml:"claim_factor"`
	DeclareFamily     bool    `toml:"declare_family"`
	Linkable          float64 `toml:"linkable"`
	ChurnGuardsPerDay float64 `toml:"churn_guards_per_day"`
	PlaceNearClients  any     `toml:"place_near_clients"`
}

// Clients say what clients do.
type Clients struct {
	StreamsPerDay float64  `toml:"streams_per_day"`
	Ports         []uint16 `toml:"ports"`
}

// A Scenario is one attack on clients of one kind.
type Scenario struct {
	Name      string    `toml:"-"`
	Adversary Adversary `toml:"adversary"`
	Clients   Clients   `toml:"clients"`
}

// Peace returns the scenario without an attacker.
func Peace() *Scenario {
	s := &Scenario{Name: "peace"}
	s.fill()
	return s
}

// Names returns the names of the scenarios that come with the program.
func Names() []string {
	entries, _ := files.ReadDir("files")
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".toml")
	}
	return names
}

// Read reads a file, or, by its bare name, one that comes with the program.
func Read(name string) (*Scenario, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		var known error
		if b, known = files.ReadFile(path.Join("files", name+".toml")); known != nil {
			return nil, fmt.Errorf("%w, nor does such a scenario come with tunic (%s)", err, strings.Join(Names(), ", "))
		}
	}
	s, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	s.Name = strings.TrimSuffix(filepath.Base(name), ".toml")
	return s, nil
}

// Parse reads a scenario and fills in what is missing.
func Parse(b []byte) (*Scenario, error) {
	s := new(Scenario)
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(s)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		line, _ := unknown.Errors[0].Position()
		return nil, fmt.Errorf("%w: line %d: unknown key %s", ErrScenario, line, strings.Join(unknown.Errors[0].Key(), "."))
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		return nil, fmt.Errorf("%w: line %d: %w", ErrScenario, line, wrong)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	s.fill()
	return s, nil
}

const ( // our choice
	maxRelays = 20_000
	maxDays   = 3650
	maxStream = 100_000
	maxPorts  = 64
	maxClaim  = 1000
)

// check says what cannot be meant.
func (s *Scenario) check() error {
	a := &s.Adversary
	if s.Adversary.ClaimFactor == 0 {
		a.ClaimFactor = 1
	}
	for _, x := range []struct {
		key              string
		is, least, below float64
	}{
		{"relays", float64(a.Relays), 0, maxRelays + 1},
		{"guard_share", a.GuardShare, 0, 1},
		{"middle_share", a.MiddleShare, 0, 1},
		{"exit_share", a.ExitShare, 0, 1},
		{"slash16", float64(a.Slash16), 0, maxRelays + 1},
		{"slash24", float64(a.Slash24), 0, maxRelays + 1},
		{"providers", float64(a.Providers), 0, maxRelays + 1},
		{"wait_days", float64(a.WaitDays), 0, maxDays + 1},
		{"arrive_over_days", float64(a.ArriveOverDays), 0, maxDays + 1},
		{"claim_factor", a.ClaimFactor, 0.01, maxClaim + 1},
		{"linkable", a.Linkable, 0, 1.000001},
		{"churn_guards_per_day", a.ChurnGuardsPerDay, 0, maxRelays + 1},
		{"streams_per_day", s.Clients.StreamsPerDay, 0, maxStream + 1},
		{"ports (their number)", float64(len(s.Clients.Ports)), 0, maxPorts + 1},
	} {
		if !(x.is >= x.least && x.is < x.below) {
			return fmt.Errorf("%w: %s = %v: use %v to less than %v", ErrScenario, x.key, x.is, x.least, x.below)
		}
	}
	if a.Relays == 0 && a.GuardShare+a.MiddleShare+a.ExitShare > 0 {
		return fmt.Errorf("%w: shares, but no relays", ErrScenario)
	}
	if a.Slash16 > 0 && a.Slash24 > 256*a.Slash16 {
		return fmt.Errorf("%w: slash24 = %d: a /16 has 256", ErrScenario, a.Slash24)
	}
	share := 0.0
	switch near := a.PlaceNearClients.(type) {
	case nil, bool:
	case int64:
		share = float64(near)
	case float64:
		share = near
	default:
		share = -1
	}
	if !(share >= 0 && share <= 1) {
		return fmt.Errorf("%w: place_near_clients = %v: use true, false or a share", ErrScenario, a.PlaceNearClients)
	}
	if slices.Contains(s.Clients.Ports, 0) {
		return fmt.Errorf("%w: ports: 0 is none", ErrScenario)
	}
	return nil
}

// fill gives keys that are missing their values.
func (s *Scenario) fill() {
	a := &s.Adversary
	if a.ClaimFactor == 0 {
		a.ClaimFactor = 1
	}
	if a.Slash24 == 0 {
		a.Slash24 = a.Relays
		if a.Slash16 > 0 {
			a.Slash24 = min(a.Relays, 256*a.Slash16)
		}
	}
	a.Slash24 = min(a.Slash24, a.Relays)
	if a.Slash16 == 0 {
		a.Slash16 = a.Slash24
	}
	a.Slash16 = min(a.Slash16, a.Relays)
	a.Slash24 = max(a.Slash24, a.Slash16)
	if a.Providers == 0 {
		a.Providers = a.Slash16
	}
	a.Providers = min(a.Providers, a.Relays)
	c := &s.Clients
	if c.StreamsPerDay == 0 {
		c.StreamsPerDay = 24
	}
	if len(c.Ports) == 0 {
		c.Ports = []uint16{443}
	}
}
