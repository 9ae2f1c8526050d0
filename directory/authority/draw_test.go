package authority

import (
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
)

// draws lets authorities vote and tally hour by hour, each with a store of its
// own; at restart they read what is on disk.
type draws struct {
	t      *testing.T
	n      *directorytest.Network
	stores []*store
	own    []*tickets
	values map[time.Time]directory.Digest
}

func newDraws(t *testing.T, authorities int) *draws {
	d := &draws{t: t, n: directorytest.New(authorities), values: map[time.Time]directory.Digest{}}
	for range authorities {
		d.stores = append(d.stores, testStore(t, t.TempDir()))
	}
	d.restart()
	return d
}

func (d *draws) restart() {
	d.own = nil
	for _, s := range d.stores {
		t, err := openTickets(s)
		if err != nil {
			d.t.Fatal(err)
		}
		d.own = append(d.own, t)
	}
}

// round is one period; silent votes nothing, -1: nobody.
func (d *draws) round(i int64, silent int) (withheld int) {
	r := d.n.Round(i)
	var votes []*directory.Vote
	for k, own := range d.own {
		if k == silent {
			continue
		}
		v := d.n.Vote(k, i, nil)
		v.Draw = own.join(v.Author, r.ValidAfter)
		if _, err := v.Sign(d.n.SigningKey(k)); err != nil {
			d.t.Fatal(err)
		}
		votes = append(votes, v)
	}
	res, err := Tally(d.n.Network, r, votes)
	if err != nil {
		d.t.Fatal(err)
	}
	day := directory.Day(r.ValidAfter)
	if v, ok := d.values[day]; ok && v != res.Consensus.Random {
		d.t.Errorf("two values on %v", day)
	}
	d.values[day] = res.Consensus.Random
	for k, own := range d.own {
		if k == silent {
			continue
		}
		w, err := own.hold(i, res.Draw)
		if err != nil {
			d.t.Fatal(err)
		}
		withheld = max(withheld, len(w))
	}
	return withheld
}

func TestRandomValueOfADay(t *testing.T) {
	d := newDraws(t, 3)
	for i := range int64(24 * 4) { // from noon on
		if i%7 == 0 {
			d.restart()
		}
		if w := d.round(i, -1); w != 0 {
			t.Errorf("round %d: %d withheld a number", i, w)
		}
	}
	seen := map[directory.Digest]bool{}
	for day, v := range d.values {
		if v.IsZero() || seen[v] {
			t.Errorf("%v has the value %v", day, v)
		}
		seen[v] = true
	}
	if len(d.values) != 5 {
		t.Errorf("%d days", len(d.values))
	}
}

func TestWhoWithholdsItsNumberIsNamed(t *testing.T) {
	d := newDraws(t, 3)
	named := 0
	for i := range int64(24 * 2) { // the second day: rounds 12 to 35; commitments until 23
		silent := -1
		if i >= 24 && i < 36 {
			silent = 2
		}
		named += d.round(i, silent)
	}
	if named != 1 {
		t.Errorf("%d named, want 1", named)
	}
}
