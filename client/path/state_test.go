package path

import (
	"errors"
	"reflect"
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
	s := c.g.State()
	s.Guards[0].Sampled = c.now.Add(1000 * day)
	g, err := RestoreGuards(s, "test", c.now)
	if err != nil || g.sample[0].sampled.After(c.now) {
		t.Errorf("sampled %v, error %v", g.sample[0].sampled, err)
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
	for name, b := range map[string]string{
		"empty":        "",
		"no JSON":      "guards\n",
		"version":      strings.Replace(string(good), `"version": 1`, `"version": 2`, 1),
		"rank":         strings.Replace(string(good), `"rank": 1`, `"rank": 2`, 1),
		"negative":     strings.Replace(string(good), `"rank": 1`, `"rank": -1`, 1),
		"rank, no day": strings.Replace(string(good), `"confirmed"`, `"was"`, 1),
		"twice":        strings.ReplaceAll(string(good), c.g.sample[1].id.String(), c.g.sample[0].id.String()),
		"identity":     strings.Replace(string(good), c.g.sample[1].id.String(), "AAAA", 1),
		"trailing":     string(good) + "{}",
		"long":         string(good) + strings.Repeat(" ", maxState),
	} {
		if _, err := ParseState([]byte(b)); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v, want ErrState", name, err)
		}
	}
}

func TestSecondsAreKept(t *testing.T) {
	c := newClient(t, many(3))
	for _, s := range c.g.State().Guards {
		if s.Sampled.Nanosecond() != 0 || s.Sampled.Location() != time.UTC {
			t.Errorf("sampled %v", s.Sampled)
		}
	}
}
