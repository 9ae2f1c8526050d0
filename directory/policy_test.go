package directory_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tunic/directory"
)

func TestParseRule(t *testing.T) {
	for in, want := range map[string]string{
		"accept *:*":                    "accept *:*",
		"reject *4:25":                  "reject *4:25",
		"accept *6:80-443":              "accept *6:80-443",
		"accept *:1-65535":              "accept *:*",
		"accept *:80-80":                "accept *:80",
		"accept 192.0.2.1:80":           "accept 192.0.2.1/32:80",
		"accept 192.0.2.77/24:80":       "accept 192.0.2.0/24:80",
		"accept 0.0.0.0/0:80":           "accept *4:80",
		"reject [2001:db8::1]:*":        "reject [2001:db8::1/128]:*",
		"reject [2001:db8:ffff::]:1":    "reject [2001:db8:ffff::/128]:1",
		"reject [2001:db8:ffff::/32]:1": "reject [2001:db8::/32]:1",
		"reject [::/0]:1":               "reject *6:1",
	} {
		r, err := directory.ParseRule(in)
		if err != nil || r.String() != want {
			t.Errorf("ParseRule(%q) = %q, %v; want %q", in, r, err, want)
		}
	}
}

func TestParseRuleRefuses(t *testing.T) {
	for _, in := range []string{
		"", "accept", "accept ", "accept *", "accept *:", "accept :80", "permit *:*", "accept  *:80", "accept *:80 ",
		"accept *:0", "accept *:65536", "accept *:90-80", "accept *:080", "accept *:80-", "accept *:-80", "accept *:+80",
		"accept 192.0.2.1/33:80", "accept 192.0.2:80", "accept 2001:db8::1:80", "accept [192.0.2.1]:80",
		"accept [2001:db8::1:80", "accept [fe80::1%eth0]:80", "accept [::ffff:192.0.2.1]:80", "accept [::ffff:192.0.2.0/120]:80",
		"accept 192.0.2.1/024:80", "Accept *:80", "accept example.org:80", "accept *:*\n",
	} {
		if r, err := directory.ParseRule(in); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("ParseRule(%q) = %q, %v; want ErrMalformed", in, r, err)
		}
	}
}

func TestPolicyHasAtMost128Rules(t *testing.T) {
	lines := strings.Split(strings.Repeat("accept *:80\n", directory.MaxRules), "\n")[:directory.MaxRules]
	if _, err := directory.ParsePolicy(lines); err != nil {
		t.Errorf("%d rules: %v", len(lines), err)
	}
	if _, err := directory.ParsePolicy(append(lines, "accept *:80")); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("%d rules: %v, want ErrMalformed", len(lines)+1, err)
	}
}

