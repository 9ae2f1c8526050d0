package detect_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/admission/detect"
	"tunic/directory/rules"
)

// standing is a network of 600 relays that is years old.
func standing(now time.Time) []detect.Subject {
	list := generated(600, now.AddDate(-1, 0, 0), rand.New(rand.NewPCG(8, 9)))
	for i := range list {
		list[i].Contact = fmt.Sprint("operator ", i)
	}
	return list
}

// siblings returns relays of one hand in as many places; nothing about their
// arrival says so.
func siblings(name string, n int, seen time.Time) []detect.Subject {
	var list []detect.Subject
	for i := range n {
		s := plain(fmt.Sprint(name, i), fmt.Sprintf("99.%d.%d.7", i, 3*i), seen.AddDate(0, 0, -11*i))
		s.Contact, s.Policy, s.Port, s.Rate = name+" at example", "accept "+name, uint16(20_000+len(name)), 123_456
		list = append(list, s)
	}
	return list
}

func one(t *testing.T, groups []detect.Group, size int) detect.Group {
	t.Helper()
	if len(groups) != 1 || len(groups[0].Members) != size || len(groups[0].Joined) != size {
		t.Fatalf("got %+v, want one group of %d", groups, size)
	}
	return groups[0]
}

func TestGroupKeepsItsIDAndGrows(t *testing.T) {
	all := append(standing(start), siblings("lurker", 9, start)...)
	d := detect.New(detect.Config{})
	before := one(t, d.Run(all[:len(all)-3], start, defaults()), 6)
	if before.Code != detect.Cluster || !before.Since.Equal(start) {
		t.Errorf("group %+v", before)
	}
	later := start.AddDate(0, 0, 5)
	after := one(t, d.Run(all, later, defaults()), 9)
	if after.ID != before.ID || !after.Since.Equal(start) {
		t.Errorf("the group became %+v", after)
	}
	for i, id := range after.Members {
		want := later
		if slices.Contains(before.Members, id) {
			want = start
		}
		if !after.Joined[i].Equal(want) {
			t.Errorf("member %d joined at %v, want %v", i, after.Joined[i], want)
		}
	}
	// Its first member leaves, and comes back within the time of memory.
	gone := slices.DeleteFunc(slices.Clone(all), func(s detect.Subject) bool { return s.ID == after.Members[0] })
	if g := one(t, d.Run(gone, later.AddDate(0, 0, 60), defaults()), 8); g.ID != before.ID {
		t.Errorf("the id became %v", g.ID)
	}
	one(t, d.Run(all, later.AddDate(0, 0, 61), defaults()), 9)
	d.Run(nil, later.AddDate(1, 0, 0), defaults())
	if state, _ := d.Save(); len(state) > 200_000 {
		t.Errorf("%d bytes of state when all are gone", len(state))
	}
}

