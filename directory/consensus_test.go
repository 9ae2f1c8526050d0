package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func TestConsensusComesBack(t *testing.T) {
	net := directorytest.New(3)
	empty := net.Consensus(0, []directory.Relay{})
	empty.Params, empty.Weights = nil, directory.PositionWeights{}
	for _, c := range []*directory.Consensus{empty, fullConsensus(net)} {
		doc, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := directory.ParseConsensus(doc)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("comes back as\n%+v, want\n%+v", got, c)
		}
	}
}

// The form of the document, byte by byte.
func TestConsensusText(t *testing.T) {
	net := directorytest.New(1)
	c := fullConsensus(net)
	c.NetworkID, c.Votes, c.Relays = directory.Digest{1}, []directory.VoteRef{{Digest: directory.Digest{2}}}, c.Relays[:1]
	c.Previous = directory.Digest{3}
	c.Weights = directory.PositionWeights{Wgg: 1, Wmg: 2, Wee: 3, Wme: 4, Wgd: 5, Wmd: 6, Wed: 7}
	r := &c.Relays[0]
	*r = directory.Relay{
		Nickname: "moria", Addrs: []netip.AddrPort{netip.MustParseAddrPort("9.1.0.1:9001"), netip.MustParseAddrPort("[2001:db8::1]:443")},
		LinkVersions: directory.VersionsOf(1), HopVersions: directory.VersionsOf(1, 2),
		Flags: directory.Running | directory.Valid, Weight: 1234, Family: []directory.Digest{{4}}, FirstListed: epoch.Truncate(24 * time.Hour),
		Age: 300, AS: 64500, Country: "DE", Group: directory.Digest{6}, Voucher: directory.Digest{7},
		Quarantine: directory.Quarantine{Code: "cluster", Until: epoch.Add(30 * time.Minute)}, Shares: directory.Shares{0, 12, 345},
	}
	r.Ports, _ = directory.ParsePortSummary("80,443")
	r.Ports6, _ = directory.ParsePortSummary("*")
	doc, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	zero := strings.Repeat("A", 43)
	digest := func(b string) string { return b + zero[len(b):] }
	want := `tunic-consensus 1
method 2
network test.example ` + digest("AQ") + `
valid-after 2026-01-02T12:00:00.000Z
fresh-until 2026-01-02T13:00:00.000Z
valid-until 2026-01-02T15:00:00.000Z
previous ` + digest("Aw") + `
random ` + digest("BQ") + `
vote ` + zero + ` ` + digest("Ag") + `
param A_1 -2147483648
param b 2147483647
relaxed small test young
weights 1 2 3 4 5 6 7
relays 1
relay ` + zero + ` moria
address 9.1.0.1:9001
address [2001:db8::1]:443
keys ` + zero + ` ` + zero + `
versions 1 1,2
ports 80,443
ports6 *
family ` + digest("BA") + `
flags Running Valid
weight 1234
listed 2026-01-02
age 300
as 64500
country DE
group ` + digest("Bg") + `
quarantine cluster 2026-01-02T12:30:00.000Z
voucher ` + digest("Bw") + `
shares 0 12 345
`
	if string(doc) != want {
		t.Errorf("encodes as\n%s\nwant\n%s", doc, want)
	}
}

