package link_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"tunic/cell/link"
)

// One port serves all addresses of both families, which a relay names one after the
// other, in either order.
func TestListenOnBothFamilies(t *testing.T) {
	if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skipf("no IPv6: %v", err)
	} else {
		ln.Close()
	}
	for _, order := range [][]string{{"0.0.0.0", "[::]"}, {"[::]", "0.0.0.0"}} {
		port := uint16(0) // any, then the same
		for _, host := range order {
			ln, err := link.TCP{}.Listen(netip.MustParseAddrPort(fmt.Sprintf("%s:%d", host, port)))
			if err != nil {
				t.Fatalf("%v: %v", order, err)
			}
			defer ln.Close()
			port = ln.Addr().(*net.TCPAddr).AddrPort().Port()
		}
	}
}
