package sim_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"tunic/cmd/internal/sim"
	"tunic/cmd/internal/sim/population"
	"tunic/cmd/internal/sim/scenario"
	"tunic/directory"
)

// quick is a run that takes about a second: a small synthetic network.
func quick(t *testing.T, s *scenario.Scenario, change func(*sim.Options)) map[string]*sim.Result {
	t.Helper()
	o := sim.Options{Population: population.Synthetic(800, population.Options{Seed: 1}), Scenario: s, Days: 30, Clients: 2000, Seed: 1,
		Starts: []string{sim.Fresh}, Algorithms: sim.Algorithms()}
	if change != nil {
		change(&o)
	}
	results, err := sim.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]*sim.Result{}
	for _, r := range results {
		by[r.Algorithm] = r
	}
	return by
}

func parse(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const aged = "[adversary]\nrelays = 80\nguard_share = 0.2\nexit_share = 0.1\nwait_days = 300\n"

// Relays of one /16, or of one family, are never both ends of a circuit.
func TestAttackInOneRangeOrFamilyGetsNothing(t *testing.T) {
	for name, text := range map[string]string{"range": aged + "slash16 = 1\n", "family": aged + "declare_family = true\n"} {
		for algorithm, r := range quick(t, parse(t, text), func(o *sim.Options) { o.Clients = 800 }) {
			if r.Circuits.Share != 0 || r.Compromised["30"].Share != 0 {
				t.Errorf("one %s, %s: %v of circuits, %v of clients", name, algorithm, r.Circuits.Share, r.Compromised["30"].Share)
			}
			if algorithm != sim.Tunic && r.BadGuard["1"].Share < 0.1 {
				t.Errorf("one %s, %s: bad guards %v: is there an attack?", name, algorithm, r.BadGuard["1"].Share)
			}
		}
	}
}

// Without guards a circuit has both ends bad with g·e, but for the ranges of the
// attacker's that meet; a client of n circuits a day with 1-(1-ge)^n.
func TestClosedForms(t *testing.T) {
	r := quick(t, parse(t, aged), func(o *sim.Options) { o.Algorithms, o.Clients = []string{sim.Tor, sim.TorNoGuards}, 4000 })
	x := r[sim.TorNoGuards]
	ge := x.Attacker.Guard * x.Attacker.Exit
	if math.Abs(x.Attacker.Guard-0.2) > 0.03 || math.Abs(x.Attacker.Exit-0.1) > 0.03 {
		t.Errorf("the attacker has %v of guards and %v of exits", x.Attacker.Guard, x.Attacker.Exit)
	}
	if math.Abs(x.Circuits.Share/ge-1) > 0.05 {
		t.Errorf("%v of circuits, want %v", x.Circuits.Share, ge)
	}
	if want := 1 - math.Pow(1-ge, 24); !(x.Compromised["1"].Low-0.02 < want && want < x.Compromised["1"].High+0.02) {
		t.Errorf("%+v within a day, want %v", x.Compromised["1"], want)
	}
	// Two guards: a client has a bad one with 1-(1-g)²; half of its circuits go
	// through it, so that they are as many as without guards.
	y := r[sim.Tor]
	if want := 1 - math.Pow(1-y.Attacker.Guard, 2); math.Abs(y.BadGuard["1"].Share-want) > 0.03 {
		t.Errorf("bad guards %v, want %v", y.BadGuard["1"].Share, want)
	}
	if math.Abs(y.Circuits.Share/ge-1) > 0.15 {
		t.Errorf("Tor's: %v of circuits, want %v", y.Circuits.Share, ge)
	}
}

// A bad guard that stays sees a bad exit among n circuits with 1-(1-e)^n.
func TestFixedBadGuard(t *testing.T) {
	for n, want := range map[int]float64{10: 0.401, 24: 0.708, 60: 0.954} {
		if p := 1 - math.Pow(0.95, float64(n)); math.Abs(p-want) > 0.001 {
			t.Errorf("%d circuits: %v", n, p)
		}
	}
	r := quick(t, parse(t, "[adversary]\nrelays = 400\nguard_share = 0.9\nexit_share = 0.05\nwait_days = 300\n[clients]\nstreams_per_day = 10\n"),
		func(o *sim.Options) { o.Algorithms, o.Days = []string{sim.Tor}, 1 })[sim.Tor]
	e := r.Attacker.Exit
	// Both guards are bad with 0.81, one with 0.18.
	want := 0.81*(1-math.Pow(1-e, 10)) + 0.18*(1-math.Pow(1-e/2, 10))
	if got := r.Compromised["1"].Share; math.Abs(got-want) > 0.04 {
		t.Errorf("%v within a day, want %v", got, want)
	}
}

func TestNobodyIsCompromisedInPeace(t *testing.T) {
	for algorithm, r := range quick(t, scenario.Peace(), func(o *sim.Options) { o.Clients = 500 }) {
		if r.Circuits.Share != 0 || r.Compromised["30"].Share != 0 || r.Compromised["30"].High > 0.01 {
			t.Errorf("%s: %+v", algorithm, r.Compromised)
		}
	}
}

// Uniform choice has the entropy of as many relays as there are.
// What the code computes as a bound, no attack of a year passes: neither patience
// nor knocking out guards all year long.
func TestNoAttackPassesItsBound(t *testing.T) {
	for name, more := range map[string]string{"trickle": "arrive_over_days = 300\n", "churn": "churn_guards_per_day = 0.2\n"} {
		r := quick(t, parse(t, aged+more), func(o *sim.Options) { o.Algorithms, o.Clients, o.Days = []string{sim.Tunic}, 500, 365 })[sim.Tunic]
		t.Logf("%s: %.1f %% of clients, bound %.1f %%", name, 100*r.Compromised["365"].Share, 100**r.Bound)
		if *r.Bound <= 0 || r.Compromised["365"].Low > *r.Bound {
			t.Errorf("%s: %v compromised, bound %v", name, r.Compromised["365"], *r.Bound)
		}
	}
}

// Where nothing is carried figures are 0, and plots can be drawn.
func TestNothingCarriedIsNoNumberTooMany(t *testing.T) {
	idle := population.Synthetic(50, population.Options{Seed: 1})
	for i := range idle.Relays {
		idle.Relays[i].Ports = directory.PortSummary{}
		idle.Relays[i].Flags &^= directory.Guard
	}
	results, err := sim.Run(context.Background(), sim.Options{Population: idle, Scenario: parse(t, "[adversary]\n"), Days: 3, Clients: 30, Seed: 1,
		Starts: []string{sim.Fresh}, Algorithms: sim.Algorithms()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := sim.WriteSVG(dir, results); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.svg"))
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || bytes.Contains(b, []byte("NaN")) || len(files) != 3 {
			t.Errorf("%s (%v): %s", f, err, b)
		}
	}
	if w := results[0].WithoutGuard; w != 1 {
		t.Errorf("clients without any guard were without one on %v of their days", w)
	}
}

func TestUniformEntropy(t *testing.T) {
	r := quick(t, scenario.Peace(), func(o *sim.Options) { o.Days, o.Clients, o.Algorithms = 1, 1, []string{sim.Uniform} })[sim.Uniform]
	if math.Abs(r.GuardEntropy-r.GuardMinEntropy) > 1e-9 || math.Abs(math.Exp2(r.GuardEntropy)-math.Round(math.Exp2(r.GuardEntropy))) > 1e-6 {
		t.Errorf("guard: %v bits, at least %v", r.GuardEntropy, r.GuardMinEntropy)
	}
	if n := math.Exp2(r.MiddleEntropy); math.Abs(n-800) > 1e-6 {
		t.Errorf("middle: %v relays", n)
	}
}

// What a run gives depends on its seed, not on threads, and not on what else
// runs.
func TestSeedsRepeat(t *testing.T) {
	s := parse(t, aged+"churn_guards_per_day = 0.05\n")
	short := func(threads int, algorithms ...string) map[string]*sim.Result {
		return quick(t, s, func(o *sim.Options) { o.Threads, o.Algorithms, o.Days, o.Clients = threads, algorithms, 10, 1500 })
	}
	one := short(1, sim.Tunic, sim.Tor)
	five := short(5, sim.Tor)
	again := short(3, sim.Tunic)
	if one[sim.Tor].Circuits != five[sim.Tor].Circuits || one[sim.Tor].Compromised["7"] != five[sim.Tor].Compromised["7"] {
		t.Errorf("Tor: %+v and %+v", one[sim.Tor].Circuits, five[sim.Tor].Circuits)
	}
	if one[sim.Tunic].Circuits != again[sim.Tunic].Circuits || one[sim.Tunic].BadGuard["7"] != again[sim.Tunic].BadGuard["7"] {
		t.Errorf("tunic: %+v and %+v", one[sim.Tunic].Circuits, again[sim.Tunic].Circuits)
	}
	other := quick(t, s, func(o *sim.Options) {
		o.Seed, o.Algorithms, o.Days, o.Clients = 2, []string{sim.Tor}, 10, 1500
	})
	if other[sim.Tor].Circuits == one[sim.Tor].Circuits {
		t.Error("another seed, the same figures")
	}
}

// tunic's rules hold off a newcomer whom Tor's let in, and each defence that is
// switched off lets more through or as much.
func TestRulesHelp(t *testing.T) {
	s := parse(t, "[adversary]\nrelays = 100\nguard_share = 0.2\nexit_share = 0.2\n")
	r := quick(t, s, func(o *sim.Options) { o.Algorithms, o.Days = []string{sim.Tunic, sim.Tor}, 30 })
	if r[sim.Tunic].BadGuard["30"].Share > 0.01 || r[sim.Tor].BadGuard["30"].Share < 0.3 {
		t.Errorf("bad guards: tunic %v, Tor %v", r[sim.Tunic].BadGuard["30"].Share, r[sim.Tor].BadGuard["30"].Share)
	}
	bare := quick(t, s, func(o *sim.Options) {
		o.Algorithms, o.Days, o.Rules.Ablate = []string{sim.Tunic}, 30, []string{"ramp", "caps", "refusals", "detection", "sample"}
	})[sim.Tunic]
	if bare.BadGuard["30"].Share < 0.1 {
		t.Errorf("bad guards without rules: %v", bare.BadGuard["30"].Share)
	}
}

func TestWilson(t *testing.T) {
	s := sim.Wilson(10, 100)
	if math.Abs(s.Low-0.0552) > 0.0005 || math.Abs(s.High-0.1744) > 0.0005 {
		t.Errorf("10 of 100: %+v", s)
	}
	if s := sim.Wilson(0, 1000); s.Low != 0 || s.High < 0.003 || s.High > 0.005 {
		t.Errorf("0 of 1000: %+v", s)
	}
}
