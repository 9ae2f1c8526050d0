// Package directorytest makes networks for tests: authorities and relays with
// all of their keys, and the documents that they would sign. It checks nothing:
// what it makes is valid unless a test changes it.
package directorytest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// certified is how long all certificates hold.
const certified = 10 * 365 * 24 * time.Hour

// Epoch is when the networks of this package begin: their first valid-after.
var Epoch = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A Network is a network with the private keys of its authorities.
type Network struct {
	*directory.Network
	Keys []*Authority // in the order of Network.Authorities
}

// An Authority is an authority's keys.
type Authority struct {
	Identity    *keys.IdentityKey
	Signing     *keys.SigningKey
	SigningCert keys.Certificate
	Link        *keys.LinkKey
	Note        *keys.NoteKey
	NoteCert    keys.Certificate
}

// New makes a public network of that many authorities with a consensus an hour,
// or, with private addresses, on the timeline given.
func New(authorities int) *Network {
	t := directory.DefaultTiming(Epoch)
	t.Start = Epoch
	return NewWith(authorities, directory.Network{Name: "test.example", Timing: t})
}

// NewWith makes a network like n, whose authorities it replaces.
func NewWith(authorities int, n directory.Network) *Network {
	t := &Network{Network: &n}
	n.Authorities = nil
	for i := range authorities {
		a := NewAuthority()
		t.Keys = append(t.Keys, a)
		n.Authorities = append(n.Authorities, directory.Authority{
			Name:    fmt.Sprintf("auth%d", i+1),
			ID:      a.Identity.Public(),
			LinkKey: a.Link.Public(),
			Addrs:   []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, byte(i), 0, 1}), 9001)},
		})
	}
	return t
}

// NewAuthority makes an authority's keys.
func NewAuthority() *Authority {
	a := &Authority{
		Identity: keys.GenerateIdentity(), Signing: keys.GenerateSigning(),
		Link: keys.GenerateLink(), Note: keys.GenerateNote(),
	}
	from, until := Epoch.Add(-certified), Epoch.Add(certified)
	a.SigningCert = a.Identity.CertifySigning(a.Signing.Public(), from, until)
	a.NoteCert = a.Identity.CertifyNote(a.Note.Public(), from, until)
	return a
}

// A Relay is a relay's keys and what its descriptor says.
type Relay struct {
	Identity   *keys.IdentityKey
	Signing    *keys.SigningKey
	Link       *keys.LinkKey
	Circuit    *keys.CircuitKey
	Descriptor directory.Descriptor
}

// NewRelay makes the i-th relay of the network, published at the given time, on
// an address in a /16 of its own; not an exit.
func (t *Network) NewRelay(i int, published time.Time) *Relay {
	r := &Relay{
		Identity: keys.GenerateIdentity(), Signing: keys.GenerateSigning(),
		Link: keys.GenerateLink(), Circuit: keys.GenerateCircuit(),
	}
	from, until := Epoch.Add(-certified), Epoch.Add(certified)
	r.Descriptor = directory.Descriptor{
		Network:      t.Digest(),
		ID:           r.Identity.Public(),
		Signing:      r.Identity.CertifySigning(r.Signing.Public(), from, until),
		Published:    directory.Moment(published),
		Nickname:     fmt.Sprintf("relay%d", i),
		Addrs:        []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{11 + byte(i>>8), byte(i), 0, 1}), 9001)},
		Link:         r.Signing.CertifyLink(r.Link.Public(), from, until),
		Circuit:      r.Signing.CertifyCircuit(r.Circuit.Public(), from, until),
		LinkVersions: directory.VersionsOf(1),
		HopVersions:  directory.VersionsOf(1),
		Platform:     "tunic test",
		Uptime:       time.Hour,
		Rate:         1_000_000,
		Burst:        2_000_000,
		Observed:     500_000,
	}
	return r
}

// Sign returns the relay's descriptor as a document.
func (r *Relay) Sign(tb testing.TB) []byte {
	tb.Helper()
	doc, err := r.Descriptor.Sign(r.Signing)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}
