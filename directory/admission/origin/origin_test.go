package origin

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

const list = `# PREFIX NUMBER COUNTRY
192.0.0.0/8 64500 DE
192.0.2.0/24,AS64501,FR   # within the one above
192.0.2.128/25	64502
192.0.2.128/32	64503 NL
203.0.113.0 203.0.113.9 64504 US Example, Inc.

2001:db8::/32 64505 SE
2001:db8:1::/48 64506 none
255.0.0.0/8 64507 XX
255.255.255.255/32 64508 YY
`

func places(t *testing.T, table *Table, want map[string]Place) {
	t.Helper()
	for addr, p := range want {
		if got := table.Of(netip.MustParseAddr(addr)); got != p {
			t.Errorf("%s lies in %+v, want %+v", addr, got, p)
		}
	}
}

func TestList(t *testing.T) {
	table, err := Parse([]byte(list))
	if err != nil {
		t.Fatal(err)
	}
	places(t, table, map[string]Place{
		"191.255.255.255": {}, "192.0.0.0": {64500, "DE"}, "192.255.255.255": {64500, "DE"}, "193.0.0.0": {},
		"192.0.2.0": {64501, "FR"}, "192.0.2.127": {64501, "FR"}, "192.0.2.128": {64503, "NL"}, "192.0.2.129": {64502, ""},
		"192.0.2.255": {64502, ""}, "192.0.3.0": {64500, "DE"}, "::ffff:192.0.2.1": {64501, "FR"},
		"203.0.112.255": {}, "203.0.113.0": {64504, "US"}, "203.0.113.9": {64504, "US"}, "203.0.113.10": {},
		"2001:db8::1": {64505, "SE"}, "2001:db8:1::": {64506, ""}, "2001:db8:2::": {64505, "SE"}, "2001:db9::": {}, "::1": {},
		"255.1.0.0": {64507, "XX"}, "255.255.255.254": {64507, "XX"}, "255.255.255.255": {64508, "YY"},
	})
	places(t, nil, map[string]Place{"192.0.2.1": {}})
	if table.Of(netip.Addr{}) != (Place{}) {
		t.Error("no address lies somewhere")
	}
}

func TestPackedListAndFile(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(list))
	_ = z.Close()
	path := filepath.Join(t.TempDir(), "table.gz")
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	places(t, table, map[string]Place{"192.0.2.1": {64501, "FR"}})
	plain, _ := Parse([]byte(list))
	if table.Digest() == plain.Digest() || table.Digest() == [32]byte{} || (*Table)(nil).Digest() != [32]byte{} {
		t.Error("digests do not tell tables apart")
	}
	if _, err := Open(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing table: %v", err)
	}
}

func TestBadLists(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"comments alone":  "# nothing\n\n",
		"no number":       "192.0.2.0/24\n",
		"no prefix":       "64500 DE\n",
		"name for number": "192.0.2.0/24 Example DE\n",
		"number too long": "192.0.2.0/24 4294967296\n",
		"range backwards": "192.0.2.9 192.0.2.0 64500\n",
		"mixed range":     "192.0.2.9 2001:db8:: 64500\n",
		"prefix too long": "192.0.2.0/33 64500\n",
		"overlap":         "192.0.2.0 192.0.2.9 64500\n192.0.2.5 192.0.2.20 64501\n",
		"cut gzip":        "\x1f\x8b\x08\x00",
		"cut maxminddb":   "abc\xab\xcd\xefMaxMind.com",
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Parse([]byte("192.0.2.0/24 64500\nnonsense\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("the error does not name the line: %v", err)
	}
}

// The flattened list says what a walk over all prefixes says: the longest that
// holds the address.
func TestListAgainstWalk(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		type entry struct {
			p  netip.Prefix
			as uint32
		}
		var entries []entry
		var text strings.Builder
		seen := map[netip.Prefix]bool{}
		for i := range 60 {
			a := netip.AddrFrom4([4]byte{10, byte(rng.IntN(3)), byte(rng.IntN(4)), byte(rng.IntN(256))})
			p, _ := a.Prefix(6 + rng.IntN(27))
			if seen[p] {
				continue
			}
			seen[p] = true
			entries = append(entries, entry{p, uint32(i + 1)})
			text.WriteString(p.String() + " " + strings.Repeat("0", rng.IntN(2)) + itoa(i+1) + "\n")
		}
		table, err := Parse([]byte(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			a := netip.AddrFrom4([4]byte{byte(8 + rng.IntN(5)), byte(rng.IntN(4)), byte(rng.IntN(5)), byte(rng.IntN(256))})
			var want uint32
			bits := -1
			for _, e := range entries {
				if e.p.Contains(a) && e.p.Bits() > bits {
					want, bits = e.as, e.p.Bits()
				}
			}
			if got := table.Of(a).AS; got != want {
				t.Fatalf("%v lies in %d, want %d, of\n%s", a, got, want, text.String())
			}
		}
	}
}

func itoa(n int) string { return string([]byte{byte('0' + n/10%10), byte('0' + n%10)}) }

func mmdb(t testing.TB, entries map[string]mmdbtype.Map) []byte {
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", Description: map[string]string{"en": "test"}, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, e := range entries {
		_, p, err := net.ParseCIDR(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(p, e); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestMaxMind(t *testing.T) {
	b := mmdb(t, map[string]mmdbtype.Map{
		"192.0.2.0/24":    {"autonomous_system_number": mmdbtype.Uint32(64500), "country": mmdbtype.Map{"iso_code": mmdbtype.String("DE")}},
		"198.51.100.0/24": {"asn": mmdbtype.Uint32(64501), "country_code": mmdbtype.String("FR")},
		"203.0.113.0/24":  {"autonomous_system_number": mmdbtype.String("no number"), "country_code": mmdbtype.String("Germany")},
		"2001:db8::/32":   {"autonomous_system_number": mmdbtype.Uint32(64502)},
	})
	table, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	places(t, table, map[string]Place{
		"192.0.2.1": {64500, "DE"}, "198.51.100.255": {64501, "FR"}, "203.0.113.1": {}, "2001:db8::1": {64502, ""},
		"192.0.3.1": {}, "::1": {},
	})
	for i := range 200 { // damaged files say so or know less; none panics
		damaged := bytes.Clone(b)
		damaged[i*len(damaged)/200] ^= 0x41
		if table, err := Parse(damaged); err == nil {
			table.Of(netip.MustParseAddr("192.0.2.1"))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(list))
	f.Add([]byte("192.0.2.0 192.0.2.9 64500\n::/0 1 DE\n"))
	f.Add(mmdb(f, map[string]mmdbtype.Map{"192.0.2.0/24": {"asn": mmdbtype.Uint32(1)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Parse(b)
		if err != nil {
			return
		}
		for _, a := range []string{"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
			if p := table.Of(netip.MustParseAddr(a)); p.Country != "" && !isCountry(p.Country) {
				t.Errorf("%s lies in country %q", a, p.Country)
			}
		}
	})
}
