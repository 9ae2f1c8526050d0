package congestion

import "testing"

// cycle sends and acknowledges one interval.
func cycle(t testing.TB, s *Sender, r *Receiver, n *int) {
	for {
		*n++
		sendOne(s, *n, epoch)
		if !r.Received() {
			continue
		}
		r.Acked()
		if err := s.Sendme(tagOf(*n), epoch, false); err != nil {
			t.Fatal(err)
		}
		return
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	s, r, n := NewSender(Default()), NewReceiver(Default()), 0
	cycle(t, s, r, &n)
	if got := testing.AllocsPerRun(100, func() { cycle(t, s, r, &n) }); got != 0 {
		t.Errorf("%v allocations in 31 cells, want 0", got)
	}
}

func BenchmarkInterval(b *testing.B) {
	s, r, n := NewSender(Default()), NewReceiver(Default()), 0
	b.ReportAllocs()
	for b.Loop() {
		cycle(b, s, r, &n)
	}
}
