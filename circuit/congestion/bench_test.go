package congestion

import (
	"testing"
	"time"
	"unsafe"
)

// cycle sends and acknowledges one interval, 20 ms later.
func cycle(t testing.TB, s *Sender, r *Receiver, n *int) {
	now := epoch.Add(time.Duration(*n) * time.Millisecond)
	for {
		*n++
		sendOne(s, *n, now)
		if !r.Received() {
			continue
		}
		r.Acked()
		if err := s.Sendme(tagOf(*n), now.Add(20*time.Millisecond), false); err != nil {
			t.Fatal(err)
		}
		return
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	s, r, n := NewSender(Default()), NewReceiver(Default()), 0
	cycle(t, s, r, &n)
	if got := testing.AllocsPerRun(1_000, func() { cycle(t, s, r, &n) }); got != 0 {
		t.Errorf("%v allocations in 31 cells, want 0", got)
	}
}

// TestIdleSenderIsSmall bounds what a circuit without a cell on the way holds here.
func TestIdleSenderIsSmall(t *testing.T) {
	const most = 640 // bytes, of both ends together
	if n := unsafe.Sizeof(Sender{}) + unsafe.Sizeof(vegas{}) + unsafe.Sizeof(Receiver{}); n > most {
		t.Errorf("%d bytes, want %d", n, most)
	}
	s := NewSender(Default())
	for n := 1; s.Room() > 0; n++ {
		sendOne(s, n, epoch)
	}
	s.Rest()
	for n := 31; s.inflight >= 31; n += 31 {
		if err := s.Sendme(tagOf(n), epoch.Add(time.Second), false); err != nil {
			t.Fatalf("after a rest with cells on the way: %v", err)
		}
	}
	s.Rest()
	if s.marks.ring != nil {
		t.Errorf("%d marks of memory with nothing on the way", len(s.marks.ring))
	}
}

func BenchmarkInterval(b *testing.B) {
	s, r, n := NewSender(Default()), NewReceiver(Default()), 0
	b.ReportAllocs()
	for b.Loop() {
		cycle(b, s, r, &n)
	}
}

// BenchmarkSendme is what the window costs for each SENDME.
func BenchmarkSendme(b *testing.B) {
	v, now := newVegas(Default()), time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += time.Millisecond
		v.sent(v.window(), now)
		v.acked(ack{sent: now, cells: v.window(), now: now + 20*time.Millisecond})
	}
}

// BenchmarkSimulation is one second of a circuit on a path of 1 Gbit/s.
func BenchmarkSimulation(b *testing.B) {
	for b.Loop() {
		w := &world{}
		f := connect(Default(), [3]float64{2_000, 1_000, 2_000}, 20*time.Millisecond, nil)
		w.start(f, 0)
		w.run(time.Second)
		b.ReportMetric(float64(f.delivered), "cells")
	}
}
