package relay

import (
	"net/netip"
	"testing"
)

func TestPortAt(t *testing.T) {
	for name, c := range map[string]struct {
		seen      string
		listening []string
		want      uint16 // 0: it does not listen there
	}{
		"the address itself":            {"8.0.0.1", []string{"0.0.0.0:1", "10.0.0.1:2", "8.0.0.1:3"}, 3},
		"all addresses":                 {"8.0.0.1", []string{"10.0.0.1:2", "[::]:4", "0.0.0.0:1"}, 1},
		"behind a router":               {"8.0.0.1", []string{"[2001:db8::1]:4", "8.0.0.2:3", "10.0.0.1:2"}, 2},
		"another public address":        {"8.0.0.1", []string{"8.0.0.2:3"}, 0},
		"another address of loopback":   {"127.0.0.1", []string{"127.1.0.1:3"}, 0},
		"all addresses of the other":    {"8.0.0.1", []string{"[::]:4"}, 0},
		"IPv6":                          {"2a00::1", []string{"0.0.0.0:1", "[::]:4"}, 4},
		"another public address of six": {"2a00::1", []string{"[2a00::2]:4"}, 0},
	} {
		var listening []netip.AddrPort
		for _, l := range c.listening {
			listening = append(listening, netip.MustParseAddrPort(l))
		}
		if got, ok := portAt(netip.MustParseAddr(c.seen), listening); got != c.want || ok != (c.want != 0) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}
