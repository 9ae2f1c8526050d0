package authority

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func testRegistry(n *directorytest.Network, now time.Time) *registry {
	return newRegistry(n.Network, now, rand.New(rand.NewPCG(1, 2)))
}

// upload signs the relay's descriptor and hands it to the registry.
func upload(tb testing.TB, g *registry, r *directorytest.Relay, now time.Time) (verdict, error) {
	tb.Helper()
	raw := r.Sign(tb)
	d, err := directory.ParseDescriptor(raw, g.network, now)
	if err != nil {
		tb.Fatal(err)
	}
	return g.admit(d, raw, now)
}

// takeAll tests all relays that are due; ok says which answer.
func takeAll(g *registry, now time.Time, ok func(keys.RelayID) bool) (tested []keys.RelayID) {
	for {
		p, _ := g.take(now, nil)
		if p == nil {
			return tested
		}
		tested = append(tested, p.id)
		g.tested(p.id, ok(p.id), now)
	}
}

func always(keys.RelayID) bool { return true }

func TestRelayIsTestedWhenItsDescriptorArrivesAndAgain(t *testing.T) {
	n := directorytest.New(1)
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	if got := takeAll(g, epoch, always); len(got) != 1 {
		t.Fatalf("%d tests on arrival", len(got))
	}
	var times []time.Duration
	for now := epoch; now.Before(epoch.Add(2 * time.Hour)); now = now.Add(time.Second) {
		for range takeAll(g, now, always) {
			times = append(times, now.Sub(epoch))
		}
	}
	if len(times) < 4 || len(times) > 7 {
		t.Fatalf("%d tests in two hours: %v", len(times), times)
	}
	for i, last := range times[1:] {
		if gap := last - times[i]; gap < 17*time.Minute || gap > 23*time.Minute {
			t.Errorf("tests %v apart", gap)
		}
	}
}

func TestEntriesSayWhatWasSeen(t *testing.T) {
	n := directorytest.New(1)
	g := testRegistry(n, epoch)
	var ids []keys.RelayID
	for i := range 3 {
		r := n.NewRelay(i, epoch)
		if _, err := upload(t, g, r, epoch); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.Descriptor.ID)
	}
	at := n.Round(0).ValidAfter
	if e := entryOf(t, g, epoch, at, ids[0]); e.Flags.Has(directory.Running) || !e.Unknown.Has(directory.Running) || e.Weight != 500 {
		t.Errorf("before the first test: %v, unknown %v, weight %d", e.Flags, e.Unknown, e.Weight)
	}
	takeAll(g, epoch, func(id keys.RelayID) bool { return id != ids[1] })
	if e := entryOf(t, g, epoch, at, ids[0]); !e.Flags.Has(directory.Running|directory.Guard|directory.Stable|directory.Fast) || e.Unknown != 0 {
		t.Errorf("after one success: %v, unknown %v", e.Flags, e.Unknown)
	}
	if e := entryOf(t, g, epoch, at, ids[1]); e.Flags.Has(directory.Running) || !e.Unknown.Has(directory.Running) {
		t.Errorf("not reached by a young authority: %v, unknown %v", e.Flags, e.Unknown)
	}
	later := epoch.Add(time.Hour)
	for now := epoch; now.Before(later); now = now.Add(10 * time.Second) {
		takeAll(g, now, func(id keys.RelayID) bool { return id == ids[0] })
	}
	if e := entryOf(t, g, later, at, ids[1]); e.Flags.Has(directory.Running) || e.Unknown != 0 {
		t.Errorf("never reached in an hour: %v, unknown %v", e.Flags, e.Unknown)
	}
	if e := entryOf(t, g, later, at, ids[2]); e.Flags.Has(directory.Running) {
		t.Errorf("gone for an hour: %v", e.Flags)
	}
	if e := entryOf(t, g, later, at, ids[0]); !e.Flags.Has(directory.Running) {
		t.Errorf("always there: %v", e.Flags)
	}
	if got := g.entries(epoch.Add(directory.DescriptorLife+1), at); len(got) != 0 {
		t.Errorf("%d entries with descriptors that have expired", len(got))
	}
}

