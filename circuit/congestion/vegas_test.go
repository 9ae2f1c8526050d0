package congestion

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = time.Millisecond

// A played is a window that a test plays SENDMEs to.
type played struct {
	*vegas
	now time.Duration
}

func play(p Params) *played { return &played{vegas: newVegas(p)} }

// turns plays a round in which the whole window, or as many cells as given, is sent
// at once, and each of its SENDMEs comes after the given time.
func (p *played) turns(cells int, rtt time.Duration, blocked bool) {
	sent := p.now
	p.now += rtt
	for n := p.p.SendmeInc; n <= cells; n += p.p.SendmeInc {
		p.sent(cells, sent)
	}
	for n := p.p.SendmeInc; n <= cells; n += p.p.SendmeInc {
		p.acked(ack{sent: sent, cells: cells, now: p.now, blocked: blocked})
	}
	p.now++
}

// settle brings a window to the steady state: base is the path's time, cwnd the
// window, at 10,000 cells a second, where thresholds hold as they are.
func settle(cwnd int, base time.Duration) *played {
	p := play(Default())
	p.steady, p.rounds, p.cwnd = true, settling+1, cwnd
	p.dip.epoch = time.Hour
	p.sees.base = base
	p.sees.rtt = time.Duration(cwnd) * time.Second / referenceRate
	p.sees.rate = referenceRate
	return p
}

// TestRules has cells wait in the steady state, and looks at the next window. At
// 10,000 cells a second a window of 1,240 takes 124 ms.
func TestRules(t *testing.T) {
	const cwnd, rtt = 1_240, 124 * ms
	waiting := func(cells int) time.Duration { return rtt - time.Duration(cells)*time.Second/referenceRate }
	for _, tt := range []struct {
		name    string
		waiting int // cells
		unused  int // of the window
		blocked bool
		want    int
	}{
		{"fewer than alpha: up by half of what lacks", 100, 0, false, cwnd + 43},
		{"hardly fewer: up by a step", 180, 0, false, cwnd + 31},
		{"fewer, but the window is not used up", 100, 125, false, cwnd},
		{"fewer, and the window all but used up", 100, 124, false, cwnd + 43},
		{"between alpha and beta", 200, 0, false, cwnd},
		{"between them, and blocked", 200, 0, true, cwnd - 31},
		{"none, and blocked", 0, 0, true, cwnd - 31},
		{"more than beta: down by a step", 240, 0, false, cwnd - 31},
		{"many more: down by half of what is too much", 300, 0, false, cwnd - 41},
		{"more than delta: cut to beta", 600, 0, false, 640 + 217},
		{"much more than delta: cut in half", 1_000, 0, false, cwnd / 2},
		{"none: up by a step", 0, 0, false, cwnd + 93},
	} {
		p := settle(cwnd, waiting(tt.waiting))
		p.sent(cwnd-tt.unused, p.now)
		p.sees.whole = standing{rtt, cwnd, 40}
		p.vegas.blocked = tt.blocked
		p.move()
		if d := p.cwnd - tt.want; d < -1 || d > 1 { // a cell of rounding
			t.Errorf("%s: %d, want %d", tt.name, p.cwnd, tt.want)
		}
	}
}

// TestGrowsFasterWhileNothingWaits counts rounds from 1,000 cells to 8,000.
func TestGrowsFasterWhileNothingWaits(t *testing.T) {
	p := settle(1_000, 100*ms)
	rounds := 0
	for before := p.cwnd; p.cwnd < 8_000; before = p.cwnd {
		if rounds++; rounds > 20 {
			t.Fatalf("a window of %d after 20 rounds", p.cwnd)
		}
		p.turns(p.cwnd, 100*ms, false)
		if p.cwnd > before+before/growthShare+100 {
			t.Errorf("round %d: from %d to %d", rounds, before, p.cwnd)
		}
	}
}

