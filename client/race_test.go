package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tunic/cell/link"
	"tunic/directory"
	"tunic/directory/keys"
)

// Who is asked for the consensus on a first start, and when.
func TestFirstStartAsksMirrorsThenAuthorities(t *testing.T) {
	const fails, hangs = "fails", "hangs"
	type step struct {
		at   time.Duration
		what string // mirror or authority
	}
	for _, test := range []struct {
		name    string
		mirrors int
		mirror  string // what mirrors do
		want    []step
	}{
		{"no mirrors named", 0, "", []step{{0, "authority"}}},
		{"a mirror answers", 5, "", []step{{0, "mirror"}}},
		{"mirrors fail", 5, fails, []step{{0, "mirror"}, {0, "mirror"}, {0, "mirror"}, {0, "authority"}}},
		{"mirrors hang", 5, hangs, []step{{0, "mirror"}, {2 * time.Second, "mirror"}, {4 * time.Second, "mirror"}, {6 * time.Second, "authority"}}},
		{"the only mirror hangs", 1, hangs, []step{{0, "mirror"}, {6 * time.Second, "authority"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7, 3)
				w.slow(0)
				for i := range test.mirrors {
					f := directory.Fallback{ID: relayID(string(rune('A' + i)))}
					w.file.Fallbacks = append(w.file.Fallbacks, f)
					w.dead[f.ID], w.silent[f.ID] = test.mirror == fails, test.mirror == hangs
				}
				began := time.Now()
				var got []step
				w.sources = func(link.Target) error { return nil }
				c := launchIn(t, w, t.TempDir(), &memory{}, nil)
				seen := 0
				for range 100 { // a look every 100 ms
					synctest.Wait()
					w.mu.Lock()
					for _, id := range w.asked[seen:] {
						got = append(got, step{time.Since(began), kind(w.file, id)})
					}
					seen = len(w.asked)
					w.mu.Unlock()
					time.Sleep(100 * time.Millisecond)
				}
				ready(t, c)
				c.Close()
				if !slices.Equal(got, test.want) {
					t.Errorf("asked %v, want %v", got, test.want)
				}
			})
		})
	}
}

func kind(n *directory.Network, id keys.RelayID) string {
	for _, f := range n.Fallbacks {
		if f.ID == id {
			return "mirror"
		}
	}
	for _, a := range n.Authorities {
		if a.ID == id {
			return "authority"
		}
	}
	return "relay"
}

func TestRaceReportsEverySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errs := []error{errors.New("one"), errors.New("two"), errors.New("three")}
		i := 0
		r := race{start: func(f func()) { go f() }, mirrors: make([]link.Target, 2), authorities: make([]link.Target, 1)}
		r.ask = func(context.Context, link.Target) (*directory.Bundle, error) {
			i++
			return nil, errs[i-1]
		}
		_, err := r.run(t.Context())
		for _, e := range errs {
			if !errors.Is(err, e) {
				t.Errorf("error %v lacks %v", err, e)
			}
		}
	})
}

// Many clients that start spread over mirrors and authorities.
func TestSourcesAreDrawn(t *testing.T) {
	w := newWorld(t, 7, 3)
	for i := range 10 {
		w.file.Fallbacks = append(w.file.Fallbacks, directory.Fallback{ID: relayID(string(rune('A' + i)))})
	}
	synctest.Test(t, func(t *testing.T) {
		c := launch(t, w)
		defer c.Close()
		first := map[keys.RelayID]int{}
		for range 1000 {
			m, a := c.sources()
			if len(m) != bootstrapMirrors || len(a) != 3 {
				t.Fatalf("%d mirrors, %d authorities", len(m), len(a))
			}
			first[m[0].ID]++
			first[a[0].ID]++
		}
		if len(first) != 13 {
			t.Errorf("%d of 13 are ever the first", len(first))
		}
	})
}
