package path

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// strict is a consensus under the rules of a network of full size.
func strict(t testing.TB, drawing string) *directory.Consensus {
	t.Helper()
	c := draw(t, drawing)
	c.Relaxed, c.ValidAfter = nil, start
	return c
}

// crowd draws n guards that have the words in common, beside 40 that stand alone,
// all of one weight, with distinct cohorts; and exits.
func crowd(n int, word func(i int) string) string {
	b := new(strings.Builder)
	for i := range 40 {
		fmt.Fprintf(b, "h%d 10.%d.0.1 100 guard listed=%s\n", i, i, start.AddDate(0, 0, -800-i).Format(dayLayout))
	}
	for i := range n {
		fmt.Fprintf(b, "c%d %s\n", i, word(i))
	}
	fmt.Fprintf(b, "x 12.1.0.1 100 ports=80\ny 12.2.0.1 100 ports=80\n")
	return b.String()
}

// A sample has no more of one group than the rules say, however much of the
// guards' share the group has.
func TestSampleBoundsGroups(t *testing.T) {
	for _, test := range []struct {
		name string
		word func(i int) string
		most int
	}{
		{"subnet", func(i int) string { return fmt.Sprintf("11.0.%d.1 1000 guard", i) }, 2},
		{"IPv6 subnet", func(i int) string { return fmt.Sprintf("11.%d.0.1,2001:db8:%x::1 1000 guard", i, i) }, 2},
		{"family", func(i int) string { return fmt.Sprintf("11.%d.0.1 1000 guard family=f", i) }, 1},
		{"inferred group", func(i int) string { return fmt.Sprintf("11.%d.0.1 1000 guard group=f", i) }, 1},
		{"voucher", func(i int) string { return fmt.Sprintf("11.%d.0.1 1000 guard voucher=f", i) }, 1},
		{"AS", func(i int) string { return fmt.Sprintf("11.%d.0.1 1000 guard as=7", i) }, 4},
		{"cohort", func(i int) string { return fmt.Sprintf("11.%d.0.1 1000 guard listed=2029-12-%02d", i, 17+i%10) }, 1},
		{"nothing", func(i int) string { return fmt.Sprintf("11.%d.0.1 1000 guard", i) }, 20},
	} {
		v := NewView(strict(t, crowd(60, test.word)), Options{})
		for seed := range uint64(20) {
			g := NewGuards("test")
			g.Update(v, start, seeded(seed))
			n := 0
			for id := range g.Sample {
				node, _ := v.Find(id)
				n += count(v.nodes[node].relay.Nickname[0] == 'c')
			}
			if n > test.most || len(g.sample) != 20 {
				t.Fatalf("%s: %d of the group in a sample of %d, at most %d", test.name, n, len(g.sample), test.most)
			}
		}
	}
}

// Where all guards are of few cohorts each has its even part of the sample.
func TestFewCohortsShareTheSample(t *testing.T) {
	b := new(strings.Builder)
	for i := range 200 {
		weight := 10
		if i < 100 {
			weight = 1000 // the first cohort has nearly all of the weight
		}
		fmt.Fprintf(b, "g%d 10.%d.0.1 %d guard listed=%s\n", i, i, weight, start.AddDate(0, 0, -15-30*(i/50)).Format(dayLayout))
	}
	v, g := NewView(strict(t, b.String()), Options{}), NewGuards("test")
	g.Update(v, start, seeded(1))
	cohorts := map[int32]int{}
	for _, s := range g.sample {
		cohorts[v.nodes[s.node].cohort]++
	}
	if len(g.sample) != 20 || len(cohorts) != 4 {
		t.Fatalf("a sample of %d from %d cohorts", len(g.sample), len(cohorts))
	}
	for cohort, n := range cohorts {
		if n != 5 {
			t.Errorf("%d guards of cohort %d, want 5", n, cohort)
		}
	}
}