// Who comes in parts that grow gets no cap for each.
func TestGrowingPartsAreOneGroup(t *testing.T) {
	all := append(standing(start), siblings("lurker", 14, start)...)
	for i := range all[600:] {
		for k := range int64(4) {
			all[600+i].Starts = append(all[600+i].Starts, start.Unix()/60-10_000*(4-k))
		}
	}
	d := detect.New(detect.Config{})
	first := one(t, d.Run(all[:605], start, defaults()), 5)
	if g := one(t, d.Run(all, start.AddDate(0, 0, 1), defaults()), 14); g.ID != first.ID {
		t.Errorf("with 14 members its id is %v, not %v", g.ID, first.ID)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	all := slices.Concat(standing(start), siblings("lurker", 9, start), crowd(20, start.Add(-5*time.Hour)))
	var states [2]string
	var groups [2][]detect.Group
	for k := range states {
		rng := rand.New(rand.NewPCG(uint64(k), 1))
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		d := detect.New(detect.Config{})
		d.Run(all[:len(all)/2], start.Add(-time.Hour), defaults())
		d = detect.New(detect.Config{})
		groups[k] = d.Run(all, start, defaults())
		b, err := d.Save()
		if err != nil {
			t.Fatal(err)
		}
		states[k] = string(b)
	}
	if states[0] != states[1] || !reflect.DeepEqual(groups[0], groups[1]) {
		t.Errorf("%+v\n%+v", groups[0], groups[1])
	}
	if len(groups[0]) < 2 {
		t.Errorf("%d groups, want the siblings and the crowd", len(groups[0]))
	}
}

func TestRestartChangesNothing(t *testing.T) {
	all := slices.Concat(standing(start), siblings("lurker", 9, start), crowd(20, start.Add(-5*time.Hour)))
	d := detect.New(detect.Config{})
	d.Run(all, start, defaults())
	state, err := d.Save()
	if err != nil {
		t.Fatal(err)
	}
	e, err := detect.Load(detect.Config{}, state)
	if err != nil {
		t.Fatal(err)
	}
	later := start.Add(7 * time.Hour)
	if a, b := d.Run(all, later, defaults()), e.Run(all, later, defaults()); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestIncumbentIsNotFramed(t *testing.T) {
	all := append(standing(start), siblings("lurker", 8, start)...)
	victim := &all[len(all)-1]
	victim.Seen = start.AddDate(-2, 0, 0)
	g := one(t, detect.New(detect.Config{}).Run(all, start, defaults()), 7)
	if slices.Contains(g.Members, victim.ID) {
		t.Error("a relay two years older is a member")
	}
}

func TestProvedFamilyIsNoFinding(t *testing.T) {
	family := directory.Digest{1}
	all := append(standing(start), siblings("honest", 12, start)...)
	for i := range 12 {
		all[len(all)-1-i].Family = []directory.Digest{family}
	}
	if groups := detect.New(detect.Config{}).Run(all, start, defaults()); len(groups) != 0 {
		t.Errorf("a family that says so: %+v", groups)
	}
	// One more that imitates it does not make the family a suspect.
	all[len(all)-1].Family = nil
	if groups := detect.New(detect.Config{}).Run(all, start, defaults()); len(groups) != 0 {
		t.Errorf("a family and its imitator: %+v", groups)
	}
}

func TestFamilyArrivesAsOne(t *testing.T) {
	run := func(family bool) []detect.Group {
		all := standing(start)
		for i := range 30 {
			s := plain(fmt.Sprint("new", i), fmt.Sprintf("%d.%d.1.2", 30+i, i), start.Add(-2*time.Hour))
			s.Nickname = fmt.Sprintf("%c%c", 'a'+i%26, 'A'+i/26)
			if family {
				s.Family = []directory.Digest{{2}}
			}
			all = append(all, s)
		}
		return detect.New(detect.Config{}).Run(all, start, defaults())
	}
	if groups := run(true); len(groups) != 0 {
		t.Errorf("a proved family of 30: %+v", groups)
	}
	g := one(t, run(false), 30)
	if g.Code != detect.Batch || g.Window != time.Hour {
		t.Errorf("30 strangers within the hour: %+v", g)
	}
}

// An authority that lost its file knows days from the consensus; it must not
// take each day's newcomers for one hour's.
func TestDaysAloneAreNoBatch(t *testing.T) {
	all := standing(start)
	for day := range 150 {
		for i := range 9 {
			s := plain(fmt.Sprint("day", day, " ", i), fmt.Sprintf("%d.%d.1.2", 30+5*i, day), start.Truncate(24*time.Hour).AddDate(0, 0, -day))
			s.DayOnly = true
			all = append(all, s)
		}
	}
	if groups := detect.New(detect.Config{}).Run(all, start, defaults()); len(groups) != 0 {
		t.Errorf("%d groups, the first %+v", len(groups), groups[0])
	}
}

// Restarts in the same minutes, again and again, betray relays that share
// nothing else.
func TestRestartsTogether(t *testing.T) {
	all := standing(start)
	rng := rand.New(rand.NewPCG(4, 4))
	first := start.Unix()/60 - 20_000
	for i := range all {
		all[i].Starts = []int64{first + rng.Int64N(20_000), first + rng.Int64N(20_000)}
	}
	for i := range 7 {
		all[i*50].Seen = start.AddDate(-1, 0, -10*i)
		all[i*50].Starts = []int64{first + 500 + int64(i%2), first + 9000, first + 12_345, first + 15_500 - int64(i%2)}
	}
	g := one(t, detect.New(detect.Config{}).Run(all, start, defaults()), 7)
	for i := range 7 {
		if !slices.Contains(g.Members, all[i*50].ID) {
			t.Errorf("number %d is not among them", i)
		}
	}
}

// Where the network file lets relays share subnets, as in a network on one
// machine, addresses are no evidence.
func TestSharedSubnets(t *testing.T) {
	all := slices.Concat(founders(), crowd(20, start))
	d := detect.New(detect.Config{Usable: start.Add(time.Minute), SharedSubnets: true})
	if groups := d.Run(all, start.Add(time.Hour), defaults()); len(groups) != 0 {
		t.Errorf("%+v", groups)
	}
}

// A crowd at scattered places of one /24 is one as well, and other founders may
// be many.
func TestCrowdAtScatteredPlaces(t *testing.T) {
	all := founders()
	for i := range 20 {
		s := plain(fmt.Sprint("guest", i), "50.60.70.1", start)
		s.Addrs[0] = netip.AddrFrom4([4]byte{50, 60, 70, byte(11*i + 37*(i%3))})
		s.Nickname = fmt.Sprintf("%c", 'A'+i)
		all = append(all, s)
	}
	for _, relaxed := range [][]string{nil, {rules.Small, rules.Test, rules.Young}} {
		d := detect.New(detect.Config{Usable: start.Add(time.Minute)})
		one(t, d.Run(all, start.Add(time.Second), rules.Of(nil, relaxed, 0, 0)), 20)
	}
}

// Of a batch's hour those who look like nobody else in it are let off.
func TestStrangersInTheHourAreLetOff(t *testing.T) {
	all := standing(start)
	var batch, strangers []detect.Subject
	for i := range 20 {
		s := plain(fmt.Sprintf("%c%c", 'a'+i, 'z'-i), fmt.Sprintf("77.%d.%d.9", 7+i%2, 10*i), start.Add(-90*time.Minute))
		s.Version, s.Port, s.Policy = "tunic 1.3", 443, "accept *:80"
		batch = append(batch, s)
	}
	for i := range 3 {
		s := all[100*i]
		s.ID, s.Contact, s.Addrs = id(fmt.Sprint("stranger", i)), "", []netip.Addr{netip.MustParseAddr(fmt.Sprintf("8%d.1.2.3", i))}
		s.Nickname, s.Seen = fmt.Sprintf("%c", 'A'+i), start.Add(-80*time.Minute)
		strangers = append(strangers, s)
	}
	g := one(t, detect.New(detect.Config{}).Run(slices.Concat(all, batch, strangers), start, defaults()), 20)
	for _, s := range strangers {
		if slices.Contains(g.Members, s.ID) {
			t.Errorf("%s is dragged along", s.Nickname)
		}
	}
}

// Authorities that named a group differently take the consensus's name for it.
func TestGroupTakesTheNameInTheConsensus(t *testing.T) {
	all := append(standing(start), siblings("lurker", 9, start)...)
	d := detect.New(detect.Config{})
	before := one(t, d.Run(all, start, defaults()), 9)
	name := directory.Digest{7}
	members := 0
	for i := range all {
		if slices.Contains(before.Members, all[i].ID) && members < 4 {
			all[i].Group = name
			members++
		}
	}
	if g := one(t, d.Run(all, start.Add(time.Hour), defaults()), 9); g.ID != before.ID {
		t.Error("renamed by four of nine")
	}
	for i := range all {
		if slices.Contains(before.Members, all[i].ID) {
			all[i].Group = name
		}
	}
	if g := one(t, d.Run(all, start.Add(2*time.Hour), defaults()), 9); g.ID != name {
		t.Errorf("the id is %v, want the consensus's", g.ID)
	}
}

// In a network's first days nobody knows what is usual: many who come within the
// hour are no batch for that alone, but a crowd is one.
func TestFirstDaysOfNetwork(t *testing.T) {
	c := detect.Config{Usable: start}
	later := start.Add(3 * time.Hour)
	all := founders()
	for i := range 12 {
		all = append(all, plain(fmt.Sprintf("%c", 'A'+i), fmt.Sprintf("%d.%d.3.4", 60+i, 7*i), later))
	}
	if groups := detect.New(c).Run(all, later.Add(time.Hour), defaults()); len(groups) != 0 {
		t.Errorf("%+v", groups)
	}
	one(t, detect.New(c).Run(append(founders(), crowd(20, later)...), later.Add(time.Hour), defaults()), 20)
}
