package congestion

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A scene is one circuit on a path of 100 Mbit/s and 40 ms, 967 cells, that has run
// for five seconds when trouble comes.
type scene struct {
	*world
	f *flow
}

const (
	sceneRate = 100
	sceneTrip = 40 * time.Millisecond
	sceneBDP  = 967
)

func newScene(t *testing.T, p Params) *scene {
	t.Helper()
	s := &scene{&world{}, connect(p, [3]float64{2 * sceneRate, sceneRate, 2 * sceneRate}, sceneTrip, nil)}
	s.start(s.f, 0)
	s.run(5 * time.Second)
	return s
}

// used lets time pass, and returns which part of the path's rate the circuit had.
func (s *scene) used(t *testing.T, during time.Duration) float64 {
	t.Helper()
	before := s.f.delivered
	s.run(s.now + during)
	if s.err != nil {
		t.Fatal(s.err)
	}
	return float64(s.f.delivered-before) * float64(perCell(sceneRate)) / float64(during)
}

// recovers gives the circuit 20 round trips to get over trouble.
func (s *scene) recovers(t *testing.T, trouble string) {
	t.Helper()
	s.used(t, 20*sceneTrip)
	s.recovered(t, trouble)
}

// recovered shows that the circuit has got over trouble: it uses the path, and no more
// waits there than ever.
func (s *scene) recovered(t *testing.T, trouble string) {
	t.Helper()
	s.f.out[1].look(s.world)
	from := s.now
	if got := s.used(t, 5*time.Second); got < 0.85 {
		t.Errorf("%s: %.2f of the rate from 20 round trips later, want 0.85", trouble, got)
	}
	if queue, _ := s.f.out[1].mean(s.world, from); queue > sceneBDP/2 {
		t.Errorf("%s: %.0f cells wait from 20 round trips later, want %d at most", trouble, queue, sceneBDP/2)
	}
}

// TestSurvivesClockJump moves the sender's clock, ahead and back.
func TestSurvivesClockJump(t *testing.T) {
	for _, jump := range []time.Duration{
		time.Millisecond, 100 * time.Millisecond, 10 * time.Second, time.Hour,
		-time.Millisecond, -100 * time.Millisecond, -10 * time.Second, -time.Hour,
	} {
		s := newScene(t, Default())
		s.skip += jump
		s.recovers(t, fmt.Sprintf("a jump of %v", jump))
	}
}

// TestSurvivesStandingClock suspends the sender's machine: its clock stands still,
// and what came meanwhile comes at once. The round trips look shorter than they
// are.
func TestSurvivesStandingClock(t *testing.T) {
	for _, pause := range []time.Duration{20 * time.Millisecond, 300 * time.Millisecond, 5 * time.Second} {
		s := newScene(t, Default())
		s.f.back.stop()
		s.run(s.now + pause)
		s.skip -= pause
		s.f.back.resume(s.world)
		s.recovers(t, fmt.Sprintf("suspended for %v", pause))
	}
}

