package path

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// many draws n guards, and exits that are none.
func many(n int) string {
	b := new(strings.Builder)
	b.WriteString("\n")
	for i := range n {
		fmt.Fprintf(b, "g%d 10.%d.0.1 100 guard\n", i, i)
	}
	for i := range 3 {
		fmt.Fprintf(b, "x%d 11.%d.0.1 100 ports=80\n", i, i)
	}
	return b.String()
}

var web = Need{Port: 80}

func TestSmallNetworkIsSampledWhole(t *testing.T) {
	c := newClient(t, seven)
	if got := len(c.g.List()); got != 7 {
		t.Errorf("%d of 7 guards sampled", got)
	}
	c.update(draw(t, many(19)))
	listed := 0
	for _, s := range c.g.List() {
		if s.Listed {
			listed++
		}
	}
	if listed != 19 {
		t.Errorf("%d of 19 guards sampled", listed)
	}
}

func TestSampleHasItsSize(t *testing.T) {
	for _, test := range []struct{ guards, sampled, atMost int }{{21, 20, 20}, {90, 20, 20}, {150, 20, 30}, {250, 20, 50}} {
		c := newClient(t, many(test.guards))
		if got := len(c.g.sample); got != test.sampled {
			t.Errorf("of %d guards: %d sampled, want %d", test.guards, got, test.sampled)
		}
		for range 500 { // none of them can be reached
			c.kill(c.attempt())
			c.after(time.Second)
		}
		if got := len(c.g.sample); got != test.atMost {
			t.Errorf("of %d guards, all down: %d sampled, want %d", test.guards, got, test.atMost)
		}
	}
}

// attempt is get without the path.
func (c *client) attempt() *Attempt {
	_, a := c.get(web)
	return a
}

// A small network whose relays get new identities all the time does not fill
// the sample without bound.
func TestSampleOfRestartedNetworkIsBounded(t *testing.T) {
	c := newClient(t, many(3))
	for i := range 100 {
		c.after(time.Minute)
		c.update(draw(t, strings.ReplaceAll(many(3), "\ng", fmt.Sprint("\nagain", i, "g"))))
		c.reach(web)
		if n := len(c.g.sample); n > maxSample {
			t.Fatalf("%d guards in the sample", n)
		}
	}
}

func TestDatesAreSetBack(t *testing.T) {
	c := newClient(t, many(10))
	for range 5 {
		_, a := c.reach(web)
		c.g.Used(a, c.now, c.rng)
		c.kill(c.attempt())
	}
	c.update(draw(t, many(5)))
	confirmed, unlisted := map[time.Time]bool{}, map[time.Time]bool{}
	for _, s := range c.g.State().Guards {
		check := func(what string, at time.Time, fuzz time.Duration) {
			if d := c.now.Sub(at); !at.IsZero() && (d < 0 || d > fuzz+time.Second) {
				t.Errorf("%s %v ago, want up to %v", what, d, fuzz)
			}
		}
		check("confirmed", s.Confirmed, 30*day)
		check("unlisted", s.Unlisted, 4*day)
		confirmed[s.Confirmed], unlisted[s.Unlisted] = true, true
	}
	if len(confirmed) != 6 || len(unlisted) != 6 { // none is among them
		t.Errorf("dates %v and %v", confirmed, unlisted)
	}
}

func TestGuardsExpire(t *testing.T) {
	for _, test := range []struct {
		name      string
		confirmed time.Duration // after sampling; negative: never
		unlisted  time.Duration // before the check; negative: listed
		age       time.Duration // the guard's life is 400 days
		gone      bool
	}{
		{"young", -1, -1, 399 * day, false},
		{"old, never used", -1, -1, 401 * day, true},
		{"old, used from the start", 0, -1, 401 * day, true},
		{"old, confirmed lately", 190 * day, -1, 401 * day, false},
		{"old, confirmed long ago", 90 * day, -1, 401 * day, true},
		{"unlisted for a while", -1, 19 * day, 30 * day, false},
		{"unlisted for long", -1, 21 * day, 30 * day, true},
		{"in use, unlisted for long", 0, 21 * day, 30 * day, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, many(4))
			s := c.g.sample[0]
			s.expires = stampOf(start.Add(400 * day))
			if test.confirmed >= 0 {
				s.confirmed = stampOf(start.Add(test.confirmed))
			}
			c.now = start.Add(test.age)
			if test.unlisted >= 0 {
				s.unlisted = stampOf(c.now.Add(-test.unlisted))
				c.v.consensus.Relays = slices.DeleteFunc(c.v.consensus.Relays, func(r directory.Relay) bool { return r.ID == s.id })
			}
			c.update(c.v.consensus)
			if gone := !slices.Contains(c.g.sample, s); gone != test.gone {
				t.Errorf("gone %v, want %v", gone, test.gone)
			}
			if test.gone && slices.Contains(c.g.primary, s) {
				t.Error("gone, but primary")
			}
		})
	}
}