func entryOf(tb testing.TB, g *registry, now, validAfter time.Time, id keys.RelayID) *directory.VoteEntry {
	tb.Helper()
	entries := g.entries(now, validAfter)
	if !slices.IsSortedFunc(entries, func(a, b directory.VoteEntry) int { return directory.CompareID(a.ID, b.ID) }) {
		tb.Fatal("entries are not in order")
	}
	i := slices.IndexFunc(entries, func(e directory.VoteEntry) bool { return e.ID == id })
	if i < 0 {
		tb.Fatal("relay is not in the vote")
	}
	return &entries[i]
}

func TestDescriptorsThatAreRefused(t *testing.T) {
	n := directorytest.New(2)
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	if v, err := upload(t, g, r, epoch); err != nil || !v.known {
		t.Errorf("the same again: %+v, %v", v, err)
	}
	r.Descriptor.Published = epoch.Add(-time.Minute)
	if _, err := upload(t, g, r, epoch); !errors.Is(err, errOlder) {
		t.Errorf("older than the one held: %v", err)
	}
	r.Descriptor.Published = epoch.Add(time.Minute)
	if v, err := upload(t, g, r, epoch.Add(time.Minute)); err != nil || !v.known {
		t.Errorf("nothing new after a minute: %+v, %v", v, err)
	}
	r.Descriptor.Observed = 700_000
	if v, err := upload(t, g, r, epoch.Add(time.Minute)); err != nil || v.known {
		t.Errorf("another bandwidth after a minute: %+v, %v", v, err)
	}
	r = n.NewRelay(2, epoch)
	r.Descriptor.Addrs = n.Authorities[1].Addrs
	if _, err := upload(t, g, r, epoch); !errors.Is(err, errAuthority) {
		t.Errorf("at an authority's address: %v", err)
	}
}

