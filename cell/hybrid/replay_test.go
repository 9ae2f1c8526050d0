package hybrid

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func ephemeral(n int) (e [32]byte) {
	binary.BigEndian.PutUint64(e[:], uint64(n))
	return e
}

func TestReplayRemembers(t *testing.T) {
	r := NewReplay()
	for n := range 1000 {
		if r.Seen(ephemeral(n)) {
			t.Fatalf("%d is new", n)
		}
	}
	for n := range 1000 {
		if !r.Seen(ephemeral(n)) {
			t.Fatalf("%d was seen", n)
		}
	}
}

// At least the last limit ones are remembered, and never more than twice that.
func TestReplayKeepsTwoGenerations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		r := newReplay(limit)
		last := map[int]int{} // when each was first put in
		fresh := 0
		for range 200 {
			n := rapid.IntRange(0, 80).Draw(t, "n")
			at, known := last[n]
			seen := r.Seen(ephemeral(n))
			if !known && seen {
				t.Fatalf("%d was never there", n)
			}
			if known && fresh-at <= limit && !seen {
				t.Fatalf("%d forgotten after %d others", n, fresh-at)
			}
			if known && fresh-at > 2*limit && seen {
				t.Fatalf("%d remembered after %d others", n, fresh-at)
			}
			if !seen {
				fresh++
				last[n] = fresh
			}
			if len(r.current)+len(r.previous) > 2*limit {
				t.Fatalf("%d entries", len(r.current)+len(r.previous))
			}
		}
	})
}

func TestReplayLetsOneOfManyThrough(t *testing.T) {
	r := NewReplay()
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 500 {
				if !r.Seen(ephemeral(n)) {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 500 {
		t.Errorf("%d of 500 passed", passed.Load())
	}
}
