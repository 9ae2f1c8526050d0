package ceiling

import (
	"testing"
	"time"
)

// A paced node is a pace with the clock and the traffic that a test plays.
type paced struct {
	t     *testing.T
	p     pace
	now   time.Time
	moved uint64
	use   usage
	steps int
}

func newPaced(t *testing.T, limit uint64) *paced {
	return &paced{t: t, p: pace{limit: limit}, now: time.Unix(1_800_000_000, 0), use: usage{objects: 1 << 20, retained: 10 << 20}}
}

// step asks for a decision.
func (n *paced) step() decision {
	n.steps++
	d := n.p.step(n.now, n.moved, n.use)
	if d.release {
		n.p.released(n.use)
	}
	return d
}

// idle follows the pace without traffic until it sleeps, and returns after how long
// it gave memory back.
func (n *paced) idle() (releases []time.Duration) {
	from := n.now
	for d := n.step(); ; d = n.step() {
		if d.release {
			releases = append(releases, n.now.Sub(from))
		}
		if d.next <= 0 { // as Run takes it
			return releases
		}
		if n.steps > 1000 {
			n.t.Fatal("a node without traffic does not go to sleep")
		}
		n.now = n.now.Add(d.next)
	}
}

// load moves bytes every look for a time.
func (n *paced) load(perSecond uint64, d time.Duration) {
	for end := n.now.Add(d); n.now.Before(end); n.now = n.now.Add(lookEvery) {
		n.moved += perSecond * uint64(lookEvery) / uint64(time.Second)
		if got := n.step(); got.next != lookEvery {
			n.t.Fatalf("under a load the next look is in %v, want %v", got.next, lookEvery)
		}
	}
}

// After a load, and after the start, memory goes back within a minute, and the
// guard sleeps.
func TestMemoryGoesBackAfterALoad(t *testing.T) {
	n := newPaced(t, 1<<30)
	check := func(when string, got []time.Duration) {
		t.Helper()
		if len(got) != 2 || got[0] < releaseFirst-settled || got[0] > releaseFirst || got[1] > releaseAgain || got[1] < releaseAgain-settled {
			t.Errorf("after %s memory was given back after %v", when, got)
		}
	}
	check("the start", n.idle())
	if n.steps > 30 {
		t.Errorf("%d looks until the guard sleeps", n.steps)
	}
	n.now = n.now.Add(time.Hour)
	n.moved += notice // a gauge rings
	if d := n.step(); d.next != lookEvery {
		t.Fatalf("bytes move, and the next look is in %v", d.next)
	}
	n.use.retained = 100 << 20
	n.load(50<<20, time.Minute)
	check("a load", n.idle())
}

// What moves slowly, however long, is no load: it neither keeps memory from going
// back nor has it given back again and again.
func TestMurmurIsNoLoad(t *testing.T) {
	n := newPaced(t, 1<<30)
	n.load(50<<20, 10*time.Second)
	releases := 0
	for range 600 { // ten minutes
		n.now = n.now.Add(time.Second)
		n.moved += 100 << 10
		if n.step().release {
			releases++
		}
	}
	if releases != 2 {
		t.Errorf("memory was given back %d times, want twice", releases)
	}
}

// A load that has not made the process larger is not worth a collection.
func TestSmallLoadsCostNoCollection(t *testing.T) {
	n := newPaced(t, 1<<30)
	n.idle()
	n.use.retained += worthwhile / 2
	for range 10 {
		n.load(5<<20, time.Second)
		if got := n.idle(); len(got) > 0 {
			t.Fatalf("memory was given back after %v", got)
		}
	}
}

// Near the limit the guard looks at what is held, and stays awake, traffic or not.
func TestNearTheLimitTheGuardLooks(t *testing.T) {
	n := newPaced(t, 100<<20)
	for _, row := range []struct {
		objects uint64
		look    bool
		awake   bool
	}{{10 << 20, false, false}, {49 << 20, false, false}, {50 << 20, false, true}, {74 << 20, false, true}, {75 << 20, true, true}, {300 << 20, true, true}} {
		n.use.objects = 0
		n.now = n.now.Add(time.Hour)
		n.idle()
		n.use.objects = row.objects
		d := n.step()
		if d.look != row.look || (d.next == lookEvery) != row.awake {
			t.Errorf("with %d MiB of objects: look %v, next %v", row.objects>>20, d.look, d.next)
		}
	}
}

// What grows though nothing counts as a load is given back too, once a minute at the
// most; what does not shrink by it is not tried for again and again.
func TestSlowGrowthIsGivenBack(t *testing.T) {
	n := newPaced(t, 1<<30)
	n.idle()
	n.use.retained += 2 * slowGrowth
	n.now = n.now.Add(time.Second)
	got := n.idle()
	if len(got) != 1 || got[0] > releaseEvery {
		t.Fatalf("memory was given back after %v, want once within a minute", got)
	}
	for range 10 {
		n.now = n.now.Add(time.Minute)
		n.moved += notice
		if got := n.idle(); len(got) != 0 {
			t.Fatalf("memory that is in use was given back after %v", got)
		}
	}
}

// Where much is held for long after a load, so that the guard looks all the time, both
// releases come afterwards.
func TestMemoryGoesBackAfterALongHold(t *testing.T) {
	n := newPaced(t, 1<<30)
	n.idle()
	n.use.retained = 900 << 20
	n.load(50<<20, time.Minute)
	n.use.objects = 600 << 20
	for end := n.now.Add(2 * releaseAgain); n.now.Before(end); n.now = n.now.Add(lookEvery) {
		if d := n.step(); d.next != lookEvery || d.release {
			t.Fatalf("while much is held: release %v, the next look in %v", d.release, d.next)
		}
	}
	n.use.objects = 1 << 20
	if got := n.idle(); len(got) != 2 {
		t.Errorf("memory was given back after %v, want twice", got)
	}
}
