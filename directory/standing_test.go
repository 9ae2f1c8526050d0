package directory_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func drawDigest(t *rapid.T, name string) (d directory.Digest) {
	if rapid.Bool().Draw(t, name) {
		copy(d[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name))
	}
	return d
}

// drawStanding gives a relay whatever authorities may decide on it.
func drawStanding(t *rapid.T, r *directory.Relay) {
	r.Flags = directory.Flags(rapid.IntRange(0, int(directory.AllFlags)).Draw(t, "flags"))
	r.Weight = rapid.Uint64Range(0, directory.MaxWeight).Draw(t, "weight")
	r.FirstListed = time.Time{}
	if day := rapid.IntRange(0, 60_000).Draw(t, "listed"); day > 0 {
		r.FirstListed = directory.Day(epoch).AddDate(0, 0, day)
	}
	r.Age = rapid.IntRange(0, directory.MaxAge).Draw(t, "age")
	r.AS = rapid.Uint32().Draw(t, "as")
	r.Country = rapid.StringMatching(`([A-Z][A-Z])?`).Draw(t, "country")
	r.Group, r.Voucher = drawDigest(t, "group"), drawDigest(t, "voucher")
	r.Quarantine = directory.Quarantine{Code: rapid.StringMatching(`([a-z][a-z0-9-]{0,23})?`).Draw(t, "code")}
	if r.Quarantine.Code != "" {
		r.Quarantine.Until = epoch.Add(time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "until")) * time.Millisecond)
	}
	for p := range r.Shares {
		r.Shares[p] = rapid.Uint64Range(0, directory.MaxShare).Draw(t, "share")
	}
}

func TestStandingComesBack(t *testing.T) {
	net := directorytest.New(1)
	relays := net.Relays(3)
	rapid.Check(t, func(rt *rapid.T) {
		c := net.Consensus(0, relays)
		for i := range c.Relays {
			drawStanding(rt, &c.Relays[i])
		}
		doc, err := c.Encode()
		if err != nil {
			rt.Fatal(err)
		}
		got, err := directory.ParseConsensus(doc)
		if err != nil {
			rt.Fatalf("%v in\n%s", err, doc)
		}
		if !reflect.DeepEqual(got, c) {
			rt.Fatalf("comes back as\n%+v, want\n%+v", got, c)
		}
	})
}

