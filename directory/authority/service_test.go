package authority

import (
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

const oneDay = 24 * time.Hour

// grownNetwork is a network so old that nothing is stretched, and where a day of
// age needs 24 observations, one an hour.
func grownNetwork() *directorytest.Network {
	t := directory.DefaultTiming(epoch)
	t.Start = epoch.Add(-2 * 365 * oneDay)
	return directorytest.NewWith(3, directory.Network{Name: "grown.example", Timing: t})
}

// aged is a consensus of one relay with these dates.
func aged(n *directorytest.Network, at time.Time, d *directory.Descriptor, first time.Time, age int, change ...func(*directory.Relay)) *directory.Consensus {
	r := d.Relay()
	r.Flags, r.Weight = directory.Running|directory.Valid, 1000
	r.FirstListed, r.Age = first, age
	for _, f := range change {
		f(&r)
	}
	c := n.Consensus(0, []directory.Relay{r})
	c.ValidAfter = at
	return c
}

// serve lets a relay that always answers pass that many days of hourly votes.
func serve(t *testing.T, n *directorytest.Network, g *registry, r *directorytest.Relay, now time.Time, days int, lists func(at time.Time) *directory.Consensus) time.Time {
	t.Helper()
	for range 24 * days {
		now = now.Add(time.Hour)
		if now.Sub(r.Descriptor.Published) > 12*time.Hour {
			r.Descriptor.Published = now
			if _, err := upload(t, g, r, now); err != nil {
				t.Fatal(err)
			}
		}
		takeAll(g, now, always)
		g.observe(now, now)
		if lists != nil {
			g.listed(lists(now))
		}
	}
	return now
}

func TestAgeCountsDaysThatARelayWasListedAndUp(t *testing.T) {
	n := grownNetwork()
	now := directory.Day(epoch)
	g, r := testRegistry(n, now), n.NewRelay(1, now)
	if _, err := upload(t, g, r, now); err != nil {
		t.Fatal(err)
	}
	id := r.Descriptor.ID
	age := func() int { return entryOf(t, g, now, now, id).Age }
	now = serve(t, n, g, r, now, 5, nil)
	if e := entryOf(t, g, now, now, id); e.Age != 0 || !e.FirstListed.IsZero() {
		t.Errorf("never listed: %d days, since %v", e.Age, e.FirstListed)
	}
	first := directory.Day(now)
	lists := func(at time.Time) *directory.Consensus { return aged(n, at, &r.Descriptor, first, 0) }
	now = serve(t, n, g, r, now, 10, lists)
	if got := age(); got < 9 || got > 10 {
		t.Errorf("ten days later: %d", got)
	}
	before := age()
	now = serve(t, n, g, r, now, 5, func(at time.Time) *directory.Consensus {
		return aged(n, at, &r.Descriptor, first, 0, func(r *directory.Relay) {
			r.Quarantine = directory.Quarantine{Code: "batch", Until: at.Add(oneDay)}
		})
	})
	if got := age(); got > before+1 {
		t.Errorf("%d days in quarantine: from %d to %d", 5, before, got)
	}
	before = age()
	now = serve(t, n, g, r, now, 5, func(at time.Time) *directory.Consensus {
		c := lists(at)
		c.Relays = nil
		return c
	})
	if got := age(); got > before+1 {
		t.Errorf("left out of the consensus for 5 days: from %d to %d", before, got)
	}
	now = serve(t, n, g, r, now, 2, lists)
	if !g.relays[id].service.FirstListed.Equal(first) {
		t.Errorf("first listed %v, want %v", g.relays[id].service.FirstListed, first)
	}
}

// A relay that is away for so long that its age is lost has a new first day too:
// else those who wait could choose the cohort they belong to.
func TestWhoLosesItsAgeLosesItsDate(t *testing.T) {
	n := grownNetwork()
	now := directory.Day(epoch)
	g, r := testRegistry(n, now), n.NewRelay(1, now)
	if _, err := upload(t, g, r, now); err != nil {
		t.Fatal(err)
	}
	g.listed(aged(n, now, &r.Descriptor, now.AddDate(-1, 0, 0), 200))
	s := &g.relays[r.Descriptor.ID].service
	if s.FirstListed.IsZero() || s.Ageing.Days != 200 {
		t.Fatalf("adopted %+v", s)
	}
	gone := n.Consensus(0, nil)
	gone.ValidAfter = now.Add(time.Minute)
	g.listed(gone)
	for range 62 * 24 {
		now = now.Add(time.Hour)
		g.observe(now, now)
	}
	if s.Ageing.Days != 0 || !s.FirstListed.IsZero() {
		t.Errorf("away for 62 days: %d days, since %v", s.Ageing.Days, s.FirstListed)
	}
}

// An authority without its file adopts dates and ages from the consensus, before
// or after it has heard of the relay.
func TestLostFileMakesNobodyYoung(t *testing.T) {
	n := grownNetwork()
	first := directory.Day(epoch).AddDate(-1, 0, 0)
	for _, before := range []bool{true, false} {
		g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
		c := aged(n, epoch.Add(-time.Hour), &r.Descriptor, first, 300)
		if before {
			g.listed(c)
		}
		if _, err := upload(t, g, r, epoch); err != nil {
			t.Fatal(err)
		}
		if !before {
			if e := entryOf(t, g, epoch, epoch, r.Descriptor.ID); !e.FirstListed.IsZero() || e.Age != 0 {
				t.Errorf("says what it can't know: since %v, %d days", e.FirstListed, e.Age)
			}
			g.listed(c)
		}
		g.observe(epoch, epoch)
		if e := entryOf(t, g, epoch, epoch, r.Descriptor.ID); !e.FirstListed.Equal(first) || e.Age != 300 {
			t.Errorf("consensus known before the relay %v: since %v, %d days", before, e.FirstListed, e.Age)
		}
	}
}

// Once it knows a relay itself it takes no more from the consensus than an older
// date: nobody is made young by one bad consensus.
func TestOwnHistoryStands(t *testing.T) {
	n := grownNetwork()
	now := directory.Day(epoch)
	g, r := testRegistry(n, now), n.NewRelay(1, now)
	if _, err := upload(t, g, r, now); err != nil {
		t.Fatal(err)
	}
	first := now.AddDate(0, 0, -100)
	g.listed(aged(n, now, &r.Descriptor, first, 90))
	for i, tt := range []struct {
		first time.Time
		age   int
	}{{now, 0}, {first, 3000}} {
		g.listed(aged(n, now.Add(time.Duration(i+1)*time.Hour), &r.Descriptor, tt.first, tt.age))
		if e := entryOf(t, g, now, now, r.Descriptor.ID); !e.FirstListed.Equal(first) || e.Age != 90 {
			t.Errorf("consensus says since %v, %d days: voted since %v, %d days", tt.first, tt.age, e.FirstListed, e.Age)
		}
	}
}

func TestDaysAwayAreTakenFromTheOthers(t *testing.T) {
	n, dir := grownNetwork(), t.TempDir()
	now := directory.Day(epoch)
	s, g, r := testStore(t, dir), testRegistry(n, now), n.NewRelay(1, now)
	if _, err := upload(t, g, r, now); err != nil {
		t.Fatal(err)
	}
	first := now.AddDate(0, 0, -100)
	g.listed(aged(n, now, &r.Descriptor, first, 90))
	if err := s.saveRelays(g); err != nil {
		t.Fatal(err)
	}
	for away, want := range map[int]int{1: 90, 20: 110} {
		then := now.AddDate(0, 0, away)
		after := testRegistry(n, then)
		if _, err := s.loadRelays(after, then); err != nil {
			t.Fatal(err)
		}
		after.listed(aged(n, then, &r.Descriptor, first, 110))
		if got := after.relays[r.Descriptor.ID].service.Ageing.Days; got != want {
			t.Errorf("away for %d days: %d days of age, want %d", away, got, want)
		}
	}
}

func TestVouchersAreDatedWhenTheyAreSeen(t *testing.T) {
	n := grownNetwork()
	g, r := testRegistry(n, epoch), n.NewRelay(1, epoch)
	family := keys.GenerateFamily()
	by := directory.FamilyDigest(family.Public())
	r.Descriptor.Voucher = family.Vouch(r.Descriptor.ID, epoch.AddDate(-1, 0, 0), epoch.AddDate(1, 0, 0))
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	later := epoch.Add(3 * oneDay)
	r.Descriptor.Published = later
	if _, err := upload(t, g, r, later); err != nil {
		t.Fatal(err)
	}
	if e := entryOf(t, g, later, later, r.Descriptor.ID); e.Vouch != (directory.Vouch{By: by, Day: directory.Day(epoch)}) {
		t.Errorf("vouched %v", e.Vouch)
	}
	if e := entryOf(t, g, later, epoch.AddDate(1, 0, 0), r.Descriptor.ID); e.Vouch != (directory.Vouch{}) {
		t.Errorf("when it has run out: %v", e.Vouch)
	}
	r.Descriptor.Voucher, r.Descriptor.Published = keys.Certificate{}, later.Add(3*time.Hour)
	if _, err := upload(t, g, r, r.Descriptor.Published); err != nil {
		t.Fatal(err)
	}
	if e := entryOf(t, g, later, later, r.Descriptor.ID); e.Vouch != (directory.Vouch{}) {
		t.Errorf("without a voucher: %v", e.Vouch)
	}
}

func TestPastIsBoundedAndSurvives(t *testing.T) {
	n, dir := grownNetwork(), t.TempDir()
	now := epoch
	s, g, r := testStore(t, dir), testRegistry(n, now), n.NewRelay(1, now)
	id := r.Descriptor.ID
	for i := range 100 {
		now = now.Add(3 * time.Hour)
		d := &r.Descriptor
		d.Published, d.Nickname, d.Uptime = now, "n"+string(rune('a'+i%26)), 0
		if i%2 == 0 {
			d.Circuit = r.Signing.CertifyCircuit(keys.GenerateCircuit().Public(), epoch.AddDate(-1, 0, 0), epoch.AddDate(1, 0, 0))
		}
		if _, err := upload(t, g, r, now); err != nil {
			t.Fatal(err)
		}
		takeAll(g, now, always)
		takeAll(g, now.Add(time.Hour), func(keys.RelayID) bool { return false })
	}
	p := &g.relays[id].past
	if len(p.Had["nickname"]) != maxSpells || len(p.Starts) != maxMoments || len(p.Rotations) != maxMoments || len(p.Runs) != maxRuns {
		t.Errorf("%d names, %d restarts, %d key changes, %d runs", len(p.Had["nickname"]), len(p.Starts), len(p.Rotations), len(p.Runs))
	}
	if last := p.Had["nickname"][maxSpells-1]; last.What != r.Descriptor.Nickname || len(p.Had["platform"]) != 1 {
		t.Errorf("the last of its names is %v, of %d platforms", last, len(p.Had["platform"]))
	}
	for i, run := range p.Runs {
		if run.To.Before(run.From) || i > 0 && run.From.Before(p.Runs[i-1].To) {
			t.Errorf("run %d: %v", i, run)
		}
	}
	if err := s.saveRelays(g); err != nil {
		t.Fatal(err)
	}
	after := testRegistry(n, now)
	if skipped, err := s.loadRelays(after, now); err != nil || skipped != 0 {
		t.Fatalf("%d passed over, %v", skipped, err)
	}
	q := &after.relays[id].past
	if !slices.Equal(q.Starts, p.Starts) || !slices.Equal(q.Rotations, p.Rotations) || len(q.Runs) != len(p.Runs) || len(q.Had) != len(p.Had) {
		t.Errorf("comes back as %+v", q)
	}
	q.Runs = append(q.Runs, q.Runs...)
	if q.plausible() {
		t.Error("twice as many runs are plausible")
	}
}
