package work

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Who has entries waiting in a full queue is told before it asks; who has none may
// ask, and takes a place from somebody else.
func TestCrowded(t *testing.T) {
	p, release := stopped(t, Config{MaxQueue: 9, MaxDelay: time.Hour})
	defer p.Close()
	defer release()
	for i := range 3 {
		if p.Crowded(Stranger, 1) {
			t.Fatalf("crowded with %d of 3 places taken", i)
		}
		p.Submit(Stranger, 1, func() {}, nil)
	}
	if !p.Crowded(Stranger, 1) || !p.Crowded(Authority+1, 1) {
		t.Error("a source that has the whole queue may ask for more")
	}
	if p.Crowded(Stranger, 2) || !p.Submit(Stranger, 2, func() {}, nil) {
		t.Error("a source without an entry is told to go")
	}
	if p.Crowded(Relay, 1) || p.Crowded(Authority, 1) {
		t.Error("another class has no room")
	}
}

func TestCrowdedByDelay(t *testing.T) {
	p, release := stopped(t, Config{MaxQueue: 10_000, MaxDelay: 100 * firstGuess})
	defer p.Close()
	defer release()
	for !p.Crowded(Relay, 1) {
		if !p.Submit(Relay, 1, func() {}, nil) {
			t.Fatal("refused before it was told")
		}
	}
	if p.Submit(Relay, 1, func() {}, nil) {
		t.Error("told to go, and not refused")
	}
}

// Whatever waits, a source that has entries waiting is told what Submit does then.
func TestCrowdedAgreesWithSubmit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, release := stopped(t, Config{
			MaxQueue: rapid.IntRange(1, 60).Draw(rt, "queue"),
			MaxDelay: firstGuess * time.Duration(rapid.IntRange(1, 100).Draw(rt, "delay")),
		})
		defer p.Close()
		defer release()
		for range rapid.IntRange(1, 100).Draw(rt, "entries") {
			class := Class(rapid.IntRange(0, classes-1).Draw(rt, "class"))
			source := min(rapid.Uint64Range(0, 8).Draw(rt, "source"), rapid.Uint64Range(0, 8).Draw(rt, "or"))
			has, crowded := p.queues[class].waiting(source) > 0, p.Crowded(class, source)
			if taken := p.Submit(class, source, func() {}, nil); crowded && (taken || !has) || has && !taken && !crowded {
				rt.Fatalf("entries waiting: %v, crowded: %v, taken: %v", has, crowded, taken)
			}
		}
	})
}