// What an operator changes is taken at once, whatever it means for the consensus: the
// relay publishes it once, and holds it for published.
func TestWhatOperatorsChangeIsTakenAtOnce(t *testing.T) {
	n := directorytest.New(1)
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	r.Descriptor.Policy = directory.AcceptAll()
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	now := epoch
	for what, change := range map[string]func(d *directory.Descriptor){
		"nickname": func(d *directory.Descriptor) { d.Nickname = "other" },
		"contact":  func(d *directory.Descriptor) { d.Contact = "someone" },
		"voucher": func(d *directory.Descriptor) {
			d.Voucher = keys.GenerateFamily().Vouch(d.ID, epoch.AddDate(0, 0, -1), epoch.AddDate(0, 6, 0))
		},
		"a rule that no summary shows": func(d *directory.Descriptor) {
			one, err := directory.ParsePolicy([]string{"reject 9.9.9.9:80", "accept *:*"})
			if err != nil {
				t.Fatal(err)
			}
			d.Policy = one
		},
	} {
		now = now.Add(time.Minute)
		r.Descriptor.Published = now
		change(&r.Descriptor)
		if v, err := upload(t, g, r, now); err != nil || v.known {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
	}
}

func TestNewAddressHasToBeReachedAgain(t *testing.T) {
	n := directorytest.New(1)
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	id, at := r.Descriptor.ID, n.Round(0).ValidAfter
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	takeAll(g, epoch, always)
	r.Descriptor.Published = epoch.Add(time.Minute)
	r.Descriptor.Addrs = []netip.AddrPort{netip.MustParseAddrPort("99.1.1.1:1")}
	now := epoch.Add(time.Minute)
	if _, err := upload(t, g, r, now); err != nil {
		t.Fatal(err)
	}
	if e := entryOf(t, g, now, at, id); e.Flags.Has(directory.Running) {
		t.Error("Running at an address where nobody looked")
	}
	if got := takeAll(g, now, always); len(got) != 1 {
		t.Errorf("%d tests of the new address", len(got))
	}
	if e := entryOf(t, g, now, at, id); !e.Flags.Has(directory.Running) {
		t.Error("reached there, not Running")
	}
}

func TestResultAboutTheOldAddressSaysNothing(t *testing.T) {
	n := directorytest.New(1)
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	p, _ := g.take(epoch, nil)
	r.Descriptor.Published = epoch.Add(time.Minute)
	r.Descriptor.Addrs = []netip.AddrPort{netip.MustParseAddrPort("99.1.1.1:1")} // someone else's
	now := epoch.Add(time.Minute)
	if _, err := upload(t, g, r, now); err != nil {
		t.Fatal(err)
	}
	g.tested(p.id, true, now)
	if e := entryOf(t, g, now, n.Round(0).ValidAfter, p.id); e.Flags.Has(directory.Running) {
		t.Error("Running by a test of the address before")
	}
	if p, _ := g.take(now, nil); p == nil || p.addrs[0] != r.Descriptor.Addrs[0] {
		t.Error("the new address is not tested")
	}
}

func TestUnknownRelaysComeAtABoundedRate(t *testing.T) {
	n := directorytest.New(1)
	g := testRegistry(n, epoch)
	g.tokens = 2
	for i, want := range []error{nil, nil, errTooFast} {
		if _, err := upload(t, g, n.NewRelay(i, epoch), epoch); !errors.Is(err, want) {
			t.Errorf("relay %d: %v, want %v", i, err, want)
		}
	}
	if _, err := upload(t, g, n.NewRelay(9, epoch), epoch.Add(time.Second/newRate)); err != nil {
		t.Errorf("a moment later: %v", err)
	}
}

func TestInventedRelaysKeepNoRealOneOut(t *testing.T) {
	n := directorytest.New(1)
	g := testRegistry(n, epoch)
	g.limit = 2
	real, invented, late := n.NewRelay(1, epoch), n.NewRelay(2, epoch), n.NewRelay(3, epoch)
	for _, r := range []*directorytest.Relay{real, invented} {
		if _, err := upload(t, g, r, epoch); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := upload(t, g, late, epoch); !errors.Is(err, errFull) {
		t.Errorf("before the tests: %v", err)
	}
	takeAll(g, epoch, func(id keys.RelayID) bool { return id == real.Descriptor.ID })
	if _, err := upload(t, g, late, epoch); err != nil {
		t.Errorf("with one that is not reached: %v", err)
	}
	if g.relays[invented.Descriptor.ID] != nil || g.relays[real.Descriptor.ID] == nil || len(g.queue) != 2 {
		t.Error("the wrong one was forgotten")
	}
	takeAll(g, epoch, always)
	if _, err := upload(t, g, invented, epoch); !errors.Is(err, errFull) {
		t.Errorf("with real ones alone: %v", err)
	}
}

func TestRelayLongGoneIsForgotten(t *testing.T) {
	n := directorytest.New(1)
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	takeAll(g, epoch, always)
	now := epoch.Add(20 * time.Hour)
	g.forget(now)
	if g.descriptor(r.Descriptor.ID) != nil || len(g.queue) != 0 || len(g.relays) != 1 {
		t.Errorf("after 20 hours: %d relays, %d tests planned", len(g.relays), len(g.queue))
	}
	g.forget(epoch.Add(forgetAfter + time.Hour))
	if len(g.relays) != 0 || g.dirty[r.Descriptor.ID] != changedGone {
		t.Errorf("after 90 days: %d relays", len(g.relays))
	}
}

func TestIPv6IsTestedOnlyByAuthoritiesThatHaveIt(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("5.6.7.8:9"), netip.MustParseAddrPort("[2600::1]:9")
	d := &directory.Descriptor{Addrs: []netip.AddrPort{v4, v6}}
	if got := addrsToTest(d, []netip.AddrPort{v4}); !slices.Equal(got, []netip.AddrPort{v4}) {
		t.Errorf("without IPv6: %v", got)
	}
	if got := addrsToTest(d, []netip.AddrPort{v4, v6}); !slices.Equal(got, d.Addrs) {
		t.Errorf("with IPv6: %v", got)
	}
}

func TestFirstListedIsTheConsensusWord(t *testing.T) {
	n := directorytest.New(1)
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	at := n.Round(30).ValidAfter // the next day
	id := r.Descriptor.ID
	if e := entryOf(t, g, epoch, at, id); !e.FirstListed.IsZero() {
		t.Errorf("new relay listed since %v", e.FirstListed)
	}
	listed := r.Descriptor.Relay()
	listed.FirstListed = directory.Day(epoch)
	g.listed(n.Consensus(0, []directory.Relay{listed}))
	if e := entryOf(t, g, epoch, at, id); !e.FirstListed.Equal(directory.Day(epoch)) {
		t.Errorf("listed since %v, the consensus says %v", e.FirstListed, directory.Day(epoch))
	}
}
