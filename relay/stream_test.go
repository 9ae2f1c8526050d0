package relay

import (
	"testing"

	"tunic/circuit"
)

func TestStreamsAreBounded(t *testing.T) {
	s := streams{most: maxStreams, all: make(map[*circuit.Stream]openStream)}
	all := make([]circuit.Stream, maxStreams+1)
	for i := range maxStreams {
		if !s.add(&all[i], "") {
			t.Fatalf("stream %d refused", i)
		}
	}
	if s.add(&all[maxStreams], "") {
		t.Error("one stream too many")
	}
	s.remove(&all[0])
	if !s.add(&all[maxStreams], "") || s.len() != maxStreams {
		t.Errorf("no room after one has ended: %d", s.len())
	}
	s.setMost(100)
	for i := range maxStreams - 100 {
		s.remove(&all[i+1])
	}
	if s.len() != 100 || s.add(&all[0], "") {
		t.Errorf("one more than the new limit, beside %d", s.len())
	}
}
