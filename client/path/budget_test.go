package path

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/directory/keys"
)

// spender is a client in a network of full size whose guards die as soon as it
// uses them.
type spender struct {
	*client
	down map[keys.RelayID]bool
	used []time.Time
}

func newSpender(t testing.TB) *spender {
	t.Helper()
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(9)}
	c.update(strict(t, crowd(0, nil)))
	return &spender{client: c, down: map[keys.RelayID]bool{}}
}

func (s *spender) up(id keys.RelayID) bool { return !s.down[id] }

// spend uses guards until the budget is used up.
func (s *spender) spend() {
	for {
		id, ok := s.g.Carry(s.now, s.rng, s.up)
		if !ok {
			return
		}
		s.used = append(s.used, s.now)
		s.down[id] = true
	}
}

// A guard a day, three in 30 days, six in a year, the first included; and with
// each renewal exactly at the time that the error names.
func TestDrawBudget(t *testing.T) {
	s := newSpender(t)
	for s.now.Before(start.Add(400 * day)) {
		s.g.Update(s.v, s.now, s.rng)
		for id := range s.down { // what is sampled anew is up
			s.down[id] = slices.ContainsFunc(s.g.sample, func(m *guard) bool { return m.id == id && m.opened })
		}
		s.spend()
		until, held := s.g.Held(s.now)
		if !held || !until.After(s.now) {
			t.Fatalf("at %v held %v until %v", s.now, held, until)
		}
		if next := s.g.NextEvent(s.now); next.After(until) {
			t.Fatalf("the budget has room at %v, the next event is at %v", until, next)
		}
		s.now = until.Add(-time.Second)
		s.g.Update(s.v, s.now, s.rng)
		if _, ok := s.g.Carry(s.now, s.rng, s.up); ok {
			t.Fatalf("a new guard before %v", until)
		}
		s.now = until
	}
	var days []int
	for _, at := range s.used {
		days = append(days, int(at.Sub(start)/day))
	}
	if want := []int{0, 1, 2, 30, 31, 32, 365, 366, 367, 395, 396, 397}; !slices.Equal(days, want) {
		t.Errorf("new guards on days %v, want %v", days, want)
	}
}

// What is passed over counts: who knocks out everything before its own relay
// gets it used no sooner than by having each used.
func TestPassingOverCounts(t *testing.T) {
	s := newSpender(t)
	if _, ok := s.g.Carry(s.now, s.rng, s.up); !ok {
		t.Fatal("no first guard")
	}
	order := slices.Collect(s.g.Sample)
	for _, id := range order[:10] {
		s.down[id] = true
	}
	s.after(5 * day)
	id, ok := s.g.Carry(s.now, s.rng, s.up)
	if ok {
		t.Errorf("guard %d of the sample is used, nine before it were never", slices.Index(order, id))
	}
	if until, held := s.g.Held(s.now); !held || until.Before(s.now) {
		t.Errorf("held %v until %v", held, until)
	}
	delete(s.down, order[2]) // two before it: two of three draws of the month
	s.after(time.Hour)
	if id, ok := s.g.Carry(s.now, s.rng, s.up); !ok || id != order[2] {
		t.Errorf("used %d, %v; want the third of the sample", slices.Index(order, id), ok)
	}
	if len(s.g.draws) != 3 {
		t.Errorf("%d draws counted, want 3: one passed over, two used", len(s.g.draws))
	}
	s.down[order[0]], s.down[order[2]] = true, true
	delete(s.down, order[1])
	s.after(time.Hour)
	if id, ok := s.g.Carry(s.now, s.rng, s.up); !ok || id != order[1] || len(s.g.draws) != 3 {
		t.Errorf("the one that was passed over: used %d, %v, %d draws", slices.Index(order, id), ok, len(s.g.draws))
	}
}