func policy(t *testing.T, lines ...string) directory.Policy {
	t.Helper()
	p, err := directory.ParsePolicy(lines)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyFirstMatchDecides(t *testing.T) {
	p := policy(t, "reject *:25", "accept 192.0.2.0/24:*", "reject *4:*", "accept [2001:db8::/32]:80-443")
	for addr, want := range map[string]bool{
		"192.0.2.1:80":            true,
		"192.0.2.1:25":            false,
		"192.0.3.1:80":            false,
		"[::ffff:192.0.2.1]:80":   true, // the same address
		"[2001:db8::1]:80":        true,
		"[2001:db8::1%eth0]:80":   true,
		"[2001:db8::1]:444":       false,
		"[2001:db9::1]:80":        false, // no rule matches
		"192.0.2.1:0":             false,
		"[64:ff9b::192.0.2.1]:80": false,
	} {
		if got := p.Allows(netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("Allows(%s) = %v, want %v", addr, got, want)
		}
	}
	if p.Allows(netip.AddrPort{}) {
		t.Error("the invalid address is allowed")
	}
	if (directory.Policy{}).Allows(netip.MustParseAddrPort("192.0.2.1:80")) {
		t.Error("the zero policy allows something")
	}
}

func TestPolicyRejectsAll(t *testing.T) {
	if !(directory.Policy{}).RejectsAll() || !policy(t, "reject *:*").RejectsAll() {
		t.Error("a policy that accepts nothing does not say so")
	}
	if directory.AcceptAll().RejectsAll() {
		t.Error("accept *:* rejects all")
	}
}

func TestPolicySummary(t *testing.T) {
	for name, tc := range map[string]struct {
		rules  []string
		v4, v6 string
	}{
		"nothing":           {nil, "-", "-"},
		"all":               {[]string{"accept *:*"}, "*", "*"},
		"one family":        {[]string{"accept *4:80"}, "80", "-"},
		"web":               {[]string{"accept *:80", "accept *:443"}, "80,443", "80,443"},
		"joined":            {[]string{"accept *:80-89", "accept *:90", "accept *:91-100"}, "80-100", "80-100"},
		"all but mail":      {[]string{"reject *:25", "accept *:*"}, "1-24,26-65535", "1-24,26-65535"},
		"two /8 less":       {[]string{"reject 20.0.0.0/8:*", "reject 21.0.0.0/8:*", "accept *:*"}, "*", "*"},
		"two /8, one more":  {[]string{"reject 20.0.0.0/7:*", "reject 22.0.0.1:443", "accept *:*"}, "1-442,444-65535", "*"},
		"the same twice":    {[]string{"reject 20.0.0.0/7:*", "reject 20.1.0.0/16:*", "accept *:*"}, "*", "*"},
		"inside, then all":  {[]string{"reject 20.1.0.0/16:*", "reject 20.0.0.0/7:*", "accept *:*"}, "*", "*"},
		"accepted before":   {[]string{"accept 20.0.0.0/8:*", "reject 20.0.0.0/6:*", "accept *:*"}, "-", "*"},
		"accepted most":     {[]string{"accept 20.0.0.0/7:*", "reject 20.0.0.0/6:*", "accept *:*"}, "*", "*"},
		"private":           {[]string{"reject 10.0.0.0/8:*", "reject 127.0.0.0/8:*", "reject 224.0.0.0/3:*", "accept *:*"}, "*", "*"},
		"half of it":        {[]string{"accept 0.0.0.0/1:80", "accept [2000::/4]:80"}, "-", "-"},
		"six, a /10 less":   {[]string{"reject [2400::/10]:*", "accept *:*"}, "*", "*"},
		"six, one /64 more": {[]string{"reject [2400::/10]:*", "reject [2500::/64]:*", "accept *:*"}, "*", "-"},
		"six, hosts do not": {[]string{"reject [2400::/10]:*", "reject [2500::1]:*", "accept *:*"}, "*", "*"},
	} {
		v4, v6 := policy(t, tc.rules...).Summary()
		if v4.String() != tc.v4 || v6.String() != tc.v6 {
			t.Errorf("%s: %v has summaries %q and %q, want %q and %q", name, tc.rules, v4, v6, tc.v4, tc.v6)
		}
	}
}

// The summary against a count of every /16 by the policy itself, for policies
// whose prefixes are no longer than that.
func TestPolicySummaryCountsAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines []string
		for range rapid.IntRange(0, 12).Draw(t, "rules") {
			verb := rapid.SampledFrom([]string{"accept", "reject"}).Draw(t, "verb")
			ip := netip.AddrFrom4([4]byte{rapid.Byte().Draw(t, "a"), rapid.Byte().Draw(t, "b")})
			p, _ := ip.Prefix(rapid.IntRange(1, 16).Draw(t, "bits"))
			lines = append(lines, fmt.Sprintf("%s %v:*", verb, p))
		}
		lines = append(lines, "accept *:*")
		p, err := directory.ParsePolicy(lines)
		if err != nil {
			t.Fatal(err)
		}
		rejected := 0
		for i := range 1 << 16 {
			ip := netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 9, 9}) // no private prefix is longer but two /24s
			if !directory.Private(ip) && !p.Allows(netip.AddrPortFrom(ip, 80)) {
				rejected++
			}
		}
		v4, _ := p.Summary()
		// Inside a /16 that counts as public here lies 192.0.0.0/24, which does not count.
		slack := 0
		if !p.Allows(netip.MustParseAddrPort("192.0.9.9:80")) {
			slack = 256
		}
		if want := rejected<<16-slack <= 1<<25; v4.Allows(80) != want {
			t.Fatalf("%v rejects %d /16s; port allowed is %v, want %v", lines, rejected, v4.Allows(80), want)
		}
	})
}

func TestPortSummary(t *testing.T) {
	s, err := directory.ParsePortSummary("80,443,8000-8100")
	if err != nil {
		t.Fatal(err)
	}
	for port, want := range map[uint16]bool{0: false, 79: false, 80: true, 81: false, 443: true, 7999: false, 8000: true, 8050: true, 8100: true, 8101: false, 65535: false} {
		if s.Allows(port) != want {
			t.Errorf("Allows(%d) = %v, want %v", port, !want, want)
		}
	}
	many := strings.TrimSuffix(strings.Repeat("x,", directory.MaxPortRanges+1), ",")
	for i := 1; strings.Contains(many, "x"); i += 2 {
		many = strings.Replace(many, "x", fmt.Sprint(i), 1)
	}
	for _, bad := range []string{"", ",", "80,", "443,80", "80,80", "80,81", "80-90,85", "0", "65536", "1-65535", "80-80", "*,80", "-,80", " 80", many} {
		if _, err := directory.ParsePortSummary(bad); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("ParsePortSummary(%.20q): %v, want ErrMalformed", bad, err)
		}
	}
}

func TestPrivate(t *testing.T) {
	for addr, want := range map[string]bool{
		"0.0.0.1": true, "10.1.2.3": true, "100.64.0.1": true, "100.128.0.1": false, "127.0.0.1": true, "169.254.1.1": true,
		"172.16.0.1": true, "172.32.0.1": false, "192.0.0.9": true, "192.0.1.1": false, "192.168.1.1": true, "198.18.0.1": true,
		"198.20.0.1": false, "224.0.0.1": true, "239.1.1.1": true, "240.0.0.1": true, "255.255.255.255": true, "9.9.9.9": false,
		"::": true, "::1": true, "::ffff:10.0.0.1": true, "::ffff:9.9.9.9": false, "64:ff9b::9.9.9.9": true, "64:ff9b:1::1": true,
		"2001:0:1::1": true, "2002:a00:1::1": true, "fc00::1": true, "fd12::1": true, "fe80::1%eth0": true, "fec0::1": true,
		"ff02::1": true, "2600::1": false, "2a00::1": false,
	} {
		if got := directory.Private(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Private(%s) = %v, want %v", addr, got, want)
		}
	}
	if !directory.Private(netip.Addr{}) {
		t.Error("the invalid address is public")
	}
	for _, p := range directory.PrivatePrefixes() {
		if p != p.Masked() || !directory.Private(p.Addr()) {
			t.Errorf("%v is not masked or not private", p)
		}
	}
}
