package directory_test

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func TestDescriptorComesBack(t *testing.T) {
	net := directorytest.New(1)
	for _, r := range []*directorytest.Relay{net.NewRelay(1, epoch), fullDescriptor(net)} {
		doc := r.Sign(t)
		got, err := directory.ParseDescriptor(doc, net.Network, epoch)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if !reflect.DeepEqual(got, &r.Descriptor) {
			t.Errorf("comes back as\n%+v, want\n%+v", got, r.Descriptor)
		}
		if got.Digest() != directory.DigestOf(doc) {
			t.Errorf("digest %v", got.Digest())
		}
	}
}

func TestDescriptorEveryByteCounts(t *testing.T) {
	net := directorytest.New(1)
	doc := fullDescriptor(net).Sign(t)
	for i := range doc {
		bad := bytes.Clone(doc)
		bad[i] ^= 1
		if _, err := directory.ParseDescriptor(bad, net.Network, epoch); err == nil {
			t.Fatalf("byte %d flipped: accepted", i)
		}
		if _, err := directory.ParseDescriptor(doc[:i], net.Network, epoch); err == nil {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
	}
}

// signText signs the text of a descriptor again, whatever it says now.
func signText(r *directorytest.Relay, text string) []byte {
	sig := r.Signing.Sign(keys.LabelDescriptor, []byte(text))
	return []byte(text + "signature " + encode64(sig[:]) + "\n")
}

func TestDescriptorRefuses(t *testing.T) {
	net, other := directorytest.New(1), directorytest.New(1)
	r := fullDescriptor(net)
	text := directory.WithoutSignature(r.Sign(t))
	line := func(keyword string) string {
		i := strings.Index(text, "\n"+keyword+" ") + 1
		return text[i : i+strings.IndexByte(text[i:], '\n')+1]
	}
	for name, tc := range map[string]struct{ old, new string }{
		"duplicate keyword":      {line("uptime"), line("uptime") + line("uptime")},
		"keyword left out":       {line("uptime"), ""},
		"unknown keyword":        {line("uptime"), line("uptime") + "colour blue\n"},
		"order":                  {line("platform") + line("contact"), line("contact") + line("platform")},
		"line of 30 KiB":         {line("contact"), "contact " + strings.Repeat("a", 30<<10) + "\n"},
		"contact too long":       {line("contact"), "contact " + strings.Repeat("a", 257) + "\n"},
		"control character":      {line("contact"), "contact a\x07b\n"},
		"not ASCII":              {line("contact"), "contact ä\n"},
		"space at the end":       {line("contact"), "contact a \n"},
		"two spaces":             {"bandwidth ", "bandwidth  "},
		"carriage return":        {line("uptime"), "uptime 3600\r\n"},
		"leading zero":           {line("uptime"), "uptime 03600\n"},
		"plus":                   {line("uptime"), "uptime +3600\n"},
		"number too large":       {line("uptime"), "uptime 99999999999\n"},
		"bandwidth of 4":         {line("bandwidth"), "bandwidth 1 2 3 4\n"},
		"bandwidth of 2":         {line("bandwidth"), "bandwidth 1 2\n"},
		"time without millis":    {line("published"), "published 2026-01-02T12:00:00Z\n"},
		"time with a zone":       {line("published"), "published 2026-01-02T12:00:00.000+00:00\n"},
		"33rd of January":        {line("published"), "published 2026-01-33T12:00:00.000Z\n"},
		"nickname with a dash":   {line("nickname"), "nickname a-b\n"},
		"nickname too long":      {line("nickname"), "nickname " + strings.Repeat("a", 20) + "\n"},
		"no IPv4 address":        {"address 11.2.0.1:9001\n", ""},
		"two IPv4 addresses":     {"address [2001:db8::1]:9001\n", "address 12.2.0.1:9001\n"},
		"three addresses":        {"address [2001:db8::1]:9001\n", "address [2001:db8::1]:9001\naddress [2001:db8::2]:9001\n"},
		"private address":        {"address 11.2.0.1:9001\n", "address 192.168.2.1:9001\n"},
		"private IPv6 address":   {"[2001:db8::1]", "[fd00::1]"},
		"mapped address":         {"[2001:db8::1]", "[::ffff:9.9.9.9]"},
		"zone":                   {"[2001:db8::1]", "[2001:db8::1%25eth0]"},
		"long form of an IPv6":   {"[2001:db8::1]", "[2001:db8:0::1]"},
		"multicast":              {"address 11.2.0.1:9001\n", "address 224.2.0.1:9001\n"},
		"port 0":                 {"11.2.0.1:9001", "11.2.0.1:0"},
		"port with a zero":       {"11.2.0.1:9001", "11.2.0.1:09001"},
		"rule not canonical":     {"accept 192.0.2.0/24:22", "accept 192.0.2.1/24:22"},
		"link key's certificate": {line("link-key"), "link-key" + strings.TrimPrefix(line("circuit-key"), "circuit-key")},
		"version 0":              {line("versions"), "versions 0 1\n"},
		"version 32":             {line("versions"), "versions 32 1\n"},
		"versions not ascending": {line("versions"), "versions 2,1 1\n"},
		"another version of it":  {"tunic-descriptor 1", "tunic-descriptor 2"},
	} {
		bad := strings.Replace(text, tc.old, tc.new, 1)
		if bad == text {
			t.Fatalf("%s: %q is not in\n%s", name, tc.old, text)
		}
		if _, err := directory.ParseDescriptor(signText(r, bad), net.Network, epoch); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := directory.ParseDescriptor(signText(r, text), net.Network, epoch); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	if _, err := directory.ParseDescriptor(signText(r, text), other.Network, epoch); !errors.Is(err, directory.ErrOtherNetwork) {
		t.Errorf("another network: %v", err)
	}
	if _, err := directory.ParseDescriptor(make([]byte, directory.MaxDescriptor+1), net.Network, epoch); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := directory.ParseDescriptor(append([]byte(text), bytes.Repeat([]byte("a"), 1<<20)...), net.Network, epoch); !errors.Is(err, directory.ErrTooLarge) {
		t.Errorf("a last line of 1 MiB: %v", err)
	}
}

func TestDescriptorNeedsItsOwnKeys(t *testing.T) {
	net := directorytest.New(1)
	from, until := epoch.Add(-time.Hour), epoch.Add(time.Hour)
	for name, tc := range map[string]struct {
		change func(r, other *directorytest.Relay)
		want   error
	}{
		"another's identity":    {func(r, o *directorytest.Relay) { r.Descriptor.ID = o.Descriptor.ID }, directory.ErrSignature},
		"another's signing key": {func(r, o *directorytest.Relay) { r.Signing = o.Signing }, directory.ErrSignature},
		"another's link key":    {func(r, o *directorytest.Relay) { r.Descriptor.Link = o.Descriptor.Link }, directory.ErrSignature},
		"another's circuit key": {func(r, o *directorytest.Relay) { r.Descriptor.Circuit = o.Descriptor.Circuit }, directory.ErrSignature},
		"another's family": {func(r, o *directorytest.Relay) {
			r.Descriptor.Families = []keys.Certificate{keys.GenerateFamily().CertifyMember(o.Descriptor.ID, from, until)}
		}, directory.ErrSignature},
		"expired link key": {func(r, o *directorytest.Relay) {
			r.Descriptor.Link = r.Signing.CertifyLink(r.Link.Public(), from, epoch.Add(-time.Second))
		}, directory.ErrSignature},
		"expired signing key": {func(r, o *directorytest.Relay) {
			r.Descriptor.Signing = r.Identity.CertifySigning(r.Signing.Public(), from, epoch.Add(-time.Second))
		}, directory.ErrSignature},
		"two days ahead": {func(r, o *directorytest.Relay) { r.Descriptor.Published = epoch.Add(48 * time.Hour) }, directory.ErrFuture},
		"an hour ahead":  {func(r, o *directorytest.Relay) { r.Descriptor.Published = epoch.Add(time.Hour) }, nil},
		"18 hours old":   {func(r, o *directorytest.Relay) { r.Descriptor.Published = epoch.Add(-18 * time.Hour) }, directory.ErrExpired},
		"17 hours old":   {func(r, o *directorytest.Relay) { r.Descriptor.Published = epoch.Add(-17 * time.Hour) }, nil},
	} {
		r, o := net.NewRelay(1, epoch), net.NewRelay(2, epoch)
		tc.change(r, o)
		if _, err := directory.ParseDescriptor(r.Sign(t), net.Network, epoch); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestPrivateAddressesWhereTheNetworkAllowsThem(t *testing.T) {
	net := directorytest.NewWith(1, directory.Network{Name: "t", PrivateAddresses: true, Timing: directory.TestTiming(epoch)})
	r := net.NewRelay(1, epoch)
	r.Descriptor.Addrs = []netip.AddrPort{netip.MustParseAddrPort("127.1.0.1:5001")}
	if _, err := directory.ParseDescriptor(r.Sign(t), net.Network, epoch); err != nil {
		t.Error(err)
	}
}

func TestDescriptorOutOfBoundsDoesNotEncode(t *testing.T) {
	net := directorytest.New(1)
	for name, change := range map[string]func(d *directory.Descriptor){
		"nickname":        func(d *directory.Descriptor) { d.Nickname = "a\nb" },
		"platform":        func(d *directory.Descriptor) { d.Platform = "" },
		"contact":         func(d *directory.Descriptor) { d.Contact = "a\nb" },
		"no address":      func(d *directory.Descriptor) { d.Addrs = nil },
		"port 0":          func(d *directory.Descriptor) { d.Addrs[0] = netip.AddrPortFrom(d.Addrs[0].Addr(), 0) },
		"uptime":          func(d *directory.Descriptor) { d.Uptime = -time.Second },
		"rate":            func(d *directory.Descriptor) { d.Rate = directory.MaxRate + 1 },
		"no versions":     func(d *directory.Descriptor) { d.LinkVersions = 0 },
		"year 1":          func(d *directory.Descriptor) { d.Published = time.Time{} },
		"zero rule":       func(d *directory.Descriptor) { d.Policy.Rules = make([]directory.Rule, 1) },
		"families twice":  func(d *directory.Descriptor) { d.Families = make([]keys.Certificate, 2) },
		"nine families":   func(d *directory.Descriptor) { d.Families = make([]keys.Certificate, 9) },
		"too many rules":  func(d *directory.Descriptor) { d.Policy.Rules = make([]directory.Rule, 200) },
		"too many ranges": func(d *directory.Descriptor) { d.Policy = fragmented(129) },
	} {
		r := net.NewRelay(1, epoch)
		change(&r.Descriptor)
		if _, err := r.Descriptor.Sign(r.Signing); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	r := net.NewRelay(1, epoch)
	r.Descriptor.Policy = fragmented(128)
	if _, err := directory.ParseDescriptor(r.Sign(t), net.Network, epoch); err != nil {
		t.Errorf("128 rules: %v", err)
	}
}

// An authority asks for the ports of each relay in each vote, so that they are worked
// out once, when the descriptor comes.
func TestPortsAreWorkedOutOnce(t *testing.T) {
	net := directorytest.New(1)
	r := net.NewRelay(1, epoch)
	r.Descriptor.Policy = fragmented(100)
	d, err := directory.ParseDescriptor(r.Sign(t), net.Network, epoch)
	if err != nil {
		t.Fatal(err)
	}
	v4, v6 := d.Ports()
	want4, want6 := d.Policy.Summary()
	if v4.String() != want4.String() || v6.String() != want6.String() || v4.Empty() {
		t.Errorf("ports %v, %v, want %v, %v", v4, v6, want4, want6)
	}
	if n := testing.AllocsPerRun(10, func() { d.Ports() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(10, func() { d.Relay() }); n > 1 { // its addresses
		t.Errorf("an entry of a vote takes %v allocations", n)
	}
}

// fragmented returns a policy of that many rules, each of which accepts a port
// that touches no other.
func fragmented(rules int) (p directory.Policy) {
	for i := range rules {
		port := uint16(2*i + 1)
		p.Rules = append(p.Rules, directory.Rule{Accept: true, Family: directory.IPv4, Ports: directory.PortRange{First: port, Last: port}})
	}
	return p
}

func TestDescriptorRelay(t *testing.T) {
	net := directorytest.New(1)
	r := fullDescriptor(net)
	got := r.Descriptor.Relay()
	if got.ID != r.Identity.Public() || got.LinkKey != r.Link.Public() || got.CircuitKey != r.Circuit.Public() || len(got.Addrs) != 2 {
		t.Errorf("%+v", got)
	}
	if got.Ports.String() != "80-443" || got.Ports6.String() != "1-24,26-65535" {
		t.Errorf("ports %v and %v", got.Ports, got.Ports6)
	}
	if len(got.Family) != 2 || got.Family[0] == got.Family[1] || !got.SameFamily(&directory.Relay{Family: []directory.Digest{directory.FamilyDigest(r.Descriptor.Families[1].Signer)}}) {
		t.Errorf("families %v", got.Family)
	}
}
