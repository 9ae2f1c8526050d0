package authority

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tunic/directory"
)

// What was taken of a past, to be written or compared, stays as it is while the
// relay goes on: it is read without the registry's lock.
func TestSnapshotOfAPastStays(t *testing.T) {
	var p past
	now := epoch
	d := &directory.Descriptor{Nickname: "first"}
	live := func(n int) {
		for i := range n {
			now = now.Add(time.Hour)
			next := *d
			next.Published = now
			if i%3 == 0 {
				next.Nickname = fmt.Sprint("name", i)
				next.Link.Subject[0]++
			}
			p.describe(d, &next)
			d = &next
			p.started(now)
			p.reached(now, now, i%2 == 0)
			p.missed(now.Add(time.Minute))
		}
	}
	for _, n := range []int{1, 5, maxMoments + 1} { // below the bounds, and at them
		live(n)
		taken, starts := p.snapshot(), p.Starts
		before, moments := asJSON(t, taken), asJSON(t, starts)
		live(maxMoments)
		if asJSON(t, taken) != before || asJSON(t, starts) != moments {
			t.Errorf("a past of %d steps changed after it was taken", n)
		}
		if asJSON(t, p.snapshot()) == before {
			t.Error("nothing has changed since")
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
