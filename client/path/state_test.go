package path

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func restored(t *testing.T, c *client) *Guards {
	t.Helper()
	b, err := c.g.State().Encode()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseState(b)
	if err != nil {
		t.Fatal(err)
	}
	g, err := RestoreGuards(s, "test", c.now)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestStateSurvivesARestart(t *testing.T) {
	c := newClient(t, many(25))
	for range 4 { // confirm four guards, in another order than they were sampled
		a := c.attempt()
		c.g.Reached(a, c.now)
		c.g.Used(a, c.now, c.rng)
		c.g.Done(a)
		c.kill(c.attempt())
	}
	c.g.draws, c.g.sample[9].opened = []opening{{dayOf(c.now) - 3, true}, {dayOf(c.now), false}}, true
	before := c.g.State()
	primary := []string{c.name(c.primary(0)), c.name(c.primary(1)), c.name(c.primary(2))}
	c.g = restored(t, c)
	if got := c.g.State(); !reflect.DeepEqual(got, before) {
		t.Errorf("after a restart %v, before %v", got, before)
	}
	c.g.Update(c.v, c.now, c.rng)
	if got := []string{c.name(c.primary(0)), c.name(c.primary(1)), c.name(c.primary(2))}; !reflect.DeepEqual(got, primary) {
		t.Errorf("primary guards %v, before the restart %v", got, primary)
	}
}

func TestRevisionCountsWhatIsKept(t *testing.T) {
	c := newClient(t, many(10))
	r := c.g.Revision()
	a := c.attempt()
	c.g.Reached(a, c.now)
	c.update(c.v.consensus)
	if c.g.Revision() != r {
		t.Error("the revision changed, the state did not")
	}
	c.g.Used(a, c.now, c.rng)
	if c.g.Revision() == r {
		t.Error("a guard was confirmed and the revision stayed")
	}
}

func TestStateOfAnotherNetworkIsRefused(t *testing.T) {
	c := newClient(t, many(3))
	if _, err := RestoreGuards(c.g.State(), "other", c.now); !errors.Is(err, ErrState) {
		t.Errorf("error %v, want ErrState", err)
	}
}

func TestFutureDatesCountAsNow(t *testing.T) {
	c := newClient(t, many(3))
	_, a := c.reach(web)
	c.g.Used(a, c.now, c.rng)
	s := c.g.State()
	s.Guards[0].Confirmed = c.now.Add(1000 * day)
	s.Draws = []SavedDraw{{Day: "2050-01-01", Used: true}}
	g, err := RestoreGuards(s, "test", c.now)
	if err != nil || g.sample[0].confirmed > stampOf(c.now) || g.draws[0].day != dayOf(c.now) {
		t.Errorf("confirmed %v, draws %v, error %v", g.sample[0].confirmed, g.draws, err)
	}
}

// versionOne is a state as version 1 wrote it: its confirmed guards had ranks.
var versionOne = []byte(`{"version":1,"network":"test","guards":[
	{"id":"` + idOf("g0").String() + `","sampled":"2029-10-01T00:00:00Z"},
	{"id":"` + idOf("g1").String() + `","sampled":"2029-10-02T00:00:00Z","confirmed":"2029-11-02T00:00:00Z","rank":2},
	{"id":"` + idOf("g2").String() + `","sampled":"2029-10-03T00:00:00Z","confirmed":"2029-11-01T00:00:00Z","rank":1,"unlisted":"2029-12-30T00:00:00Z"},
	{"id":"` + idOf("g3").String() + `","sampled":"2029-09-01T00:00:00Z"}]}`)

// A state of version 1 keeps its guards and their order of use, and each gets the
// end of a life that began when it was sampled.
func TestStateOfVersionOneIsUpgraded(t *testing.T) {
	s, err := ParseState(versionOne)
	if err != nil {
		t.Fatal(err)
	}
	g, err := RestoreGuards(s, "test", start)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, g: g, now: start, rng: seeded(1)}
	if b, err := g.State().Encode(); err != nil || !strings.Contains(string(b), "2029-09-01") {
		t.Errorf("before the first consensus %s (%v)", b, err)
	}
	c.update(draw(t, many(10)))
	if got := []string{c.name(g.primary[0].id), c.name(g.primary[1].id), c.name(g.primary[2].id)}; !slices.Equal(got, []string{"g2", "g1", "g0"}) {
		t.Errorf("primary %v", got)
	}
	if g.filled != dayOf(start.AddDate(0, -4, 0)) {
		t.Errorf("filled on %v", dayText(g.filled))
	}
	for _, m := range g.State().Guards[:4] {
		if m.Rank != 0 || !m.Sampled.IsZero() || m.Expires.Before(start.AddDate(0, -4, 300)) || m.Expires.After(start.AddDate(0, 0, 390)) {
			t.Errorf("upgraded to %v", m)
		}
	}
}

func TestBadStatesAreRefused(t *testing.T) {
	c := newClient(t, many(3))
	_, a := c.reach(web)
	c.g.Used(a, c.now, c.rng)
	good, err := c.g.State().Encode()
	if err != nil {
		t.Fatal(err)
	}
	one := string(versionOne)
	for name, b := range map[string]string{
		"empty":           "",
		"no JSON":         "guards\n",
		"version":         strings.Replace(string(good), `"version": 2`, `"version": 3`, 1),
		"no end":          strings.Replace(string(good), `"expires"`, `"ends"`, 1),
		"two dates":       strings.Replace(string(good), `"expires"`, `"sampled": "2029-10-01T00:00:00Z", "expires"`, 1),
		"rank":            strings.Replace(string(good), `"expires"`, `"rank": 1, "expires"`, 1),
		"day":             strings.Replace(string(good), `"2030-01-01"`, `"2030-01-41"`, 1),
		"no day":          strings.Replace(string(good), `"2030-01-01"`, `"0000-01-01"`, 1),
		"twice":           strings.ReplaceAll(string(good), c.g.sample[1].id.String(), c.g.sample[0].id.String()),
		"identity":        strings.Replace(string(good), c.g.sample[1].id.String(), "AAAA", 1),
		"trailing":        string(good) + "{}",
		"long":            string(good) + strings.Repeat(" ", maxState),
		"1: rank":         strings.Replace(one, `"rank":2`, `"rank":3`, 1),
		"1: one rank":     strings.Replace(one, `"rank":2`, `"rank":1`, 1),
		"1: negative":     strings.Replace(one, `"rank":2`, `"rank":-2`, 1),
		"1: rank, no day": strings.Replace(one, `"confirmed"`, `"was"`, 1),
		"1: no date":      strings.Replace(one, `"sampled"`, `"drawn"`, 1),
		"1: an end":       strings.Replace(one, `"sampled"`, `"expires":"2031-01-01T00:00:00Z","sampled"`, 1),
		"1: draws":        strings.Replace(one, `"guards"`, `"draws":[{"day":"2030-01-01"}],"guards"`, 1),
	} {
		if b == string(good) || b == one {
			t.Errorf("%s: nothing changed", name)
		}
		if _, err := ParseState([]byte(b)); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v, want ErrState", name, err)
		}
	}
}

func TestSecondsAreKept(t *testing.T) {
	c := newClient(t, many(3))
	for _, s := range c.g.State().Guards {
		if s.Expires.Nanosecond() != 0 || s.Expires.Location() != time.UTC {
			t.Errorf("expires %v", s.Expires)
		}
	}
}
