package relay

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

// unstarted makes a relay that never runs.
func unstarted(t *testing.T, config func(*Config)) *Relay {
	t.Helper()
	set, err := keys.LoadOrCreate(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Network: directorytest.New(1).Network, Keys: set, Dir: t.TempDir(),
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Transit: true, Policy: directory.AcceptAll(),
	}
	config(&c)
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// No stream leads to an address that the relay publishes, or is told to.
func TestRelayIsNoDestinationOfItsOwn(t *testing.T) {
	own, seen := netip.MustParseAddrPort("8.8.4.4:9001"), netip.MustParseAddrPort("9.9.9.9:9001")
	r := unstarted(t, func(c *Config) { c.Address = []netip.AddrPort{own} })
	defer r.Close()
	r.publish.mu.Lock()
	r.publish.addrs = []netip.AddrPort{seen}
	r.publish.mu.Unlock()
	for to, want := range map[string]bool{"8.8.4.4:80": false, "8.8.4.4:9001": false, "[::ffff:8.8.4.4]:80": false, "9.9.9.9:80": false, "8.8.8.8:80": true} {
		if got := r.exit.Allows(netip.MustParseAddrPort(to)); got != want {
			t.Errorf("Allows(%s) = %v, want %v", to, got, want)
		}
	}
}

// Answers of the directory to strangers take two thirds of directory_rate, which is a
// quarter of bandwidth_rate unless the operator says more; five seconds of it at once.
func TestDirectoryHasAQuarterOfTheBandwidth(t *testing.T) {
	const answers = 100 // as many as a quarter is enough for
	synctest.Test(t, func(t *testing.T) {
		nw := directorytest.New(1)
		src := new(changing)
		b, _ := nw.Sign(t, nw.Consensus(0, nw.Relays(50)), nil)
		src.b.Store(b)
		quarter := int64(len(mirror.Pack(b.Raw()))) * answers * 3 / 2 / 5
		for name, row := range map[string]struct{ rate, directory, want int64 }{
			"a quarter of the rate":  {4 * quarter, 0, answers},
			"what the operator says": {4 * quarter, 2 * quarter, 2 * answers},
			"without a limit":        {0, 0, 4 * answers},
		} {
			r := unstarted(t, func(c *Config) {
				c.Source, c.BandwidthRate, c.DirectoryRate = src, row.rate, row.directory
			})
			if got := answered(r.mirror, 4*answers); got < row.want*9/10 || got > row.want*11/10 { // with what each costs beside its body
				t.Errorf("%s: %d answers at once, want %d", name, got, row.want)
			}
			r.Close()
		}
	})
}

// answered returns how many of up to n requests for the consensus h answers before it
// says that it is busy.
func answered(h http.Handler, n int64) (got int64) {
	for ; got < n; got++ {
		req := httptest.NewRequest(http.MethodGet, mirror.PathConsensus, nil)
		req.Header.Set("Accept-Encoding", "zstd")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, req); w.Code != http.StatusOK {
			break
		}
	}
	return got
}