// Each guard's life is drawn for itself, between the network's two numbers.
func TestLivesAreDrawn(t *testing.T) {
	seen := map[int64]int{}
	for seed := range uint64(200) {
		g := NewGuards("test")
		g.Update(NewView(draw(t, many(20)), Options{}), start, seeded(seed))
		for _, s := range g.sample {
			life := int64(s.expires-stampOf(start)) / int64(day/time.Second)
			if life < 300 || life > 390 {
				t.Fatalf("a life of %d days", life)
			}
			seen[life]++
		}
	}
	var counts []int
	for life := range int64(91) {
		counts = append(counts, seen[300+life])
	}
	if x := chiSquare(counts, slices.Repeat([]float64{1}, 91)); x > limit(91) {
		t.Errorf("chi square %.1f, limit %.1f", x, limit(91))
	}
}

// A clock that was years ahead when a guard was drawn does not keep it for years.
func TestLifeIsBounded(t *testing.T) {
	c := newClient(t, many(4))
	c.g.sample[0].expires = stampOf(start.Add(3000 * day))
	c.update(c.v.consensus)
	if life := c.g.sample[0].expires.time().Sub(start); life != 390*day {
		t.Errorf("%v to live", life)
	}
}

// Confirmed guards come first, both they and the others in the order of sampling
// (Tor's proposal 310), so that the state on disk decides and nothing else.
func TestPrimaryGuardsStay(t *testing.T) {
	c := newClient(t, many(10))
	first := slices.Clone(c.g.primary)
	if len(first) != 3 || !slices.Equal(first, c.g.sample[:3]) || c.attempt().guard != first[0] {
		t.Fatalf("primary %v", c.g.List())
	}
	// The first two are down: the third is used, and so confirmed.
	c.kill(c.attempt())
	c.kill(c.attempt())
	_, a := c.reach(web)
	if a.guard != first[2] || !c.g.Usable(a, c.now) {
		t.Fatalf("third attempt: guard %v, usable %v", a.guard, c.g.Usable(a, c.now))
	}
	c.g.Used(a, c.now, c.rng)
	if want := []*guard{first[2], first[0], first[1]}; !slices.Equal(c.g.primary, want) {
		t.Error("a confirmed guard does not come first")
	}
	c.g.Used(&Attempt{guard: first[1]}, c.now, c.rng)
	if want := []*guard{first[1], first[2], first[0]}; !slices.Equal(c.g.primary, want) {
		t.Error("confirmed guards are not in the order of sampling")
	}
	// A consensus without the second changes only that one.
	less := c.v.consensus
	less.Relays = slices.DeleteFunc(less.Relays, func(r directory.Relay) bool { return r.ID == first[0].id })
	c.update(less)
	if want := []*guard{first[1], first[2], c.g.sample[3]}; !slices.Equal(c.g.primary, want) {
		t.Error("a guard that is not listed is primary, or another left its place")
	}
	c.update(draw(t, many(10)))
	if want := []*guard{first[1], first[2], first[0]}; !slices.Equal(c.g.primary, want) {
		t.Error("a guard that is listed again is not in its place")
	}
}

func TestAllPrimariesDownTriesTheNextAtOnce(t *testing.T) {
	c := newClient(t, many(10))
	var tried []keys.RelayID
	for range 5 {
		tried = append(tried, c.kill(c.attempt()))
	}
	for i := range tried {
		if slices.Contains(tried[:i], tried[i]) {
			t.Fatalf("attempt %d at a guard that was tried already", i)
		}
	}
	_, a := c.reach(web)
	if slices.Contains(tried, a.Guard()) {
		t.Error("a guard that is down was tried again")
	}
	if !c.g.Usable(a, c.now) {
		t.Error("every better guard is down and the circuit still waits")
	}
}