func TestStandingRefuses(t *testing.T) {
	net := directorytest.New(3)
	doc, err := fullConsensus(net).Encode()
	if err != nil {
		t.Fatal(err)
	}
	text := string(doc)
	zero := strings.Repeat("A", 43)
	for name, tc := range map[string][2]string{
		"age 0":                 {"age 17", "age 0"},
		"age over":              {"age 17", "age 100001"},
		"as 0":                  {"as 4294967295", "as 0"},
		"as of 33 bits":         {"as 4294967295", "as 4294967296"},
		"country in small":      {"country AQ", "country aq"},
		"country of three":      {"country AQ", "country AQX"},
		"order":                 {"age 17\nas 4294967295\n", "as 4294967295\nage 17\n"},
		"no group":              {"group AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "group " + zero},
		"no voucher":            {"voucher BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "voucher " + zero},
		"code in capitals":      {"quarantine new", "quarantine New"},
		"code too long":         {"quarantine new", "quarantine aaaaaaaaaaaaaaaaaanew"},
		"code begins with one":  {"quarantine new", "quarantine 1new"},
		"quarantine for ever":   {"-address2 2026-01-02T13:00:00.000Z", "-address2"},
		"two shares":            {"shares 0 1 1000000000000", "shares 0 1"},
		"four shares":           {"shares 0 1 1000000000000", "shares 0 1 1 1"},
		"share over":            {"shares 0 1 1000000000000", "shares 0 1 1000000000001"},
		"no shares":             {"shares 0 1 1000000000000\n", ""},
		"relaxed out of order":  {"relaxed small test", "relaxed test small"},
		"relaxed twice":         {"relaxed small test", "relaxed test test"},
		"relaxed, but nothing":  {"relaxed small test young", "relaxed"},
		"nine relaxations":      {"relaxed small test young", "relaxed a b c d e f g h i"},
		"no line for the value": {"random BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", ""},
	} {
		bad := strings.Replace(text, tc[0], tc[1], 1)
		if bad == text {
			t.Fatalf("%s: nothing changed in\n%s", name, text)
		}
		if _, err := directory.ParseConsensus([]byte(bad)); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func TestVoteRefusesWhatItsAuthorCannotKnow(t *testing.T) {
	net := directorytest.New(3)
	doc, err := fullVote(t, net).Sign(net.SigningKey(0))
	if err != nil {
		t.Fatal(err)
	}
	text := directory.WithoutSignature(doc)
	zero := strings.Repeat("A", 43)
	for name, tc := range map[string][2]string{
		"refused and valid":  {"refused range24", "refused range24\nrefused range24"},
		"refused by nothing": {"refused range24", "refused"},
		"refused, no rule":   {"refused range24", "refused range 24"},
		"no table":           {"as-table BwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "as-table " + zero},
		"tickets unsorted":   {"ticket AQ", "ticket Ag"},
		"ticket cut short":   {"ticket AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ", "ticket "},
		"tickets, no value":  {"random 2026-01-02 CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", ""},
		"findings unsorted":  {"finding AQ", "finding Bg"},
		"finding, no day":    {"finding AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA 2026-01-02", "finding AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		"vouched by nobody":  {"vouched BgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "vouched " + zero},
		"shares in a vote":   {"weight 1000\n", "weight 1000\nshares 1 1 1\n"},
	} {
		bad := strings.Replace(text, tc[0], tc[1], 1)
		if bad == text {
			t.Fatalf("%s: nothing changed in\n%s", name, text)
		}
		sig := net.SigningKey(0).Sign(keys.LabelVote, []byte(bad))
		if _, err := directory.ParseVote([]byte(bad+"signature "+encode64(sig[:])+"\n"), net.Network); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	v := fullVote(t, net)
	v.Entries[0].Refused = "as"
	if _, err := v.Sign(net.SigningKey(0)); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("refused and valid: %v, want ErrMalformed", err)
	}
}

func TestDescriptorVoucher(t *testing.T) {
	net := directorytest.New(1)
	family := keys.GenerateFamily()
	other := net.NewRelay(2, epoch)
	for name, tc := range map[string]struct {
		voucher func(id keys.RelayID) keys.Certificate
		want    error
	}{
		"a family's word": {func(id keys.RelayID) keys.Certificate { return family.Vouch(id, epoch, epoch.Add(time.Hour)) }, nil},
		"for another": {func(keys.RelayID) keys.Certificate {
			return family.Vouch(other.Descriptor.ID, epoch, epoch.Add(time.Hour))
		}, directory.ErrSignature},
		"of the past": {func(id keys.RelayID) keys.Certificate {
			return family.Vouch(id, epoch.Add(-time.Hour), epoch.Add(-time.Minute))
		}, directory.ErrSignature},
		"a family's member": {func(id keys.RelayID) keys.Certificate { return family.CertifyMember(id, epoch, epoch.Add(time.Hour)) }, directory.ErrSignature},
	} {
		r := net.NewRelay(1, epoch)
		r.Descriptor.Voucher = tc.voucher(r.Descriptor.ID)
		d, err := directory.ParseDescriptor(r.Sign(t), net.Network, epoch)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if tc.want == nil && d.VouchedBy() != directory.FamilyDigest(family.Public()) {
			t.Errorf("%s: read as %v", name, d.VouchedBy())
		}
	}
}

func TestFamiliesEndWithTheirCertificates(t *testing.T) {
	net := directorytest.New(1)
	r := fullDescriptor(net)
	short := keys.GenerateFamily()
	d := &r.Descriptor
	d.Families = append(d.Families[:1:1], short.CertifyMember(d.ID, epoch.Add(-time.Hour), epoch.Add(time.Minute)))
	long, brief := directory.FamilyDigest(d.Families[0].Signer), directory.FamilyDigest(short.Public())
	if got := d.RelayAt(epoch).Family; len(got) != 2 || !slices.Contains(got, brief) {
		t.Errorf("while both hold: %v", got)
	}
	if got := d.RelayAt(epoch.Add(time.Minute)).Family; !slices.Equal(got, []directory.Digest{long}) {
		t.Errorf("when one has run out: %v, want %v", got, long)
	}
	if got := d.RelayAt(epoch.Add(time.Hour)).Family; got != nil {
		t.Errorf("when both have: %v", got)
	}
}