func TestSlowStart(t *testing.T) {
	t.Run("grows by what is acknowledged", func(t *testing.T) {
		p := play(Default())
		for _, want := range []int{248 + 8*31, 496 + 16*31, 992 + 32*31} {
			p.turns(p.cwnd, 50*ms, false)
			if p.cwnd != want || p.steady {
				t.Fatalf("a window of %d, want %d", p.cwnd, want)
			}
		}
	})
	t.Run("not when it is not used", func(t *testing.T) {
		p := play(Default())
		for range 10 {
			p.turns(62, 50*ms, false)
		}
		if p.cwnd != Default().CwndInit {
			t.Errorf("a window of %d, though 62 cells were on the way", p.cwnd)
		}
	})
	t.Run("ends when cells wait", func(t *testing.T) {
		p := play(Default())
		p.turns(p.cwnd, 50*ms, false)
		p.turns(p.cwnd, 100*ms, false) // half of 496 waits
		if !p.steady || p.cwnd > 248+186 || p.window() >= 248 {
			t.Errorf("steady %v, a window of %d, %d in the dip", p.steady, p.cwnd, p.window())
		}
	})
	t.Run("ends when the first link takes no more", func(t *testing.T) {
		p := play(Default())
		p.turns(p.cwnd, 50*ms, true)
		if !p.steady || p.cwnd > Default().CwndInit {
			t.Errorf("steady %v, a window of %d", p.steady, p.cwnd)
		}
	})
	t.Run("ends at the largest window", func(t *testing.T) {
		p := play(Default())
		for range 10 {
			p.turns(p.cwnd, 50*ms, false)
		}
		if !p.steady || p.cwnd != MaxWindow {
			t.Errorf("steady %v, a window of %d", p.steady, p.cwnd)
		}
	})
}

func TestDipEnds(t *testing.T) {
	sunk := func() *played {
		p := settle(1_000, 50*ms)
		p.now = time.Second
		p.sink(p.now, standing{100 * ms, 1_000, 10})
		if want := 500 - Default().Delta; p.window() != want {
			t.Fatalf("a window of %d in the dip, want %d", p.window(), want)
		}
		return p
	}
	t.Run("after two rounds", func(t *testing.T) {
		p := sunk()
		p.acked(ack{sent: p.now - 1, cells: 1_000, now: p.now + 99*ms}) // of before
		p.now += 100 * ms
		for round := range dipRounds {
			if p.window() == p.cwnd {
				t.Fatalf("over before round %d", round)
			}
			p.turns(155, 100*ms, false)
		}
		if p.window() != 1_000 {
			t.Errorf("a window of %d after it", p.window())
		}
	})
	t.Run("when nothing more is sent", func(t *testing.T) {
		p := sunk()
		p.sent(1, p.now+200*ms)
		if p.window() == p.cwnd {
			t.Error("over while its SENDMEs may still come")
		}
		p.sent(2, p.now+idleTrips*100*ms+1)
		if p.window() != 1_000 {
			t.Errorf("a window of %d long after it", p.window())
		}
	})
	t.Run("not sooner for a clock that jumps", func(t *testing.T) {
		p := sunk()
		p.dip.left = waitRounds
		p.sees.rtt, p.sees.rate = time.Second, mostRate // so that the jump is believed
		p.acked(ack{sent: p.now + 1, cells: p.dip.to, now: p.now + 15*time.Minute})
		if p.dip.left != waitRounds-1 {
			t.Errorf("%d rounds left, want %d", p.dip.left, waitRounds-1)
		}
	})
}

// TestClockChecks are proposal 324's.
func TestClockChecks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		stalled bool // the clock has shown no time before
		steady  bool
		rtt     time.Duration // usual: 50 ms
		want    bool
	}{
		{"as usual", false, true, 60 * ms, true},
		{"no time", false, true, 0, false},
		{"less than none", false, true, -1, false},
		{"no time, in slow start", false, false, 0, false},
		{"much more", false, true, 250 * time.Second, true},
		{"a jump", false, true, 251 * time.Second, false},
		{"a jump, in slow start", false, false, 251 * time.Second, true},
		{"very short", false, true, 9 * time.Microsecond, true},
		{"very short, with a clock that stood", true, true, 9 * time.Microsecond, false},
		{"short, with a clock that stood", true, true, 11 * time.Microsecond, true},
	} {
		w := view{rtt: 50 * ms, stalled: tt.stalled}
		if got := w.believable(tt.rtt, tt.steady); got != tt.want {
			t.Errorf("%s: believed: %v", tt.name, got)
		}
		if want := !tt.want && tt.rtt <= 0 || !tt.want && tt.stalled; w.stalled != want {
			t.Errorf("%s: the clock counts as standing: %v", tt.name, w.stalled)
		}
	}
}