// TestClockThatStandsStill has no round trip take any time.
func TestClockThatStandsStill(t *testing.T) {
	s := &scene{&world{}, connect(Default(), [3]float64{2 * sceneRate, sceneRate, 2 * sceneRate}, sceneTrip, nil)}
	s.start(s.f, 0)
	for range 500 {
		s.run(s.now + 10*time.Millisecond)
		s.skip = -s.now
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	if w := s.f.s.Window(); w < Default().SendmeInc || s.f.delivered < 5_000 {
		t.Errorf("a window of %d, %d cells delivered, want 5,000", w, s.f.delivered)
	}
}

// TestSurvivesStalledHop has a hop pass nothing on for a while: no more than before is
// on the way meanwhile, and the time is not taken for the path's.
func TestSurvivesStalledHop(t *testing.T) {
	for hop := range 3 {
		for _, pause := range []time.Duration{100 * time.Millisecond, 2 * time.Second} {
			s := newScene(t, Default())
			name := fmt.Sprintf("hop %d stalled for %v", hop, pause)
			stalled := s.f.out[hop]
			stalled.stop()
			s.run(s.now + pause)
			if n := s.f.s.inflight; n > 2*sceneBDP {
				t.Errorf("%s: %d cells on the way, want %d at most", name, n, 2*sceneBDP)
			}
			stalled.resume(s.world)
			if got := s.used(t, 20*sceneTrip); got < 0.6 {
				t.Errorf("%s: %.2f of the rate in the 20 round trips after, want 0.6", name, got)
			}
			s.recovered(t, name)
		}
	}
}

// TestPathGetsLonger and shorter again, by more than the queue's share of it.
func TestPathGetsLonger(t *testing.T) {
	s := newScene(t, Default())
	s.f.out[2].delay += 2 * sceneTrip
	s.used(t, 30*time.Second) // until the base of before is forgotten
	if got := s.used(t, 10*time.Second); got < 0.85 {
		t.Errorf("on a path three times as long: %.2f of the rate, want 0.85", got)
	}
	s.f.out[2].delay -= 2 * sceneTrip
	s.used(t, 20*sceneTrip)
	s.f.out[1].look(s.world)
	from := s.now
	if got := s.used(t, 10*time.Second); got < 0.85 {
		t.Errorf("on the short path again: %.2f of the rate, want 0.85", got)
	}
	if queue, _ := s.f.out[1].mean(s.world, from); queue > 2*sceneBDP {
		t.Errorf("on the short path again: %.0f cells wait", queue)
	}
}

// TestNarrowerAndWider changes the rate of the bottleneck.
func TestNarrowerAndWider(t *testing.T) {
	s := newScene(t, Default())
	narrow := s.f.out[1]
	narrow.cell *= 10
	s.used(t, 5*time.Second)
	narrow.look(s.world)
	from := s.now
	if got := s.used(t, 5*time.Second); got < 0.085 {
		t.Errorf("at a tenth of the rate: %.3f used, want 0.085", got)
	}
	if queue, _ := narrow.mean(s.world, from); queue > 200 { // two products of the new path
		t.Errorf("at a tenth of the rate %.0f cells wait", queue)
	}
	narrow.cell /= 10
	s.used(t, 40*sceneTrip)
	if got := s.used(t, 5*time.Second); got < 0.85 {
		t.Errorf("at the old rate again: %.2f used, want 0.85", got)
	}
}

// TestUnusedWindowDoesNotGrow has an application that sends a quarter of what the
// path could carry, then all it can.
func TestUnusedWindowDoesNotGrow(t *testing.T) {
	s := &scene{&world{}, connect(Default(), [3]float64{2 * sceneRate, sceneRate, 2 * sceneRate}, sceneTrip, nil)}
	s.f.rate = perCell(sceneRate / 4)
	s.start(s.f, 0)
	s.run(30 * time.Second)
	if w := s.f.s.Window(); w > 600 { // twice what is on the way, and a SENDME or two
		t.Errorf("a window of %d, though %d cells are in use", w, s.f.s.inflight)
	}
	s.f.rate = 0
	s.used(t, 20*sceneTrip)
	if got := s.used(t, 5*time.Second); got < 0.85 {
		t.Errorf("with more to send: %.2f of the rate from 20 round trips later, want 0.85", got)
	}
}

// TestPagesAfterPauses has an application that sends 100 cells once in a second: no
// pause leaves it with a window that holds it up.
func TestPagesAfterPauses(t *testing.T) {
	s := &scene{&world{}, connect(Default(), [3]float64{2 * sceneRate, sceneRate, 2 * sceneRate}, sceneTrip, nil)}
	for i := range 60 {
		s.f.left = 100
		before := s.f.delivered
		s.do(s.now, func() { s.f.pump(s.world) })
		s.run(s.now + sceneTrip)
		if n := s.f.delivered - before; n != 100 {
			t.Errorf("page %d: %d cells within a round trip", i, n)
		}
		s.run(s.now + time.Second)
	}
}

// TestBesideOthers shares the bottleneck with bursts of other people's traffic.
func TestBesideOthers(t *testing.T) {
	for _, share := range []float64{0.1, 0.3, 0.6} {
		s := newScene(t, Default())
		c := &crowd{on: s.f.out[1], share: share, burst: 40, draw: rand.New(rand.NewPCG(1, 2))}
		s.plan(s.now, c)
		s.used(t, 20*sceneTrip)
		if got := s.used(t, 20*time.Second) / (1 - share); got < 0.85 {
			t.Errorf("others have %.1f: %.2f of the rest, want 0.85", share, got)
		}
	}
}

// TestCheatingReceiverIsCutOff has receivers that want more than their share.
func TestCheatingReceiverIsCutOff(t *testing.T) {
	for name, cheat := range map[string]struct {
		tag  func(f *flow, n int) int // of the cell that the SENDME names, for the n-th
		want error
	}{
		"the next one early": {func(_ *flow, n int) int { return n + 31 }, ErrWrongTag},
		"one not sent yet":   {func(f *flow, _ int) int { return f.sent + 31 }, ErrWrongTag},
		"a made-up tag":      {func(_ *flow, n int) int { return n + 1 }, ErrWrongTag},
		"the last one again": {func(_ *flow, n int) int { return n - 31 }, ErrWrongTag},
	} {
		s := newScene(t, Default())
		honest := s.f.back.to
		s.f.back.to = func(w *world, p packet) { honest(w, packet{p.of, cheat.tag(p.of, p.n)}) }
		s.run(s.now + time.Second)
		if !errors.Is(s.err, cheat.want) {
			t.Errorf("%s: %v, want %v", name, s.err, cheat.want)
		}
	}
	s := newScene(t, Default())
	honest := s.f.back.to
	s.f.left = 0
	s.run(s.now + time.Second) // everything is acknowledged
	honest(s.world, packet{s.f, s.f.sent})
	if !errors.Is(s.err, ErrNotOwed) {
		t.Errorf("one too many: %v, want ErrNotOwed", s.err)
	}
}
