package authority

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory/directorytest"
)

var epoch = directorytest.Epoch

func newHistory(now time.Time) *history { return &history{FirstSeen: now, Faded: fadeNumber(now)} }

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(1, math.Abs(a), math.Abs(b)) }

func TestHistoryCountsPresenceAndAbsence(t *testing.T) {
	now := epoch.Add(time.Hour) // no fade within
	h := newHistory(now)
	h.reached(now)
	h.count(now.Add(30 * time.Minute))
	if !near(h.Up, 1800) || !near(h.Run, 1800) || h.fractionUp() != 1 {
		t.Errorf("half an hour there: %+v", h)
	}
	h.missed(now.Add(time.Hour)) // the run lasted an hour
	h.count(now.Add(2 * time.Hour))
	if !near(h.Up, 3600) || !near(h.Known, 7200) || h.Run != 0 || !near(h.fractionUp(), 0.5) || !near(h.betweenFailures(), 3600) {
		t.Errorf("an hour there, an hour gone: %+v", h)
	}
	h.reached(now.Add(2 * time.Hour))
	h.count(now.Add(5 * time.Hour))
	if !near(h.betweenFailures(), 2*3600) { // runs of one and three hours
		t.Errorf("mean of two runs: %v", h.betweenFailures())
	}
}

func TestTimeWithoutTheAuthorityCountsForNothing(t *testing.T) {
	now := epoch
	h := newHistory(now)
	h.reached(now)
	h.count(now.Add(time.Hour))
	doc, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	after := new(history)
	if err := json.Unmarshal(doc, after); err != nil {
		t.Fatal(err)
	}
	after.reached(now.Add(9 * time.Hour))
	after.count(now.Add(10 * time.Hour))
	if !near(after.Known, 7200) || !near(after.Run, 7200) {
		t.Errorf("down for eight hours: known %v, run %v; want two hours each", after.Known, after.Run)
	}
}

func TestHistoryFades(t *testing.T) {
	h := newHistory(epoch) // noon: a boundary
	h.reached(epoch)
	for i := range 3000 {
		h.count(epoch.Add(time.Duration(i) * time.Hour))
	}
	if limit := fadeEvery.Seconds() / (1 - fade); h.Known > limit || h.Known < 0.99*limit*fade {
		t.Errorf("known for months weighs %v s, at most %v", h.Known, limit)
	}
	if h.Run != 2999*3600 {
		t.Errorf("the run that goes on fades: %v", h.Run)
	}
	h.missed(epoch.Add(3000 * time.Hour))
	h.count(epoch.Add(3000*time.Hour + forgetting*fadeEvery))
	if h.RunWeight > 1e-4 {
		t.Errorf("a run of long ago still weighs %v", h.RunWeight)
	}
}

func TestHowOftenTimeIsCountedChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once, often := newHistory(epoch), newHistory(epoch)
		now := epoch
		for range rapid.IntRange(1, 6).Draw(t, "phases") {
			if rapid.Bool().Draw(t, "there") {
				once.reached(now)
				often.reached(now)
			} else {
				once.missed(now)
				often.missed(now)
			}
			length := time.Duration(rapid.Int64Range(0, int64(60*time.Hour)).Draw(t, "length"))
			for range rapid.IntRange(0, 5).Draw(t, "counts") {
				often.count(now.Add(time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "at"))))
			}
			now = now.Add(length)
		}
		once.count(now)
		often.count(now)
		if !near(once.Up, often.Up) || !near(once.Known, often.Known) || !near(once.Run, often.Run) || !near(once.betweenFailures(), often.betweenFailures()) {
			t.Fatalf("%+v, %+v", once, often)
		}
		if !once.plausible() || once.fractionUp() > 1+1e-9 {
			t.Fatalf("not plausible: %+v", once)
		}
	})
}

func TestRunEndsWithARestartOrAMove(t *testing.T) {
	h := newHistory(epoch)
	h.restarted(epoch, epoch.Add(-time.Hour))
	h.reached(epoch)
	h.restarted(epoch.Add(time.Hour), epoch.Add(-time.Hour+time.Minute)) // the same start, told a little differently
	h.count(epoch.Add(time.Hour))
	if h.RunWeight != 0 {
		t.Error("a run ended without a restart")
	}
	h.restarted(epoch.Add(2*time.Hour), epoch.Add(time.Hour+30*time.Minute))
	if h.RunWeight != 1 || h.Run != 0 {
		t.Errorf("restart: %+v", h)
	}
	h.reached(epoch.Add(2 * time.Hour))
	h.count(epoch.Add(3 * time.Hour))
	h.moved(epoch.Add(3 * time.Hour))
	if !near(h.RunWeight, 2) || !h.LastReached.IsZero() || h.state != unknown {
		t.Errorf("move: %+v", h)
	}
}

func TestOpinionOfRunning(t *testing.T) {
	c := cadence{interval: 20 * time.Minute}
	const young, old = time.Minute, 24 * time.Hour
	for _, tt := range []struct {
		name   string
		h      history
		uptime time.Duration
		want   opinion
	}{
		{"never tested", history{}, old, noOpinion},
		{"one success, young authority", history{LastReached: epoch, tests: 1}, young, up},
		{"one success, old authority", history{LastReached: epoch, tests: 1}, old, up},
		{"not reached yet, young authority", history{tests: 5, failures: 5}, young, noOpinion},
		{"not reached yet, old authority", history{tests: 1, failures: 1}, old, down},
		{"reached before a restart", history{LastReached: epoch.Add(-44 * time.Minute)}, young, up},
		{"reached too long ago, not tested since a restart", history{LastReached: epoch.Add(-46 * time.Minute)}, young, noOpinion},
		{"reached too long ago", history{LastReached: epoch.Add(-46 * time.Minute), tests: 1, failures: 1}, young, down},
		{"failed once", history{LastReached: epoch.Add(-time.Minute), tests: 2, failures: 1}, old, up},
		{"failed three times", history{LastReached: epoch.Add(-30 * time.Minute), tests: 4, failures: 3}, old, down},
	} {
		if got := c.opinionOf(&tt.h, epoch, tt.uptime); got != tt.want {
			t.Errorf("%s: opinion %d, want %d", tt.name, got, tt.want)
		}
	}
}
