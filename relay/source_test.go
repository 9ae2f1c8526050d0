package relay

import (
	"net/netip"
	"testing"
	"time"
)

func TestSourceLimit(t *testing.T) {
	s := newSourceLimit(strangerRate, strangerBurst)
	a := netip.MustParseAddr("192.0.2.1")
	n := 0
	for s.allow(a, noon) {
		n++
	}
	if n != strangerBurst {
		t.Errorf("%d circuits at once, want %d", n, strangerBurst)
	}
	if !s.allow(netip.MustParseAddr("192.0.2.2"), noon) {
		t.Error("another address is refused too")
	}
	if !s.allow(a, noon.Add(time.Second)) {
		t.Error("refused a second later")
	}
	n = 1
	for s.allow(a, noon.Add(time.Second)) {
		n++
	}
	if n != strangerRate {
		t.Errorf("%d circuits a second, want %d", n, strangerRate)
	}
	if s.allow(a, noon) { // a clock that goes back gives nothing
		t.Error("allowed by a clock that went back")
	}
}

func TestOneSubnetIsOneSource(t *testing.T) {
	rows := []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%a", "fe80::2%b", true},
	}
	for _, row := range rows {
		if got := sourceOf(netip.MustParseAddr(row.a)) == sourceOf(netip.MustParseAddr(row.b)); got != row.same {
			t.Errorf("%s and %s are one source: %v", row.a, row.b, got)
		}
	}
	sourceOf(netip.Addr{}) // an address that could not be read is a source as well
}

func TestSourcesAreBounded(t *testing.T) {
	s := newSourceLimit(strangerRate, strangerBurst)
	for i := range maxSources + 100 {
		s.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), noon)
	}
	if n := s.buckets.Len(); n != maxSources {
		t.Errorf("%d sources kept, want %d", n, maxSources)
	}
}
