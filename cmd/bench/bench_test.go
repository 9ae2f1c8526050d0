package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is also what a part is started from.
func TestMain(m *testing.M) {
	if n := len(PartCommand()); len(os.Args) == n+2 && slices.Equal(os.Args[1:n+1], PartCommand()) {
		if err := ServePart(os.Args[n+1], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// testTime is for each figure: enough for anything to come through.
const testTime = 20 * time.Millisecond

// cases is what each measurement reports, as programs rely on it: case by case the
// names of its figures. processes is run by the tests of the command.
func cases() map[string]map[string][]string {
	perCell := []string{nsPerCell, mibPerSecond}
	perRecord := []string{usEach, nsPerCell, mibPerSecond}
	perHandshake := []string{usEach, perSecondOne, perSecondAll}
	forward := []string{mibPerSecond, coresBusy, cpuPerGiB, capacity}
	relay := map[string][]string{
		"1 circuit on 1 link, one core": forward, "16 circuits on 4 links, one core": forward, "256 circuits on 64 links, one core": forward,
	}
	if runtime.GOMAXPROCS(0) > 1 {
		for _, name := range []string{"1 circuit on 1 link", "16 circuits on 4 links", "256 circuits on 64 links"} {
			relay[name+", all cores"] = forward
		}
	}
	return map[string]map[string][]string{
		"layers": {"relay outward": perCell, "relay inward": perCell, "relay originate": perCell,
			"client originate": perCell, "client outward": perCell, "client inward": perCell},
		"records":    {"sealed, 31 cells": perRecord, "sealed, 1 cell": perRecord, "opened, 31 cells": perRecord},
		"handshakes": {"link, the relay's side": perHandshake, "hop, the relay's side": perHandshake},
		"relay":      relay,
		"floor": {
			"six layers of each cell": {nsPerCell, cpuPerGiB}, "records, three sealed and three opened": {nsPerCell, cpuPerGiB},
			"one TCP hop, 16 KiB at once": {cpuPerGiB}, "one TCP hop, 64 KiB at once": {cpuPerGiB}, "one TCP hop, 16 KiB and waited for": {cpuPerGiB},
			"sum, TCP the cheapest way": {cpuPerGiB, mibPerSecond}, "sum, each record waited for": {cpuPerGiB, mibPerSecond}},
		"network": {"start": {readySeconds}, "one stream": {mibPerSecond, cpuPerGiB}, "eight streams on eight circuits": {mibPerSecond, cpuPerGiB},
			"first byte on a new circuit": {firstMedian, firstP90, cpuPerFetch}},
	}
}

func TestEachMeasurement(t *testing.T) {
	for name, want := range cases() {
		t.Run(name, func(t *testing.T) {
			if name == networkName && testing.Short() {
				t.Skip("starts a network")
			}
			report, err := Run(t.Context(), Options{Only: []string{name}, Short: true, Time: testTime})
			if err != nil {
				t.Fatal(err)
			}
			for _, res := range report.Results {
				figures, ok := want[res.Case]
				if res.Measurement != name || !ok {
					t.Errorf("%s: unexpected case %q of %s", name, res.Case, res.Measurement)
				}
				checkFigures(t, res, figures)
				delete(want, res.Case)
			}
			for missing := range want {
				t.Errorf("%s: no case %q", name, missing)
			}
		})
	}
}

// checkFigures fails unless a result has just those figures, and all are numbers that
// can be.
func checkFigures(t *testing.T, res Result, want []string) {
	t.Helper()
	if !slices.Equal(res.order, want) || len(res.Figures) != len(want) {
		t.Errorf("%s, %s: figures %v, want %v", res.Measurement, res.Case, res.order, want)
	}
	for name, v := range res.Figures {
		if !(v > 0) || math.IsInf(v, 0) {
			t.Errorf("%s, %s: %s is %v", res.Measurement, res.Case, name, v)
		}
		if headings[name] == "" {
			t.Errorf("%s, %s: nothing stands over %s in a table", res.Measurement, res.Case, name)
		}
	}
}

func TestCasesOfEveryMeasurementAreHeld(t *testing.T) {
	want := []string{"layers", "records", "handshakes", "relay", "floor", "network", "processes"}
	if !slices.Equal(Names(), want) {
		t.Errorf("measurements %v, want %v", Names(), want)
	}
	for _, name := range Names() {
		if _, ok := cases()[name]; !ok && name != processesName {
			t.Errorf("nothing is said of the figures of %s", name)
		}
	}
}

func TestUnknownNameListsThoseThereAre(t *testing.T) {
	_, err := Run(t.Context(), Options{Only: []string{"layers", "layer"}})
	if !errors.Is(err, ErrUnknown) {
		t.Fatalf("%v, want ErrUnknown", err)
	}
	for _, name := range append(Names(), `"layer"`) {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

func TestWhatIsChosen(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"nothing said", Options{}, "layers records handshakes relay network processes"},
		{"short", Options{Short: true}, "layers records handshakes relay floor network processes"},
		{"the floor", Options{Floor: true}, "floor network processes"},
		{"by name", Options{Only: []string{"relay", "layers", "relay"}}, "layers relay"},
		{"the floor by name", Options{Only: []string{"floor"}}, "floor"},
		{"the floor beside a name", Options{Floor: true, Only: []string{"network"}}, "floor network"},
	} {
		chosen, err := choose(c.o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range chosen {
			got = append(got, m.name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestTimeHasBounds(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, MinTime - 1, MaxTime + 1} {
		if _, err := Run(t.Context(), Options{Only: []string{"layers"}, Time: d}); err == nil {
			t.Errorf("%v for each figure is taken", d)
		}
	}
}

// Whatever runs when the context ends, Run comes back soon and leaves nothing: the
// check for leaks at the end of the tests sees goroutines of loads and parts.
func TestInterrupted(t *testing.T) {
	for _, name := range []string{"layers", "handshakes", "relay", "floor"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		report, err := Run(ctx, Options{Only: []string{name}, Time: MaxTime})
		cancel()
		if !errors.Is(err, ErrInterrupted) || report != nil {
			t.Errorf("%s: %v, want ErrInterrupted", name, err)
		}
	}
}

func TestFailureNamesStepAndReason(t *testing.T) {
	o := Options{Only: []string{"relay"}, Time: testTime, Executable: "./no-such-program"}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "relay: 1 circuit on 1 link, one core: start a process: ") {
		t.Errorf("%v", err)
	}
}

func TestStepThatTakesFarTooLongIsGivenUp(t *testing.T) {
	hung := errors.New("the consequence only")
	s := step{"hang", -stepPatience / 10, func(ctx context.Context) error { <-ctx.Done(); return hung }}
	if err := s.within(t.Context()); err == nil || errors.Is(err, hung) || !strings.Contains(err.Error(), "not done after") {
		t.Errorf("%v", err)
	}
}

func TestMeasureUndoesTheLastThingFirst(t *testing.T) {
	var order []int
	r := &run{progress: newProgress(nil, nil)}
	fails := errors.New("not well")
	err := r.measure(t.Context(), measurement{name: "m"}, []step{{"start", 0, func(context.Context) error {
		for i := range 3 {
			r.undo = append(r.undo, func() error { order = append(order, i); return nil })
		}
		return fails
	}}, {"never", 0, func(context.Context) error { t.Error("a step after one that failed"); return nil }}})
	if !errors.Is(err, fails) || err.Error() != "m: start: not well" {
		t.Errorf("%v", err)
	}
	if !slices.Equal(order, []int{2, 1, 0}) || len(r.undo) != 0 {
		t.Errorf("undone in the order %v, %d left", order, len(r.undo))
	}
}

func TestProgress(t *testing.T) {
	steps := [][]step{{{"a", 2 * time.Second, nil}, {"b", 3 * time.Second, nil}}, {{"c", 5 * time.Second, nil}}}
	var out bytes.Buffer
	p := newProgress(&out, steps)
	var lines []string
	for i, part := range steps {
		for _, s := range part {
			p.begin(fmt.Sprint("m", i), s)
			lines = append(lines, p.line(fmt.Sprint("m", i), s))
			p.done(s)
		}
	}
	p.end()
	want := []string{"[1/3] m0: a (about 10s left)", "[2/3] m0: b (about 8s left)", "[3/3] m1: c (about 5s left)"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	if out.Len() > 0 {
		t.Errorf("what is no terminal gets %q", out.String())
	}
}