// Relays that turn out to be of one group after they were sampled are not all
// used: the earlier one is, or the one that carried traffic.
func TestLaterGroupsStandAside(t *testing.T) {
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(1)}
	plain := strict(t, strings.ReplaceAll(crowd(0, nil), "guard ", "guard "))
	c.update(plain)
	second, fourth := c.g.sample[1], c.g.sample[3]
	second.opened, second.confirmed = true, stampOf(c.now)
	fourth.opened, fourth.confirmed = true, stampOf(c.now)
	linked := *plain
	linked.Relays = append([]directory.Relay(nil), plain.Relays...)
	for i := range linked.Relays {
		for _, s := range c.g.sample[:4] {
			if linked.Relays[i].ID == s.id {
				linked.Relays[i].Group = directory.DigestOf([]byte("group"))
			}
		}
	}
	c.update(&linked)
	if first, third := c.g.sample[0], c.g.sample[2]; !first.aside || second.aside || !third.aside || fourth.aside {
		t.Errorf("aside: %v %v %v %v", first.aside, second.aside, third.aside, fourth.aside)
	}
	if c.g.primary[0] != second || slices.Contains(c.g.primary, fourth) {
		t.Error("the first of two that carried traffic is not primary, or both are")
	}
	for s := range c.g.ranked {
		if s.aside {
			t.Error("a guard that stands aside is tried")
		}
	}
	c.update(plain)
	if c.g.sample[0].aside {
		t.Error("still aside though nothing ties it to another")
	}
}

// newcomers draws guards listed long ago, and as many of n times their weight
// that were listed on a date.
func newcomers(n int, date string) string {
	b := new(strings.Builder)
	for i := range 60 {
		fmt.Fprintf(b, "old%d 10.%d.0.1 100 guard listed=%s\n", i, i, start.AddDate(0, 0, -800-i).Format(dayLayout))
		if n > 0 {
			fmt.Fprintf(b, "new%d 11.%d.0.1 %d guard listed=%s\n", i, i, n*100, date)
		}
	}
	return b.String() + "x 12.1.0.1 100 ports=80\ny 12.2.0.1 100 ports=80\n"
}

// fresh counts the newcomers in the sample.
func (c *client) fresh() (n int) {
	for id := range c.g.Sample {
		n += count(strings.HasPrefix(c.name(id), "new"))
	}
	return n
}

// Who comes with many relays and then knocks out a client's guards does not get
// into its sample by that, as long as the older relays have half of all shares.
// When a guard's life is over, all relays may take its place.
func TestRefillAfterFailuresTakesOldRelays(t *testing.T) {
	later := start.AddDate(0, 0, 40)
	for _, test := range []struct {
		name   string
		weight int
		fail   func(c *client)
		least  int // newcomers that come in
		most   int
	}{
		{"unreachable", 1, func(c *client) {
			for range 3 {
				c.g.blame(c.g.primary[0], c.now, c.rng)
			}
			for _, s := range c.g.sample[:10] {
				s.tried().reach = Unreachable
			}
		}, 0, 0},
		{"unlisted", 1, func(c *client) {
			for _, s := range c.g.sample[:10] {
				s.unlisted, s.id = stampOf(c.now.Add(-30*day)), idOf("gone "+s.id.String())
			}
		}, 0, 0},
		{"life over", 1, func(c *client) {
			for _, s := range c.g.sample[:10] {
				s.expires = stampOf(c.now) - 1
			}
		}, 2, 10},
		{"life over of one, nine unreachable", 1, func(c *client) {
			c.g.sample[9].expires = stampOf(c.now) - 1
			for _, s := range c.g.sample[:9] {
				s.tried().reach = Unreachable
			}
		}, 0, 1},
		{"most are new", 3, func(c *client) {
			for _, s := range c.g.sample[:10] {
				s.tried().reach = Unreachable
			}
		}, 2, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(3)}
			c.update(strict(t, newcomers(0, "")))
			c.now = later
			consensus := strict(t, newcomers(test.weight, start.AddDate(0, 0, 1).Format(dayLayout)))
			for i := range consensus.Relays { // so that the bound on cohorts does not bite
				consensus.Relays[i].FirstListed = consensus.Relays[i].FirstListed.AddDate(0, 0, i%2)
			}
			consensus.Params = []directory.Param{{Name: "guard_per_cohort", Value: 60}}
			test.fail(c)
			c.update(consensus)
			if n := c.fresh(); n < test.least || n > test.most {
				t.Errorf("%d newcomers in the sample, want %d to %d", n, test.least, test.most)
			}
		})
	}
}

