package directory_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

var epoch = directorytest.Epoch

// fullDescriptor returns a relay whose descriptor has every field.
func fullDescriptor(net *directorytest.Network) *directorytest.Relay {
	r := net.NewRelay(2, epoch)
	d := &r.Descriptor
	d.Addrs = append(d.Addrs, netip.MustParseAddrPort("[2001:db8::1]:9001"))
	d.Contact = "someone <someone@example.org>"
	for range 2 {
		family := keys.GenerateFamily()
		d.Families = append(d.Families, family.CertifyMember(d.ID, epoch.Add(-time.Hour), epoch.Add(time.Hour)))
	}
	slices.SortFunc(d.Families, func(a, b keys.Certificate) int { return slices.Compare(a.Signer[:], b.Signer[:]) })
	d.Voucher = keys.GenerateFamily().Vouch(d.ID, epoch.Add(-time.Hour), epoch.Add(time.Hour))
	d.Policy, _ = directory.ParsePolicy([]string{
		"reject *:25", "accept 192.0.2.0/24:22", "reject [2001:db8::/32]:1-1024", "accept *4:80-443", "accept *6:*",
	})
	return r
}

// fullConsensus returns a consensus with every field, of five relays.
func fullConsensus(net *directorytest.Network) *directory.Consensus {
	relays := net.Relays(5)
	r := &relays[2]
	r.Addrs = append(r.Addrs, netip.MustParseAddrPort("[2001:db8::1]:443"))
	r.LinkVersions = directory.VersionsOf(1, 2, 31)
	r.Ports6, _ = directory.ParsePortSummary("1-24,26-65535")
	r.Family = []directory.Digest{{1}, {2}}
	r.FirstListed = directory.Day(epoch)
	r.Age, r.AS, r.Country = 17, 1<<32-1, "AQ"
	r.Group, r.Voucher = directory.Digest{3}, directory.Digest{4}
	r.Quarantine = directory.Quarantine{Code: "new-on-address2", Until: epoch.Add(time.Hour)}
	relays[3].Flags, relays[3].Weight = 0, 0
	c := net.Consensus(0, relays)
	c.Relays[2].Shares = directory.Shares{0, 1, directory.MaxShare}
	c.Random = directory.Digest{5}
	c.Relaxed = []string{"small", "test", "young"}
	for _, a := range net.Authorities {
		c.Votes = append(c.Votes, directory.VoteRef{Author: a.ID, Digest: directory.Digest(a.ID)})
	}
	slices.SortFunc(c.Votes, func(a, b directory.VoteRef) int { return directory.CompareID(a.Author, b.Author) })
	c.Params = []directory.Param{{Name: "A_1", Value: -1 << 31}, {Name: "b", Value: 1<<31 - 1}}
	return c
}

// fullVote returns a vote of authority 0 for round 3 with every field.
func fullVote(tb testing.TB, net *directorytest.Network) *directory.Vote {
	var h *directory.History
	for i := range int64(3) {
		_, h = net.Sign(tb, net.Consensus(i, nil), h, 0, 1)
	}
	v := net.Vote(0, 3, fullConsensus(net).Relays)
	v.Previous = h
	v.Params = []directory.Param{{Name: "x", Value: 7}}
	v.Known = directory.AllFlags
	v.Entries[0].Flags, v.Entries[0].Unknown = directory.Valid, directory.Running|directory.Stable
	v.Entries[1].Measured = 12
	v.Entries[1].FirstListed = directory.Day(epoch)
	v.Entries[1].Vouch = directory.Vouch{By: directory.Digest{6}, Day: directory.Day(epoch)}
	v.Entries[4].Flags &^= directory.Valid
	v.Entries[4].Refused = "range24"
	v.ASTable = directory.Digest{7}
	v.Draw = directory.Draw{Day: directory.Day(epoch), Value: directory.Digest{8}, Tickets: []directory.Ticket{
		{Author: keys.RelayID{1}, Commit: directory.Digest{9}}, {Author: keys.RelayID{2}, Commit: directory.Digest{10}, Reveal: directory.Digest{11}},
	}}
	v.Findings = []directory.Finding{{Against: directory.Digest{1}, Day: directory.Day(epoch)}, {Against: directory.Digest{2}, Day: directory.Day(epoch)}}
	return v
}

// newEnvelope returns a vote of authority 0 with the given countersignatures.
func newEnvelope(tb testing.TB, net *directorytest.Network, by ...int) *directory.Envelope {
	tb.Helper()
	v := net.Vote(0, 0, net.Relays(2))
	doc, err := v.Sign(net.SigningKey(0))
	if err != nil {
		tb.Fatal(err)
	}
	e := directory.NewEnvelope(v, doc)
	for _, i := range by {
		if err := e.Countersign(net.Keys[i].SigningCert, net.SigningKey(i)); err != nil {
			tb.Fatal(err)
		}
	}
	return e
}

// fullNetwork returns a network with every field.
func fullNetwork() *directory.Network {
	n := directorytest.NewWith(3, directory.Network{
		Name: "test-1.example_net", PrivateAddresses: true, SameSubnet: true, Timing: directory.TestTiming(epoch),
	})
	n.Authorities[0].NoteKey = n.Keys[0].Note.Public()
	n.Authorities[0].Addrs = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5001"), netip.MustParseAddrPort("[::1]:5001")}
	n.Fallbacks = []directory.Fallback{{
		ID: keys.GenerateIdentity().Public(), LinkKey: keys.GenerateLink().Public(),
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.1.0.1:5001")},
	}}
	return n.Network
}
