package circuit_test

import (
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link/linktest"
)

// In virtual time nothing takes time but the lines: what is waited for is a whole
// number of round trips. A circuit begun without any link costs two for each link
// (TCP's and the handshake's), and one for each hop and each link on the way to it;
// that is the least that telescoping costs, and so is one through all links for the
// first byte of a stream.
func TestRoundTrips(t *testing.T) {
	const trip = 50 * time.Millisecond // of one link
	synctest.Test(t, func(t *testing.T) {
		slow := linktest.NewSlowMemory(func(netip.Addr, netip.Addr) linktest.Line { return linktest.Line{Delay: trip / 2} })
		nw := newNetworkOn(t, 3, slow.At(netip.MustParseAddr("127.0.0.1")))
		start := time.Now()
		took := func(what string, want time.Duration) {
			t.Helper()
			if got := time.Since(start); got != want*trip {
				t.Errorf("%s took %.2f round trips of a link, want %d", what, float64(got)/float64(trip), want)
			}
			start = time.Now()
		}
		cl := newClient(nw)
		cl.build(3)
		took("a circuit without links", (2+1)+(1+2+1)+(1+1+2+1))
		c := cl.build(3)
		took("a circuit over links that are there", 1+2+3)

		s, err := c.BeginWith(t.Context(), "echo", 7, 0, []byte("ping"))
		if err != nil {
			t.Fatal(err)
		}
		took("BeginWith", 0)
		got := make([]byte, 4)
		if _, err := io.ReadFull(s, got); err != nil || string(got) != "ping" {
			t.Fatalf("read %q, %v", got, err)
		}
		took("the first byte of a stream with early data", 3)
		if _, err := c.Dial(t.Context(), "echo", 7, 0); err != nil {
			t.Fatal(err)
		}
		took("Dial", 3)
	})
}
