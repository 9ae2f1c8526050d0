package client

import (
	"errors"
	"strings"
	"testing"

	"tunic/cell"
	"tunic/client/path"
)

func TestHostsAreChecked(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct {
		host    string
		want    string // "" refused
		private string // in a network with private addresses; "" refused, "=" as want
		code    Code
		err     error
	}{
		{"Example.COM", "example.com", "=", 0, nil},
		{"example.com.", "example.com", "=", 0, nil},
		{"a_b.example", "a_b.example", "=", 0, nil},
		{"8.8.8.8", "8.8.8.8", "=", 0, nil},
		{"::ffff:8.8.8.8", "8.8.8.8", "=", 0, nil},
		{"2606:4700::1111", "2606:4700::1111", "=", 0, nil},
		{"[2606:4700::1111]", "2606:4700::1111", "=", 0, nil},
		{"2606:4700:0:0:0:0:0:1111", "2606:4700::1111", "=", 0, nil},
		{"127.0.0.1", "", "127.0.0.1", NotAllowed, ErrPrivate},
		{"10.1.2.3", "", "10.1.2.3", NotAllowed, ErrPrivate},
		{"::1", "", "::1", NotAllowed, ErrPrivate},
		{"::ffff:127.0.0.1", "", "127.0.0.1", NotAllowed, ErrPrivate},
		{"169.254.169.254", "", "169.254.169.254", NotAllowed, ErrPrivate},
		{"0.0.0.0", "", "0.0.0.0", NotAllowed, ErrPrivate},
		{"localhost", "", "localhost", NotAllowed, ErrPrivate},
		{"x.localhost", "", "x.localhost", NotAllowed, ErrPrivate},
		{"printer.local", "", "printer.local", NotAllowed, ErrPrivate},
		{"abc.onion", "", "", HostUnreachable, ErrNoName},
		{"ABC.ONION.", "", "", HostUnreachable, ErrNoName},
		{"a.invalid", "", "", HostUnreachable, ErrNoName},
		{"a.alt", "", "", HostUnreachable, ErrNoName},
		{"", "", "", NotAllowed, ErrBadHost},
		{".", "", "", NotAllowed, ErrBadHost},
		{"a..b", "", "", NotAllowed, ErrBadHost},
		{".a", "", "", NotAllowed, ErrBadHost},
		{"127.1", "", "", NotAllowed, ErrBadHost},
		{"2130706433", "", "", NotAllowed, ErrBadHost},
		{"0x7f000001", "", "", NotAllowed, ErrBadHost},
		{"1.2.3.4.5", "", "", NotAllowed, ErrBadHost},
		{"example.0x", "", "", NotAllowed, ErrBadHost},
		{"fe80::1%eth0", "", "", NotAllowed, ErrBadHost},
		{"[8.8.8.8]", "", "", NotAllowed, ErrBadHost},
		{"[example.com]", "", "", NotAllowed, ErrBadHost},
		{"exa mple.com", "", "", NotAllowed, ErrBadHost},
		{"exam\x00ple.com", "", "", NotAllowed, ErrBadHost},
		{"example.com/x", "", "", NotAllowed, ErrBadHost},
		{"user@example.com", "", "", NotAllowed, ErrBadHost},
		{"exämple.com", "", "", NotAllowed, ErrBadHost},
		{long + ".com", long + ".com", "=", 0, nil},
		{long + "a.com", "", "", NotAllowed, ErrBadHost},
		{strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 126) + "a", "=", 0, nil},
		{strings.Repeat("a.", 126) + "aa", "", "", NotAllowed, ErrBadHost},
	} {
		if test.private == "=" {
			test.private = test.want
		}
		for _, private := range []bool{false, true} {
			want := test.want
			if private {
				want = test.private
			}
			got, err := checkHost(test.host, private)
			if want != "" {
				if got != want || err != nil {
					t.Errorf("checkHost(%q, %v) = %q, %v, want %q", test.host, private, got, err, want)
				}
				if _, err := (cell.BeginRequest{Host: got, Port: 1}).AppendBinary(nil); err != nil {
					t.Errorf("BEGIN does not carry %q: %v", got, err)
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || e.Code != test.code || !errors.Is(err, test.err) {
				t.Fatalf("checkHost(%q, %v) = %q, %v, want %v: %v", test.host, private, got, err, test.code, test.err)
			}
			if len(test.host) > 2 && strings.Contains(err.Error(), test.host) {
				t.Errorf("the error shows the host: %v", err)
			}
		}
	}
}

func TestNeedsFollowTheDestination(t *testing.T) {
	for _, test := range []struct {
		r    Request
		want path.Family
	}{
		{Request{Host: "example.com", Port: 80}, path.Either},
		{Request{Host: "example.com", Port: 80, Flags: cell.BeginPreferIPv6}, path.Either},
		{Request{Host: "example.com", Port: 80, Flags: cell.BeginNoIPv6}, path.IPv4},
		{Request{Host: "example.com", Port: 80, Flags: cell.BeginNoIPv4}, path.IPv6},
		{Request{Host: "8.8.8.8", Port: 80}, path.IPv4},
		{Request{Host: "2606:4700::1111", Port: 80}, path.IPv6},
	} {
		x, err := checkTarget(test.r, false)
		if err != nil {
			t.Fatal(err)
		}
		if n := x.need(); n.Family != test.want || n.Port != 80 {
			t.Errorf("%v needs %v", test.r, n)
		}
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	if _, err := checkTarget(Request{Host: "example.com"}, true); !errors.Is(err, ErrBadPort) {
		t.Errorf("port 0: %v", err)
	}
	for _, port := range []string{"http", "65536", "", "-1"} {
		if _, err := parseAddress("tcp", "example.com:"+port); !errors.Is(err, ErrBadPort) {
			t.Errorf("port %q: %v", port, err)
		}
	}
	for _, r := range []Request{
		{Host: "example.com", Port: 80, Flags: cell.BeginNoIPv4 | cell.BeginNoIPv6},
		{Host: "example.com", Port: 80, Flags: 128},
	} {
		if _, err := checkTarget(r, true); !errors.Is(err, ErrBadHost) {
			t.Errorf("%v: %v", r, err)
		}
	}
	for _, a := range [][2]string{{"udp", "example.com:80"}, {"tcp", "example.com"}, {"tcp", "example.com:http"}, {"tcp", "example.com:65536"}} {
		_, err := parseAddress(a[0], a[1])
		var e *Error
		if !errors.As(err, &e) || strings.Contains(err.Error(), "example") {
			t.Errorf("%v: %v", a, err)
		}
	}
	if r, err := parseAddress("tcp6", "[2606:4700::1111]:443"); err != nil || r.Flags != cell.BeginNoIPv4 || r.Port != 443 || r.Host != "2606:4700::1111" {
		t.Errorf("tcp6: %v, %v", r, err)
	}
}

// What cannot be asked is the caller's mistake, for which no circuit has to end.
func TestLookupsAreChecked(t *testing.T) {
	for _, test := range []struct {
		in   cell.ResolveRequest
		want string // "" if it is refused
	}{
		{cell.ResolveRequest{Host: "Example.com."}, "example.com"},
		{cell.ResolveRequest{Host: "[::1]"}, "::1"},
		{cell.ResolveRequest{Host: "[::1]", Reverse: true}, "::1"},
		{cell.ResolveRequest{Host: "::ffff:1.2.3.4", Reverse: true}, "1.2.3.4"},
		{cell.ResolveRequest{Host: "example.com", Reverse: true}, ""},
		{cell.ResolveRequest{Host: "4.3.2.1.in-addr.arpa", Reverse: true}, ""},
	} {
		got, err := checkResolve(test.in, true)
		switch {
		case test.want == "" && !errors.Is(err, ErrBadHost):
			t.Errorf("%v: %v, %v", test.in, got, err)
		case test.want != "" && (err != nil || got.Host != test.want || got.Reverse != test.in.Reverse):
			t.Errorf("%v: %v, %v, want %q", test.in, got, err, test.want)
		case err == nil:
			if _, err := got.AppendBinary(nil); err != nil {
				t.Errorf("%v: RESOLVE does not carry %v: %v", test.in, got, err)
			}
		}
	}
}

func FuzzCheckHost(f *testing.F) {
	for _, s := range []string{"example.com", "127.0.0.1", "[::1]", "::ffff:1.2.3.4", "0x7f.1", "a.onion."} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, host string, private bool) {
		got, err := checkHost(host, private)
		if err != nil {
			return
		}
		if again, err := checkHost(got, private); again != got || err != nil {
			t.Fatalf("checkHost(%q) = %q, of that %q, %v", host, got, again, err)
		}
		if _, err := (cell.BeginRequest{Host: got, Port: 1}).AppendBinary(nil); err != nil {
			t.Fatalf("checkHost(%q) = %q, which BEGIN does not carry: %v", host, got, err)
		}
	})
}
