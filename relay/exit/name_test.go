package exit

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	rows := []struct {
		host string
		kind hostKind
		addr string
		name string
	}{
		{"192.0.2.1", hostAddress, "192.0.2.1", ""},
		{"2001:db8::1", hostAddress, "2001:db8::1", ""},
		{"[2001:db8::1]", hostAddress, "2001:db8::1", ""},
		{"::ffff:192.0.2.1", hostAddress, "192.0.2.1", ""},
		{"fe80::1%eth0", hostNowhere, "", ""},
		{"localhost", hostLocal, "", "localhost"},
		{"localhost.", hostLocal, "", "localhost"},
		{"a.b.localhost", hostLocal, "", "a.b.localhost"},
		{"notlocalhost", hostName, "", "notlocalhost"},
		{"localhost.example", hostName, "", "localhost.example"},
		{"www.example", hostName, "", "www.example"},
		{"www.example.", hostName, "", "www.example"},
		{"_srv.example", hostName, "", "_srv.example"},
		{"xn--bcher-kva.example", hostName, "", "xn--bcher-kva.example"},
		{"1.2.3.example", hostName, "", "1.2.3.example"},
		{"127.1", hostNowhere, "", ""},
		{"2130706433", hostNowhere, "", ""},
		{"0x7f000001", hostNowhere, "", ""},
		{"0x7f.1", hostNowhere, "", ""},
		{"127.0.0.01", hostNowhere, "", ""},
		{"1.2.3.4.5", hostNowhere, "", ""},
		{"0x", hostNowhere, "", ""},
		{"", hostNowhere, "", ""},
		{".", hostNowhere, "", ""},
		{"a..b", hostNowhere, "", ""},
		{".example", hostNowhere, "", ""},
		{"a b.example", hostNowhere, "", ""},
		{"a\x00.example", hostNowhere, "", ""},
		{`a\.example`, hostNowhere, "", ""},
		{"*.example", hostNowhere, "", ""},
		{"abc.onion", hostNowhere, "", ""},
		{"x.invalid", hostNowhere, "", ""},
		{strings.Repeat("a", 63) + ".example", hostName, "", strings.Repeat("a", 63) + ".example"},
		{strings.Repeat("a", 64) + ".example", hostNowhere, "", ""},
		{strings.Repeat("a.", 126) + "a", hostName, "", strings.Repeat("a.", 126) + "a"},
		{strings.Repeat("a.", 127) + "a", hostNowhere, "", ""},
	}
	for _, row := range rows {
		kind, addr, name := classify(row.host)
		var want netip.Addr
		if row.addr != "" {
			want = netip.MustParseAddr(row.addr)
		}
		if kind != row.kind || addr != want || name != row.name {
			t.Errorf("classify(%q) = %v, %v, %q; want %v, %v, %q", row.host, kind, addr, name, row.kind, want, row.name)
		}
	}
}