func TestSmooth(t *testing.T) {
	for _, tt := range []struct{ old, sample, n, want int64 }{
		{100, 100, 10, 100}, {100, 0, 2, 33}, {0, 90, 2, 60}, {100, 210, 10, 120}, {7, 8, 255, 7},
	} {
		if got := smooth(tt.old, tt.sample, tt.n); got != tt.want {
			t.Errorf("smooth(%d, %d, %d) = %d, want %d", tt.old, tt.sample, tt.n, got, tt.want)
		}
	}
}

func TestThresholdsFollowTheRate(t *testing.T) {
	for _, tt := range []struct{ rate, want int }{
		{0, 61}, {100, 61}, {1_108, 61}, {2_500, 93}, {10_000, 186}, {40_000, 372}, {250_000, 930}, {mostRate, 1_488},
	} {
		w := view{rate: tt.rate}
		if got := w.scaled(186); got != tt.want {
			t.Errorf("186 at %d cells a second: %d, want %d", tt.rate, got, tt.want)
		}
	}
}

func TestRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 1<<62).Draw(t, "n")
		if r := root(n); r*r > n || (r+1)*(r+1) <= n {
			t.Errorf("root(%d) = %d", n, r)
		}
	})
}

// TestBaseIsForgotten has the shortest time count for two epochs.
func TestBaseIsForgotten(t *testing.T) {
	w := view{base: 10 * ms}
	for i, want := range []time.Duration{10 * ms, 10 * ms, 30 * ms} {
		if got := w.shortest(); got != want {
			t.Errorf("after %d epochs: %v, want %v", i, got, want)
		}
		w.age()
		if w.shortest() == 0 {
			t.Error("none at all")
		}
		w.base = 30 * ms
	}
}

// TestCrowdedSendmesShowNoBase has SENDMEs wait while the clock stands: the later
// ones come at once, and seem to be fast.
func TestCrowdedSendmesShowNoBase(t *testing.T) {
	p := settle(1_000, 50*ms)
	p.acked(ack{sent: 0, cells: 31, now: 50 * ms})
	for sent := ms; sent < 49*ms; sent += ms {
		p.acked(ack{sent: sent, cells: 1_000, now: 50*ms + sent/1_000})
	}
	if p.sees.shortest() != 50*ms {
		t.Errorf("the base is %v, want 50ms", p.sees.shortest())
	}
}

// drawParams draws parameters, most of them not sensible.
func drawParams(t *rapid.T) Params {
	draw := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
	return Params{
		SendmeInc: draw("inc", 254), CwndInit: draw("init", 10_000), CwndMin: draw("min", 1_000), CwndMax: draw("max", MaxWindow),
		Alpha: draw("alpha", 1_000), Beta: draw("beta", 2_000), Delta: draw("delta", 4_000), Gamma: draw("gamma", 4_000),
		Step: draw("step", 1_000), SlowStart: draw("slow start", 100), FullGap: draw("gap", 16), EwmaMax: draw("ewma", 255), BaseAge: draw("age", 3),
	}.Clamp()
}

// TestAnySchedule plays SENDMEs in any rhythm on any clock: the window stays inside
// its bounds, and there is always room, or a SENDME on its way.
func TestAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawParams(t)
		s := NewSender(p)
		v := s.control.(*vegas)
		now, sent, acked := epoch, 0, 0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int64{
				0, 1, 1_000, int64(ms), int64(20 * ms), int64(time.Second), int64(time.Hour), -int64(ms), -int64(time.Hour),
			}).Draw(t, "time")))
			for range min(s.Room(), rapid.IntRange(0, 1_000).Draw(t, "send")) {
				sent++
				sendOne(s, sent, now)
			}
			for range min((sent-acked)/p.SendmeInc, rapid.IntRange(0, 40).Draw(t, "sendmes")) {
				acked += p.SendmeInc
				if err := s.Sendme(tagOf(acked), now, rapid.Bool().Draw(t, "blocked")); err != nil {
					t.Fatal(err)
				}
			}
			if w := s.Window(); w < p.SendmeInc || w > p.CwndMax {
				t.Fatalf("a window of %d with %+v", w, p)
			}
			if v.cwnd < p.CwndMin || v.cwnd > p.CwndMax {
				t.Fatalf("a window of %d beside a dip with %+v", v.cwnd, p)
			}
			if s.Room() == 0 && sent-acked < p.SendmeInc {
				t.Fatalf("no room with %d cells on the way, window %d", sent-acked, s.Window())
			}
		}
	})
}