// A client that never had a guard may pass over more for its first.
func TestFirstGuardMayCostMore(t *testing.T) {
	for _, test := range []struct {
		down int
		ok   bool
	}{{0, true}, {2, true}, {5, true}, {6, false}} {
		s := newSpender(t)
		order := slices.Collect(s.g.Sample)
		for _, id := range order[:test.down] {
			s.down[id] = true
		}
		if id, ok := s.g.Carry(s.now, s.rng, s.up); ok != test.ok || ok && id != order[test.down] {
			t.Errorf("with %d down: guard %d, %v", test.down, slices.Index(order, id), ok)
		}
		if b := s.g.Budget(s.now); test.ok && (b.Year != test.down+1 || b.Day != 1) {
			t.Errorf("with %d down: budget %+v", test.down, b)
		}
	}
}

func TestOverrideLiftsTheBudget(t *testing.T) {
	s := newSpender(t)
	s.spend()
	s.g.Override = true
	for range 8 {
		id, ok := s.g.Carry(s.now, s.rng, s.up)
		if !ok {
			t.Fatal("no new guard")
		}
		s.down[id] = true
	}
}

// A restart does not refill the budget.
func TestBudgetSurvivesARestart(t *testing.T) {
	s := newSpender(t)
	s.spend()
	s.g = restored(t, s.client)
	s.g.Update(s.v, s.now, s.rng)
	if id, ok := s.g.Carry(s.now, s.rng, s.up); ok {
		t.Errorf("a new guard %v after a restart", s.name(id))
	}
}

// A guard that is only slow costs no draw: a circuit through a new one waits
// until the old one has failed.
func TestSlownessSpendsNoDraw(t *testing.T) {
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(9)}
	c.update(strict(t, crowd(0, nil)))
	_, a := c.reach(web)
	c.g.Used(a, c.now, c.rng)
	c.g.Done(a)
	c.after(2 * day)
	hung := c.attempt()
	c.after(SlowAfter)
	_, other := c.reach(web)
	if other.guard == hung.guard {
		t.Fatal("while the guard hangs no other is tried")
	}
	if c.g.Usable(other, c.now) {
		t.Error("a new guard is used because the old one is slow")
	}
	c.kill(hung)
	if !c.g.Usable(other, c.now) {
		t.Error("the old guard has failed and the new one is not used")
	}
}

// A circuit that was begun while there was room carries nothing when another has
// taken it.
func TestCircuitsBeyondTheBudgetCarryNothing(t *testing.T) {
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(9)}
	c.update(strict(t, crowd(0, nil)))
	c.kill(c.attempt())
	_, first := c.reach(web)
	c.kill(c.attempt())
	first.guard.tried().reach = Unreachable
	_, second := c.reach(web)
	if first.guard == second.guard {
		t.Fatal("one guard twice")
	}
	c.g.Used(second, c.now, c.rng)
	first.guard.tried().reach, first.guard.opened = Reachable, false
	c.g.Done(second)
	c.kill(c.attempt()) // the second one dies
	if c.g.Usable(first, c.now) || c.g.May(first, c.now) {
		t.Error("a second new guard on one day")
	}
}

// When only guards beyond the budget have a path, the error says so and until
// when; it names no destination.
func TestSelectSaysThatTheBudgetIsSpent(t *testing.T) {
	b := new(strings.Builder)
	for i := range 8 {
		fmt.Fprintf(b, "g%d 10.%d.0.1 100 guard\n", i, i)
	}
	c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(9)}
	whole := strict(t, b.String()+"x 11.1.0.1 100 ports=80\n")
	c.update(whole)
	_, a := c.reach(web)
	c.g.Used(a, c.now, c.rng)
	less := *whole
	less.Relays = slices.Clone(whole.Relays)
	less.Relay(a.Guard()).Flags = 0
	c.update(&less)
	_, _, err := c.v.Select(c.g, web, c.now, c.rng)
	e, ok := errors.AsType[*BudgetError](err)
	if !ok || !e.Until.Equal(start.Add(day)) || !strings.Contains(err.Error(), "2030-01-02") || !strings.Contains(err.Error(), "guard_override") {
		t.Errorf("Select: %v", err)
	}
	c.now = e.Until
	if _, _, err := c.v.Select(c.g, web, c.now, c.rng); err != nil {
		t.Errorf("a day later: %v", err)
	}
}