func TestReturningPrimaryIsUsedWithin30Seconds(t *testing.T) {
	for _, down := range []time.Duration{time.Second, time.Minute, 26 * time.Hour, 10 * day} {
		c := newClient(t, many(30))
		first := c.kill(c.attempt())
		back := c.now.Add(down)
		for {
			at, ok := c.g.NextProbe()
			if !ok {
				t.Fatal("no probe is due")
			}
			c.now = at
			probe := c.g.Probe(c.now)
			if probe == nil || probe.Guard() != first {
				t.Fatalf("no probe of the guard at its time")
			}
			if c.now.Before(back) {
				c.kill(probe)
				continue
			}
			c.g.Reached(probe, c.now)
			c.g.Done(probe)
			break
		}
		if wait := c.now.Sub(back); wait > 30*time.Second {
			t.Errorf("down for %v, used again %v after its return", down, wait)
		}
		if c.attempt().Guard() != first {
			t.Error("the returned guard is not used")
		}
	}
}

func TestRetriesAreSpread(t *testing.T) {
	delays := func(seed uint64, primary bool) (d []time.Duration) {
		c := newClient(t, many(30))
		c.rng = seeded(seed)
		s := c.g.sample[0]
		if !primary {
			s = c.g.sample[10]
		}
		for range 40 {
			c.g.blame(s, c.now, c.rng)
			d = append(d, s.contact.retryAt.Sub(c.now))
			c.now = s.contact.retryAt
		}
		return d
	}
	for _, d := range delays(1, true) {
		if d < primaryBase || d > primaryCap {
			t.Errorf("primary retried after %v", d)
		}
	}
	other := delays(1, false)
	for i, d := range other {
		if d < otherBase || d > otherCap || i > 0 && d > max(3*other[i-1], 2*otherBase) {
			t.Errorf("retry %d after %v, before that %v", i, d, other[:i])
		}
	}
	if slices.Max(other) < 12*time.Hour {
		t.Errorf("retries never back off: at most %v", slices.Max(other))
	}
	if slices.Equal(delays(1, true), delays(2, true)) {
		t.Error("two clients retry in step")
	}
}

func TestGuardIsBlamedOnlyForItsOwnFailure(t *testing.T) {
	c := newClient(t, many(10))
	_, a := c.reach(web)
	c.g.Failed(a, c.now, c.rng) // the second hop
	if got := c.attempt(); got.guard != a.guard {
		t.Error("a guard was left for a failure further out")
	}
	b := c.attempt()
	c.g.Done(b) // given up, no word from the guard
	if got := c.attempt(); got.guard != a.guard {
		t.Error("a guard was left for an attempt that was given up")
	}
	// Five attempts that shared one dial count as one failure.
	x, y := c.attempt(), c.attempt()
	c.kill(x)
	at := x.guard.contact.retryAt
	c.kill(y)
	if y.guard != x.guard || x.guard.contact.retryAt != at {
		t.Error("one failure was counted twice")
	}
}

func TestSlowGuardIsNotWaitedFor(t *testing.T) {
	c := newClient(t, many(10))
	first := c.attempt()
	if c.attempt().guard != first.guard {
		t.Fatal("two attempts at once go to two guards")
	}
	c.after(SlowAfter)
	second := c.attempt()
	if second.guard != c.g.primary[1] {
		t.Fatal("while the first hangs, the second primary is not tried")
	}
	c.g.Reached(second, c.now)
	if !c.g.Usable(second, c.now) {
		t.Error("a circuit through a primary guard waits")
	}
	c.g.Reached(first, c.now) // it answered after all
	if c.attempt().guard != first.guard {
		t.Error("the first guard is not preferred again")
	}
}

