package relay

import (
	"testing"

	"tunic/circuit"
)

func TestStreamsAreBounded(t *testing.T) {
	s := newStreams(maxStreams)
	all, h := make([]circuit.Stream, maxStreams+1), new(circuit.Hop)
	add := func(i int) bool { _, ok := s.add(&all[i], h, ""); return ok }
	for i := range maxStreams {
		if !add(i) {
			t.Fatalf("stream %d refused", i)
		}
	}
	if add(maxStreams) {
		t.Error("one stream too many")
	}
	s.remove(&all[0])
	if !add(maxStreams) || s.len() != maxStreams {
		t.Errorf("no room after one has ended: %d", s.len())
	}
	s.setMost(100)
	for i := range maxStreams - 100 {
		s.remove(&all[i+1])
	}
	if s.len() != 100 || add(0) {
		t.Errorf("one more than the new limit, beside %d", s.len())
	}
}

// Who takes all places of an exit with few circuits gives some back to others: to
// each as many as it has itself, but for one.
func TestCircuitsWithManyStreamsMakeRoom(t *testing.T) {
	const most, greedy = 1000, 9
	s := newStreams(most)
	hops := make([]circuit.Hop, greedy+1)
	for i := range most {
		if instead, ok := s.add(new(circuit.Stream), &hops[i%greedy], ""); instead != nil || !ok {
			t.Fatalf("stream %d: %v", i, ok)
		}
	}
	honest := &hops[greedy]
	for i := range most/(greedy+1) - 1 {
		instead, ok := s.add(new(circuit.Stream), honest, "")
		if !ok || instead == nil || s.len() != most {
			t.Fatalf("the honest circuit's stream %d: %v, %d streams", i, ok, s.len())
		}
		s.remove(instead) // when it has ended
	}
	for range 200 {
		s.add(new(circuit.Stream), honest, "")
	}
	for i := range hops {
		if n := s.of[&hops[i]]; n < most/(greedy+1)-2 || n > most/(greedy+1)+looked {
			t.Errorf("circuit %d has %d streams", i, n)
		}
	}
}
