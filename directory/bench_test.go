package directory_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

// manyRelays returns that many relays without keys behind what they show, each
// with an IPv6 address, every fourth an exit, every eighth in a family.
func manyRelays(count int) []directory.Relay {
	relays := make([]directory.Relay, count)
	ports, _ := directory.ParsePortSummary("1-24,26-118,120-134,140-444,446-65535")
	for i := range relays {
		h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		r := &relays[i]
		r.ID, r.LinkKey, r.CircuitKey = h, sha256.Sum256(h[:16]), sha256.Sum256(h[16:])
		r.Nickname = fmt.Sprintf("relay%d", i)
		v6 := [16]byte{0x26, h[1], h[2], h[3], 15: h[4]}
		r.Addrs = []netip.AddrPort{
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{8 + h[0]%64, h[1], h[2], h[3]}), 9001),
			netip.AddrPortFrom(netip.AddrFrom16(v6), 9001),
		}
		r.LinkVersions, r.HopVersions = directory.VersionsOf(1), directory.VersionsOf(1)
		r.Flags = directory.AllFlags &^ directory.Exit
		r.Weight = uint64(h[5]) * 1000
		r.FirstListed = directory.Day(epoch)
		if i%4 == 0 {
			r.Flags |= directory.Exit
			r.Ports, r.Ports6 = ports, ports
		}
		if i%8 == 0 {
			r.Family = []directory.Digest{sha256.Sum256(h[:8])}
		}
	}
	slices.SortFunc(relays, func(a, b directory.Relay) int { return directory.CompareID(a.ID, b.ID) })
	return relays
}

func bigConsensus(b *testing.B) (*directorytest.Network, *directory.Consensus, []byte) {
	net := directorytest.New(9)
	c := net.Consensus(0, manyRelays(directory.MaxRelays))
	doc, err := c.Encode()
	if err != nil {
		b.Fatal(err)
	}
	return net, c, doc
}

func BenchmarkParseConsensus50000(b *testing.B) {
	_, _, doc := bigConsensus(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := directory.ParseConsensus(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeConsensus50000(b *testing.B) {
	_, c, doc := bigConsensus(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := c.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenBundle50000(b *testing.B) {
	net, c, _ := bigConsensus(b)
	bundle, _ := net.Sign(b, c, nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(bundle.Raw())))
	for b.Loop() {
		if _, err := directory.OpenBundle(bundle.Raw(), net.Network); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConsensusRelay(b *testing.B) {
	_, c, _ := bigConsensus(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if id := c.Relays[i*7919%len(c.Relays)].ID; c.Relay(id).ID != id {
			b.Fatal("not found")
		}
	}
}

func BenchmarkParseDescriptor(b *testing.B) {
	net := directorytest.New(3)
	doc := fullDescriptor(net).Sign(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := directory.ParseDescriptor(doc, net.Network, epoch); err != nil {
			b.Fatal(err)
		}
	}
}

// The worst that a descriptor can ask for: rules that differ in address and
// port, none of which settles anything for the others.
func BenchmarkWorstPolicySummary(b *testing.B) {
	var p directory.Policy
	for i := range directory.MaxRules {
		ip := netip.AddrFrom4([4]byte{11 + byte(i>>3), byte(i) << 5})
		prefix, _ := ip.Prefix(11)
		first := uint16(100 * (i + 1))
		p.Rules = append(p.Rules, directory.Rule{Prefix: prefix, Ports: directory.PortRange{First: first, Last: 65535 - first}})
		if first > 32000 {
			p.Rules[i].Ports = directory.PortRange{First: first / 2, Last: first}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Summary()
	}
}
