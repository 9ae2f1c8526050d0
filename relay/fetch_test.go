package relay_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/logtest"
	"tunic/directory"
	"tunic/relay"
)

// A relay whose clock is wrong is published like others, and says once why it has no
// consensus.
func TestConsensusOfAnotherTimeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 1, options{memory: true, period: time.Hour})
		time.Sleep(7 * 24 * time.Hour) // as a clock that is a week ahead
		var said logtest.Journal
		r := nw.add(options{config: func(_ int, c *relay.Config) { c.Log = said.Logger() }}, 1)
		time.Sleep(3 * time.Hour)
		if s := r.Status(); !s.Consensus.IsZero() {
			t.Fatalf("it has the consensus of %v", s.Consensus)
		}
		if n := said.Count("clock right"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// A relay that can't write the consensus to its disk goes on with it, asks nobody else
// for it, and says so.
func TestConsensusThatIsNotSavedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newNet(t, 1, options{memory: true, period: time.Hour})
		var said logtest.Journal
		r := nw.add(options{config: func(_ int, c *relay.Config) {
			c.Log = said.Logger()
			if err := os.MkdirAll(filepath.Join(c.Dir, "consensus", "in the way"), 0o700); err != nil {
				t.Fatal(err)
			}
		}}, 1)
		time.Sleep(3 * time.Hour)
		nw.setConsensus([]directory.Relay{nw.authority.await(t, r.ID(), whatever).Relay()})
		time.Sleep(time.Hour)
		if s := r.Status(); !s.Listed || said.Count("consensus not saved") == 0 {
			t.Errorf("listed %v, said %d times that it is not saved", s.Listed, said.Count("consensus not saved"))
		}
	})
}

// Two processes with the same keys take each other's place in the consensus: the one
// that is not listed says so, once, but not while its descriptor is on its way.
func TestTwinIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := newEmptyNet(t, options{memory: true, period: time.Hour})
		var said logtest.Journal
		r := nw.add(options{config: func(_ int, c *relay.Config) { c.Log = said.Logger() }}, 0)
		d := nw.authority.await(t, r.ID(), whatever)
		list := func(at netip.AddrPort) {
			entry := d.Relay()
			entry.Addrs = []netip.AddrPort{at}
			nw.setConsensus([]directory.Relay{entry})
		}
		other := netip.MustParseAddrPort("10.99.0.1:9001")
		for _, step := range []struct {
			at    netip.AddrPort
			twin  bool
			times int
		}{{other, false, 0}, {d.Addrs[0], false, 0}, {d.Addrs[0], false, 0}, {other, true, 1}, {other, true, 1}, {d.Addrs[0], false, 1}} {
			list(step.at)
			time.Sleep(time.Hour)
			if s, n := r.Status(), said.Count("same keys"); s.Twin != step.twin || n != step.times {
				t.Errorf("listed at %v in the consensus of %v: %v, told %d times", step.at, s.Consensus, s.Twin, n)
			}
		}
	})
}