// When all primaries hang, the next guard's circuit waits until they have
// failed, and carries traffic then.
func TestCircuitOfLesserGuardWaits(t *testing.T) {
	c := newClient(t, many(10))
	var hanging []*Attempt
	for range 3 {
		hanging = append(hanging, c.attempt())
		c.after(SlowAfter)
	}
	_, fourth := c.reach(web)
	if slices.Contains(c.g.primary, fourth.guard) || c.g.Usable(fourth, c.now) {
		t.Fatal("the fourth circuit does not wait for the primaries")
	}
	for i, a := range hanging {
		if c.g.Usable(fourth, c.now) {
			t.Fatalf("usable with %d primaries unreachable", i)
		}
		c.kill(a)
	}
	if !c.g.Usable(fourth, c.now) {
		t.Error("not usable though every primary has failed")
	}
	_, fifth := c.reach(web)
	if fifth.guard != fourth.guard {
		t.Error("another guard than the working one is used")
	}
}

func TestBetterGuardsAttemptIsWaitedForAWhile(t *testing.T) {
	c := newClient(t, many(10))
	for range 3 {
		c.kill(c.attempt())
	}
	better := c.attempt()
	c.after(SlowAfter)
	_, worse := c.reach(web)
	if worse.guard == better.guard || c.g.Usable(worse, c.now) {
		t.Fatal("a circuit does not wait for a better guard's young attempt")
	}
	c.after(attemptPatience)
	if !c.g.Usable(worse, c.now) {
		t.Error("it waits for an attempt that has hung for long")
	}
}

func TestNetworkDownIsNotTheGuardsFault(t *testing.T) {
	c := newClient(t, many(10))
	first := c.g.primary[0]
	c.reach(web)
	c.after(internetDown + time.Minute)
	for range 3 {
		c.kill(c.attempt())
	}
	_, a := c.reach(web) // a lesser guard answers: the network is back
	if c.g.Usable(a, c.now) {
		t.Error("the lesser guard is used before the primaries had their chance")
	}
	if _, b := c.reach(web); b.guard != first {
		t.Error("the first primary does not get its chance")
	}
}

func TestNothingReachableBeginsAgain(t *testing.T) {
	c := newClient(t, seven)
	var tried []keys.RelayID
	for range 7 {
		tried = append(tried, c.kill(c.attempt()))
	}
	if slices.Sort(names(c, tried)); len(slices.Compact(names(c, tried))) != 7 {
		t.Errorf("tried %v", names(c, tried))
	}
	if a := c.attempt(); a.Guard() != tried[0] {
		t.Errorf("then %s, want the first again", c.name(a.Guard()))
	}
}

func names(c *client, ids []keys.RelayID) []string {
	var n []string
	for _, id := range ids {
		n = append(n, c.name(id))
	}
	slices.Sort(n)
	return n
}

func TestDirectoryRequestsGoToThePrimaries(t *testing.T) {
	c := newClient(t, many(10))
	count := map[keys.RelayID]int{}
	for range 3000 {
		a := c.g.Directory(c.now, c.rng)
		count[a.Guard()]++
		c.g.Done(a)
	}
	if len(count) != 3 {
		t.Fatalf("%d guards asked", len(count))
	}
	for id, n := range count {
		if n < 900 || n > 1100 {
			t.Errorf("%s asked %d times of 3000", c.name(id), n)
		}
	}
	for range 3 {
		a := c.g.Directory(c.now, c.rng)
		c.kill(a)
	}
	if a := c.g.Directory(c.now, c.rng); a == nil || count[a.Guard()] != 0 {
		t.Error("with every primary down no other is asked")
	}
	if a := NewGuards("test").Directory(c.now, c.rng); a != nil {
		t.Error("an attempt without guards")
	}
}

func TestUnusedCircuitOverLesserGuardIsNotPreferred(t *testing.T) {
	c := newClient(t, many(10))
	first := c.attempt()
	c.kill(first)
	_, second := c.reach(web)
	if !c.g.Preferred(second, c.now) {
		t.Fatal("the best guard that can be reached is not preferred")
	}
	c.after(primaryCap)
	probe := c.g.Probe(c.now)
	c.g.Reached(probe, c.now)
	c.g.Done(probe)
	if c.g.Preferred(second, c.now) {
		t.Error("preferred though a better one has returned")
	}
}

func TestForgottenAttemptsAreBounded(t *testing.T) {
	c := newClient(t, many(10))
	for range 2 * MaxAttempts {
		c.attempt()
	}
	if n := len(c.g.attempts); n > MaxAttempts {
		t.Errorf("%d attempts are remembered", n)
	}
}