// A guard that loses the flag, or is put into quarantine, keeps the clients that
// it has for 20 days and gets no new ones.
func TestGuardThatLosesItsFlag(t *testing.T) {
	whole := strict(t, crowd(0, nil))
	without := func(id keys.RelayID) *directory.Consensus {
		c := *whole
		c.Relays = append([]directory.Relay(nil), whole.Relays...)
		r := c.Relay(id)
		r.Flags &^= directory.Guard
		r.Shares[directory.AsGuard] = 0
		r.Quarantine = directory.Quarantine{Code: "cluster", Until: start.Add(30 * day)}
		return &c
	}
	for _, used := range []bool{false, true} {
		c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(5)}
		c.update(whole)
		_, a := c.reach(web)
		if used {
			c.g.Used(a, c.now, c.rng)
		}
		c.g.Done(a)
		first := a.guard
		for _, later := range []time.Duration{0, 15 * day} {
			c.after(later)
			c.update(without(first.id))
			b := c.attempt()
			if got := b.guard == first; got != used {
				t.Errorf("used before %v: taken for a circuit %v later: %v", used, later, got)
			}
			c.g.Done(b)
		}
		c.after(6 * day)
		c.update(without(first.id))
		if c.g.Holds(first.id) {
			t.Errorf("used before %v: held after 21 days", used)
		}
		other := NewGuards("test")
		for seed := range uint64(20) {
			other.Update(NewView(without(first.id), Options{}), start, seeded(seed))
			if other.Holds(first.id) {
				t.Fatal("a new client samples it")
			}
		}
	}
}

// A relay that is voted out, and so no longer valid, is left at once.
func TestInvalidGuardIsLeftAtOnce(t *testing.T) {
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(5)}
	whole := strict(t, crowd(0, nil))
	c.update(whole)
	_, a := c.reach(web)
	c.g.Used(a, c.now, c.rng)
	less := *whole
	less.Relays = append([]directory.Relay(nil), whole.Relays...)
	less.Relay(a.Guard()).Flags &^= directory.Valid
	c.update(&less)
	c.after(2 * day) // for the budget
	if c.attempt().guard == a.guard {
		t.Error("still used")
	}
}

// Several guards in use at once share the circuits, when the network says so.
func TestSeveralGuardsInUse(t *testing.T) {
	b := new(strings.Builder)
	for i := range 10 { // an exit beside each guard
		fmt.Fprintf(b, "g%d 10.%d.0.1 100 guard\nx%d 10.%d.0.2 100 ports=80\n", i, i, i, i)
	}
	c := newClient(t, b.String())
	c.v.consensus.Params = []directory.Param{{Name: "guard_use", Value: 2}}
	c.update(c.v.consensus)
	counts := map[*guard]int{}
	for range 2000 {
		p, a := c.get(web)
		if !together(c.v.consensus, p[Guard], p[Exit], false) || p[Guard].ID != a.Guard() {
			t.Fatal("a path that was drawn for another guard")
		}
		c.g.Reached(a, c.now)
		if !c.g.Usable(a, c.now) || !c.g.Preferred(a, c.now) {
			t.Fatal("a circuit through one of two guards in use is not")
		}
		counts[a.guard]++
		c.g.Done(a)
	}
	if len(counts) != 2 || counts[c.g.primary[0]] < 900 || counts[c.g.primary[1]] < 900 {
		t.Errorf("circuits by guard: %v", counts)
	}
}

// In a small network any two of seven relays may die.
func TestSmallNetworksHaveNoTightBudget(t *testing.T) {
	for _, relaxed := range []string{rules.Small, rules.Test} {
		for seed := range uint64(30) {
			c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(seed)}
			consensus := draw(t, seven)
			consensus.Relaxed = []string{relaxed}
			c.update(consensus)
			down := map[keys.RelayID]bool{}
			for i := range 3 {
				id, ok := c.g.Carry(c.now, c.rng, func(id keys.RelayID) bool { return !down[id] })
				if !ok {
					t.Fatalf("%s: no guard with %d of seven down", relaxed, i)
				}
				down[id] = true
				c.after(time.Minute)
			}
		}
	}
}
