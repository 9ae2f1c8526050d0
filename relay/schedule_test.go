package relay

import (
	"net/netip"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

func TestDue(t *testing.T) {
	same := [32]byte{1}
	hourly := &directory.Consensus{ValidAfter: noon.Add(30 * time.Minute), FreshUntil: noon.Add(90 * time.Minute)}
	quick := &directory.Consensus{ValidAfter: noon.Add(time.Second), FreshUntil: noon.Add(2 * time.Second)}
	before := &directory.Consensus{ValidAfter: noon.Add(-time.Minute), FreshUntil: noon.Add(time.Hour)}
	last := publication{at: noon, content: same, observed: 1_000_000}
	unseen := publication{at: noon, content: same}
	rows := []struct {
		name  string
		last  publication
		s     situation
		after time.Duration // since noon
		due   bool
		again time.Duration // since noon
	}{
		{"never published", publication{}, situation{content: same}, 0, true, 0},
		{"nothing new", last, situation{content: same, observed: 1_000_000}, time.Minute, false, renewAfter},
		{"old", last, situation{content: same, observed: 1_000_000}, renewAfter, true, 0},
		{"changed", last, situation{content: [32]byte{2}, observed: 1_000_000}, time.Second, true, 0},
		{"listed", last, situation{content: same, observed: 1_000_000, consensus: hourly, listed: true}, 40 * time.Minute, false, renewAfter},
		{"not listed yet", last, situation{content: same, observed: 1_000_000, consensus: before}, 40 * time.Minute, false, renewAfter},
		{"not listed, too early", last, situation{content: same, observed: 1_000_000, consensus: hourly}, 40 * time.Minute, false, unlistedRetry},
		{"not listed", last, situation{content: same, observed: 1_000_000, consensus: hourly}, unlistedRetry, true, 0},
		{"not listed in a quick network, too early", last, situation{content: same, observed: 1_000_000, consensus: quick}, 1100 * time.Millisecond, false, 1500 * time.Millisecond},
		{"not listed in a quick network", last, situation{content: same, observed: 1_000_000, consensus: quick}, 1500 * time.Millisecond, true, 0},
		{"a little faster", last, situation{content: same, observed: 2_000_000}, 4 * time.Hour, false, renewAfter},
		{"much faster, too early", last, situation{content: same, observed: 2_000_001}, time.Hour, false, bandwidthRetry},
		{"much faster", last, situation{content: same, observed: 2_000_001}, bandwidthRetry, true, 0},
		{"much slower", last, situation{content: same, observed: 499_999}, bandwidthRetry, true, 0},
		{"much faster, but settled", last, situation{content: same, observed: 9_000_000, uptime: youngRelay}, bandwidthRetry, false, renewAfter},
		{"seen for the first time", unseen, situation{content: same, observed: 300_000}, time.Second, true, 0},
		{"nothing seen any more", last, situation{content: same}, time.Second, true, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			now := noon.Add(row.after)
			why, again := row.last.due(row.s, now)
			if (why != "") != row.due {
				t.Fatalf("due: %q", why)
			}
			if !row.due && !again.Equal(noon.Add(row.again)) {
				t.Errorf("again after %v, want %v", again.Sub(noon), row.again)
			}
		})
	}
}

func TestContentIgnoresWhatChangesByItself(t *testing.T) {
	base := directory.Descriptor{Nickname: "a", Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1")}, Rate: 1, Policy: directory.AcceptAll()}
	same := base
	same.Published, same.Uptime, same.Observed = noon, time.Hour, 5
	if content(&base) != content(&same) {
		t.Error("time, uptime or bandwidth seen count as content")
	}
	changes := map[string]func(*directory.Descriptor){
		"nickname":    func(d *directory.Descriptor) { d.Nickname = "b" },
		"address":     func(d *directory.Descriptor) { d.Addrs = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:2")} },
		"link key":    func(d *directory.Descriptor) { d.Link.Subject[0]++ },
		"circuit key": func(d *directory.Descriptor) { d.Circuit.Subject[0]++ },
		"signing key": func(d *directory.Descriptor) { d.Signing.Subject[0]++ },
		"versions":    func(d *directory.Descriptor) { d.LinkVersions = directory.VersionsOf(2) },
		"platform":    func(d *directory.Descriptor) { d.Platform = "x" },
		"contact":     func(d *directory.Descriptor) { d.Contact = "x" },
		"rate":        func(d *directory.Descriptor) { d.Rate = 2 },
		"burst":       func(d *directory.Descriptor) { d.Burst = 2 },
		"family":      func(d *directory.Descriptor) { d.Families = []keys.Certificate{{}} },
		"policy":      func(d *directory.Descriptor) { d.Policy = directory.Policy{} },
	}
	for name, change := range changes {
		other := base
		change(&other)
		if content(&base) == content(&other) {
			t.Errorf("a changed %s is no news", name)
		}
	}
}

func TestAgreed(t *testing.T) {
	id := func(b byte) keys.RelayID { return keys.RelayID{b} }
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	rows := []struct {
		name string
		seen map[keys.RelayID]netip.Addr
		want netip.Addr
	}{
		{"none", nil, netip.Addr{}},
		{"all agree", map[keys.RelayID]netip.Addr{id(1): a, id(2): a, id(3): a}, a},
		{"one lies", map[keys.RelayID]netip.Addr{id(1): a, id(2): b, id(3): a}, a},
		{"one is down", map[keys.RelayID]netip.Addr{id(1): a, id(3): a}, a},
		{"one answers", map[keys.RelayID]netip.Addr{id(1): a}, netip.Addr{}},
		{"no two agree", map[keys.RelayID]netip.Addr{id(1): a, id(2): b}, netip.Addr{}},
		{"they say nothing", map[keys.RelayID]netip.Addr{id(1): {}, id(2): {}, id(3): {}}, netip.Addr{}},
	}
	for _, row := range rows {
		if got, ok := agreed(row.seen, 2); got != row.want || ok != row.want.IsValid() {
			t.Errorf("%s: %v, %v; want %v", row.name, got, ok, row.want)
		}
	}
}

func TestBackoffGrowsToItsCeiling(t *testing.T) {
	b := backoff{least: 50 * time.Millisecond, most: time.Second}
	seen := map[time.Duration]bool{}
	var longest time.Duration
	for range 200 {
		d := b.next()
		if d < b.least || d > b.most {
			t.Fatalf("delay %v outside of %v to %v", d, b.least, b.most)
		}
		seen[d] = true
		longest = max(longest, d)
	}
	if longest != b.most || len(seen) < 20 {
		t.Errorf("longest %v of %d different delays", longest, len(seen))
	}
}
