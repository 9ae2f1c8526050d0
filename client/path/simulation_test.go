package path

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// A world is a network whose relays fail, return, leave for good and are
// replaced, over months of virtual time.
type world struct {
	rng    *rand.Rand
	relays []directory.Relay
	down   map[keys.RelayID]time.Time // unreachable until then
	next   int
}

const (
	worldRelays = 400
	period      = 6 * time.Hour    // between two consensuses
	pause       = 90 * time.Minute // between two circuits
)

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{rng: seeded(seed), down: map[keys.RelayID]time.Time{}}
	w.relays = big(t, worldRelays, w.rng).Relays
	return w
}

// step runs to the next consensus: relays fail for minutes or hours about once
// in a month, and once in two years of a relay's life it leaves and another
// comes.
func (w *world) step(t testing.TB, now time.Time) *directory.Consensus {
	for i := range w.relays {
		r := &w.relays[i]
		if w.rng.IntN(int(30*day/period)) == 0 {
			w.down[r.ID] = now.Add(time.Duration(float64(3*time.Hour) * w.rng.ExpFloat64()))
		}
		if w.rng.IntN(int(2*365*day/period)) == 0 {
			w.next++
			fresh := big(t, 1, w.rng).Relays[0]
			fresh.ID, fresh.Flags = idOf(string(rune(w.next))+"new"), r.Flags
			*r = fresh
		}
	}
	var c directory.Consensus
	for _, r := range w.relays {
		if !now.Before(w.down[r.ID]) || w.down[r.ID].Sub(now) < time.Hour { // the authorities notice after an hour
			c.Relays = append(c.Relays, r)
		}
	}
	sortRelays(c.Relays)
	share(&c)
	c.ValidAfter = now
	return &c
}

func (w *world) up(id keys.RelayID, now time.Time) bool { return !now.Before(w.down[id]) }

// A user builds circuits through the world and notes what it used.
type user struct {
	g         *Guards
	v         *View
	rng       *rand.Rand
	used      map[keys.RelayID]time.Duration // guards that carried its traffic, and for how long
	attempts  int
	worst     int // attempts that one circuit took
	circuits  int
	out       int // circuits that the draw budget let none carry
	leftFirst int // circuits not over the guard that was in use, while that was up
}

// browse builds a circuit, as often as it takes, and uses it.
func (u *user) browse(t *testing.T, w *world, now time.Time, last keys.RelayID) keys.RelayID {
	u.circuits++
	for try := 1; ; try++ {
		if try > 30 {
			t.Fatalf("no circuit at %v", now)
		}
		for p := u.g.Probe(now); p != nil; p = u.g.Probe(now) {
			if w.up(p.Guard(), now) {
				u.g.Reached(p, now)
				u.g.Done(p)
			} else {
				u.g.Failed(p, now, u.rng)
			}
		}
		path, a, err := u.v.Select(u.g, Need{Port: 443}, now, u.rng)
		if _, spent := errors.AsType[*BudgetError](err); spent {
			u.out++
			return last
		}
		if err != nil {
			t.Fatal(err)
		}
		u.attempts++
		if !w.up(a.Guard(), now) {
			u.g.Failed(a, now, u.rng)
			if _, held := u.g.Held(now); held {
				u.out++
				return last
			}
			continue
		}
		u.g.Reached(a, now)
		if !w.up(path[Middle].ID, now) || !w.up(path[Exit].ID, now) || !u.g.Usable(a, now) {
			u.g.Failed(a, now, u.rng) // further out, or not to be used: no blame
			continue
		}
		u.g.Used(a, now, u.rng)
		u.g.Done(a)
		u.worst = max(u.worst, try)
		if a.Guard() != last && w.up(last, now) && last != (keys.RelayID{}) {
			u.leftFirst++
		}
		u.used[a.Guard()] += pause
		return a.Guard()
	}
}

// A year of browsing: a client keeps to few guards, mostly to one at a time, and
// every circuit succeeds within a few attempts, but for a few hours in which all
// guards that the draw budget lets it use are down.
func TestAYearOfGuards(t *testing.T) {
	for seed := range uint64(2) {
		w, now := newWorld(t, seed), start
		u := &user{g: NewGuards("test"), rng: seeded(seed + 100), used: map[keys.RelayID]time.Duration{}}
		var last keys.RelayID
		for i := range int(365 * day / period) {
			u.v = NewView(w.step(t, now), Options{})
			u.g.Update(u.v, now, u.rng)
			for at := now; at.Before(now.Add(period)); at = at.Add(pause) {
				last = u.browse(t, w, at, last)
			}
			if i%int(30*day/period) == 0 { // a restart a month
				s := u.g.State()
				g, err := RestoreGuards(s, "test", now)
				if err != nil {
					t.Fatal(err)
				}
				u.g = g
				u.g.Update(u.v, now, u.rng)
			}
			now = now.Add(period)
		}
		main := time.Duration(0)
		for _, d := range u.used {
			main = max(main, d)
		}
		t.Logf("seed %d: %d circuits, %d attempts, at most %d for one; %d guards in a year, the longest for %.0f days; %d circuits left a guard that was up, %d had none",
			seed, u.circuits, u.attempts, u.worst, len(u.used), main.Hours()/24, u.leftFirst, u.out)
		if len(u.used) > 6 {
			t.Errorf("seed %d: %d guards carried traffic in a year", seed, len(u.used))
		}
		if main < 60*day {
			t.Errorf("seed %d: no guard was used for longer than %v", seed, main)
		}
		if u.out > u.circuits/100 {
			t.Errorf("seed %d: %d of %d circuits without a guard", seed, u.out, u.circuits)
		}
		if u.attempts > u.circuits*11/10 {
			t.Errorf("seed %d: %d attempts for %d circuits", seed, u.attempts, u.circuits)
		}
		if len(u.g.sample) > maxSample || len(u.g.sample) < 20 {
			t.Errorf("seed %d: %d guards in the sample", seed, len(u.g.sample))
		}
	}
}
