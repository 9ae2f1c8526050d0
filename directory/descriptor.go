package directory

import (
	"net/netip"
	"time"

	"tunic/directory/keys"
)

// A Descriptor is what a relay says about itself.
type Descriptor struct {
	Network      Digest
	ID           keys.RelayID
	Signing      keys.Certificate // the identity's, for the key that signs the rest
	Published    time.Time
	Nickname     string
	Addrs        []netip.AddrPort // one IPv4 address, then at most one IPv6
	Link         keys.Certificate // the signing key's, for the link key
	Circuit      keys.Certificate // and for the circuit key
	LinkVersions Versions
	HopVersions  Versions
	Platform     string
	Contact      string // "" if none
	Uptime       time.Duration
	Rate         uint64 // bytes/s offered
	Burst        uint64 // bytes
	Observed     uint64 // bytes/s seen lately, 0 if nothing yet
	Families     []FamilyProof
	Policy       Policy

	digest Digest
}

// A FamilyProof shows that the holder of a family's key counts the relay as its
// own.
type FamilyProof struct {
	Key       [32]byte // Ed25519
	Signature [64]byte
}

// Family returns the digest that names the family.
func (p FamilyProof) Family() Digest { panic("unwritten") }

// Sign returns the descriptor as a document, signed with the key that d.Signing
// certifies.
func (d *Descriptor) Sign(k *keys.SigningKey) ([]byte, error) { panic("unwritten") }

// ParseDescriptor verifies and reads a descriptor of network n: signature and
// certificates first, then the fields, the times against now, the addresses.
func ParseDescriptor(b []byte, n *Network, now time.Time) (*Descriptor, error) { panic("unwritten") }

// Digest returns the digest of the document that d was parsed from.
func (d *Descriptor) Digest() Digest { return d.digest }

// Relay returns what a vote says of the relay by its descriptor alone: all but
// flags, weight and age.
func (d *Descriptor) Relay() Relay { panic("unwritten") }