func TestConsensusRefuses(t *testing.T) {
	net := directorytest.New(3)
	doc, err := fullConsensus(net).Encode()
	if err != nil {
		t.Fatal(err)
	}
	text := string(doc)
	votes := text[strings.Index(text, "vote "):strings.Index(text, "param")]
	oneVote := votes[:strings.IndexByte(votes, '\n')+1]
	relays := text[strings.Index(text, "relay "):]
	for name, bad := range map[string]string{
		"method 0":         strings.Replace(text, "method 2", "method 0", 1),
		"method 32":        strings.Replace(text, "method 2", "method 32", 1),
		"no previous":      strings.Replace(text, "previous none\n", "", 1),
		"a vote twice":     strings.Replace(text, oneVote, oneVote+oneVote, 1),
		"33 votes":         strings.Replace(text, votes, strings.Repeat(oneVote, 33), 1),
		"weight over":      strings.Replace(text, "weights ", "weights 1", 1),
		"no weights":       strings.Replace(text, text[strings.Index(text, "weights"):strings.Index(text, "relays")], "weights 0 0 0 0 0 0 0\n", 1),
		"eight weights":    strings.Replace(text, "weights ", "weights 0 ", 1),
		"relays twice":     strings.Replace(text, "relays 5", "relays 10", 1) + relays,
		"too few":          strings.Replace(text, "relays 5", "relays 50000", 1),
		"too many":         strings.Replace(text, "relays 5", "relays 4", 1),
		"empty line":       strings.Replace(text, "relays 5\n", "relays 5\n\n", 1),
		"no last line end": strings.TrimSuffix(text, "\n"),
		"family unsorted":  strings.Replace(text, "family AQ", "family BQ", 1),
		"family of nine":   strings.Replace(text, "family ", "family "+strings.Repeat("AQ"+strings.Repeat("A", 41)+" ", 8), 1),
		"ports -":          strings.Replace(text, "ports 80,443", "ports -", 1),
	} {
		if bad == text {
			t.Fatalf("%s: nothing changed in\n%s", name, text)
		}
		if _, err := directory.ParseConsensus([]byte(bad)); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := directory.ParseConsensus(make([]byte, directory.MaxConsensus+1)); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	for i := range doc {
		if _, err := directory.ParseConsensus(doc[:i]); err == nil {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
	}
}

// Documents that are whole but for one relay too many: it is the number that is
// refused, before any relay is read.
func TestParsersRefuse50001Relays(t *testing.T) {
	net := directorytest.New(1)
	relays := manyRelays(directory.MaxRelays + 1)
	most, one := relays[:directory.MaxRelays], relays[directory.MaxRelays:]
	encode := func(relays []directory.Relay) string {
		doc, err := net.Consensus(0, relays).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	if _, err := directory.ParseConsensus([]byte(oneMore(encode(most), encode(one)))); !atCount(err) {
		t.Errorf("consensus: %v", err)
	}
	vote := func(relays []directory.Relay) string {
		doc, err := net.Vote(0, 0, relays).Sign(net.SigningKey(0))
		if err != nil {
			t.Fatal(err)
		}
		return directory.WithoutSignature(doc)
	}
	if _, err := directory.ReencodeVote(oneMore(vote(most), vote(one))); !atCount(err) {
		t.Errorf("vote: %v", err)
	}
}

// oneMore appends the one relay of a document to another that has the most.
func oneMore(most, one string) string {
	count := fmt.Sprintf("relays %d\n", directory.MaxRelays)
	_, relay, _ := strings.Cut(one, "relays 1\n")
	return strings.Replace(most, count, fmt.Sprintf("relays %d\n", directory.MaxRelays+1), 1) + relay
}

// atCount reports whether an error is about the number of relays.
func atCount(err error) bool {
	return errors.Is(err, directory.ErrMalformed) && strings.Contains(err.Error(), ": relays: ")
}

func TestConsensusErrorsNameTheLine(t *testing.T) {
	net := directorytest.New(1)
	doc, _ := fullConsensus(net).Encode()
	bad := bytes.Replace(doc, []byte("weight 1000\n"), []byte("weight 01000\n"), 1)
	line := bytes.Count(bad[:bytes.Index(bad, []byte("weight 01000"))], []byte("\n")) + 1
	_, err := directory.ParseConsensus(bad)
	if want := fmt.Sprintf("line %d: weight", line); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q in it", err, want)
	}
}

func TestConsensusOutOfBoundsDoesNotEncode(t *testing.T) {
	net := directorytest.New(3)
	for name, change := range map[string]func(c *directory.Consensus){
		"order":         func(c *directory.Consensus) { c.Relays[0], c.Relays[1] = c.Relays[1], c.Relays[0] },
		"twice":         func(c *directory.Consensus) { c.Relays[1] = c.Relays[0] },
		"network":       func(c *directory.Consensus) { c.Network = "" },
		"method":        func(c *directory.Consensus) { c.Method = 0 },
		"vote twice":    func(c *directory.Consensus) { c.Votes[1] = c.Votes[0] },
		"param order":   func(c *directory.Consensus) { c.Params[0], c.Params[1] = c.Params[1], c.Params[0] },
		"param value":   func(c *directory.Consensus) { c.Params[0].Value = 1 << 31 },
		"weights":       func(c *directory.Consensus) { c.Weights.Wgg = directory.WeightScale + 1 },
		"flags":         func(c *directory.Consensus) { c.Relays[0].Flags = 1 << 15 },
		"addresses":     func(c *directory.Consensus) { c.Relays[0].Addrs = nil },
		"mapped":        func(c *directory.Consensus) { c.Relays[0].Addrs[0] = netip.MustParseAddrPort("[::ffff:9.9.9.9]:1") },
		"family":        func(c *directory.Consensus) { c.Relays[0].Family = []directory.Digest{{2}, {1}} },
		"zero family":   func(c *directory.Consensus) { c.Relays[0].Family = make([]directory.Digest, 9) },
		"weight":        func(c *directory.Consensus) { c.Relays[0].Weight = directory.MaxWeight + 1 },
		"versions":      func(c *directory.Consensus) { c.Relays[0].HopVersions = 1 },
		"year 2200":     func(c *directory.Consensus) { c.ValidUntil = epoch.AddDate(200, 0, 0) },
		"long nickname": func(c *directory.Consensus) { c.Relays[0].Nickname = strings.Repeat("a", 20) },
	} {
		c := fullConsensus(net)
		change(c)
		if _, err := c.Encode(); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func TestConsensusRelay(t *testing.T) {
	net := directorytest.New(1)
	c := net.Consensus(0, manyRelays(300))
	for i := range c.Relays {
		if c.Relay(c.Relays[i].ID) != &c.Relays[i] {
			t.Errorf("relay %d is not found", i)
		}
	}
	if c.Relay(net.Authorities[0].ID) != nil || (&directory.Consensus{}).Relay(c.Relays[0].ID) != nil {
		t.Error("a relay is found that is not there")
	}
}

func TestConsensusParam(t *testing.T) {
	c := &directory.Consensus{Params: []directory.Param{{Name: "a", Value: 5}, {Name: "b", Value: 500}}}
	for _, tc := range []struct {
		name string
		want int64
	}{{"a", 10}, {"b", 100}, {"c", 50}} {
		if got := c.Param(tc.name, 50, 10, 100); got != tc.want {
			t.Errorf("Param(%q) = %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestUsable(t *testing.T) {
	net, other := directorytest.New(1), directorytest.New(1)
	c := net.Consensus(0, nil)
	for name, tc := range map[string]struct {
		net  *directorytest.Network
		at   time.Duration // after valid-after
		warn bool
		want error
	}{
		"fresh":                       {net, 0, false, nil},
		"stale":                       {net, 2 * time.Hour, false, nil},
		"just valid":                  {net, 3*time.Hour - 1, false, nil},
		"in grace":                    {net, 3 * time.Hour, true, nil},
		"at the end of grace":         {net, 27*time.Hour - 1, true, nil},
		"expired":                     {net, 27 * time.Hour, false, directory.ErrExpired},
		"clock wrong by a bit":        {net, -time.Hour, false, nil},
		"from the future":             {net, -time.Hour - 1, false, directory.ErrFuture},
		"another network's":           {other, 0, false, directory.ErrOtherNetwork},
		"another network's, long ago": {other, 1000 * time.Hour, false, directory.ErrOtherNetwork},
	} {
		warn, err := c.Usable(tc.net.Network, c.ValidAfter.Add(tc.at))
		if warn != tc.warn || !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, %v; want %v, %v", name, warn, err, tc.warn, tc.want)
		}
	}
}

// The grace of the initial rounds is of full periods too.
func TestUsableInInitialRounds(t *testing.T) {
	n := directorytest.NewWith(1, directory.Network{Name: "t", PrivateAddresses: true, Timing: directory.TestTiming(epoch)})
	c := n.Consensus(0, nil)
	if warn, err := c.Usable(n.Network, c.ValidAfter.Add(3*time.Minute)); !warn || err != nil {
		t.Errorf("after 3 minutes: %v, %v", warn, err)
	}
	if _, err := c.Usable(n.Network, c.ValidAfter.Add(27*time.Minute)); !errors.Is(err, directory.ErrExpired) {
		t.Errorf("after 27 minutes: %v", err)
	}
}

func TestRelaysThatMustNotShareACircuit(t *testing.T) {
	at := func(addrs ...string) *directory.Relay {
		r := &directory.Relay{}
		for _, a := range addrs {
			r.Addrs = append(r.Addrs, netip.MustParseAddrPort(a))
		}
		return r
	}
	for _, tc := range []struct {
		a, b *directory.Relay
		want bool
	}{
		{at("9.1.2.3:1"), at("9.1.200.3:1"), true},
		{at("9.1.2.3:1"), at("9.2.2.3:1"), false},
		{at("9.1.2.3:1", "[2001:db8:1::1]:1"), at("9.2.2.3:1", "[2001:db8:2::1]:1"), true},
		{at("9.1.2.3:1", "[2001:db8:1::1]:1"), at("9.2.2.3:1", "[2001:db9:1::1]:1"), false},
		{at("9.1.2.3:1"), at("[::ffff:9.1.0.1]:1"), true},
		{at(), at(), false},
	} {
		if got := tc.a.SameSubnet(tc.b); got != tc.want || tc.b.SameSubnet(tc.a) != got {
			t.Errorf("SameSubnet(%v, %v) = %v", tc.a.Addrs, tc.b.Addrs, got)
		}
	}
	a, b, c := &directory.Relay{Family: []directory.Digest{{1}, {2}}}, &directory.Relay{Family: []directory.Digest{{2}, {3}}}, &directory.Relay{Family: []directory.Digest{{4}}}
	b.ID[0], c.ID[0] = 1, 2
	if !a.SameFamily(b) || a.SameFamily(c) || !c.SameFamily(c) {
		t.Error("SameFamily")
	}
}
