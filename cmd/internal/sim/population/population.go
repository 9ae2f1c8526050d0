// Package population reads and makes the honest relays that a simulation runs
// over: tables of a public network at one hour, consensuses of this project, or
// a synthetic network. Tables tell neither ages nor autonomous systems; both are
// assigned here, by documented distributions and from a seed. It knows nothing
// of time passing and of attackers.
//
// Specification: docs/sybil.md, "Populations".
package population

import (
	"crypto/sha256"
	"net/netip"

	"tunic/cmd/internal/sim/dice"
	"tunic/directory"
	"tunic/directory/keys"
)

// A Relay is an honest relay at the hour of the population.
type Relay struct {
	ID       keys.RelayID
	Nickname string
	Version  string
	Addrs    []netip.AddrPort // IPv4, then perhaps IPv6
	Flags    directory.Flags
	V2Dir    bool // serves the directory, which Tor asks of guards
	Weight   uint64
	Ports    directory.PortSummary // none for a bad exit
	Family   int32                 // index of the group with mutual claims; -1: none
	AS       uint32
	Age      int // days that it has been listed
}

// A Population is a network's honest relays, ascending by identity.
type Population struct {
	Name     string
	Day      int // counted from 1970
	Relays   []Relay
	Families int      // groups
	Digest   [32]byte // of the file that it was read from
}

// Options are the inputs that a table does not tell.
type Options struct {
	Seed      dice.Seed
	MeanAge   int     // days, of honest relays whose age no other snapshot tells; 0: 700
	Providers int     // autonomous systems that address ranges belong to; 0: 900
	Zipf      float64 // exponent of the providers' sizes; 0: 1.05
}

// purposes of draws; each is used once.
const (
	purposeAge dice.Purpose = 0x706f7000 + iota
	purposeProvider
	purposeSynthetic
)

func (o Options) filled() Options {
	if o.MeanAge == 0 {
		o.MeanAge = 700
	}
	if o.Providers == 0 {
		o.Providers = 900
	}
	if o.Zipf == 0 {
		o.Zipf = 1.05
	}
	return o
}

// maxAge in days is where the distribution of ages is cut: ten years.
const maxAge = 3650

// identity makes a relay's identity from what a table calls it.
func identity(s string) keys.RelayID { return sha256.Sum256([]byte("tunic sim relay " + s)) }

// Weight returns the sum of the relays' weights.
func (p *Population) Weight() (sum uint64) {
	for i := range p.Relays {
		sum += p.Relays[i].Weight
	}
	return sum
}
