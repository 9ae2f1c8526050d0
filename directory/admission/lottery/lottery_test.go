package lottery

import (
	"slices"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

// table is a network of authorities that play day after day, an hour a period.
type table struct {
	t       *testing.T
	n       *directory.Network
	players []player
	now     time.Time // valid-after of the next period
	last    directory.Draw
}

type player struct {
	id     keys.RelayID
	secret Secret
	held   directory.Draw
	away   bool
	vote   func(honest directory.Draw) directory.Draw // nil: honest
}

func newTable(t *testing.T, authorities int) *table {
	n := directorytest.New(authorities)
	tb := &table{t: t, n: n.Network, now: directorytest.Epoch}
	for i := range n.Authorities {
		tb.players = append(tb.players, player{id: n.Authorities[i].ID, secret: Secret{byte(i + 1)}})
	}
	return tb
}

// play runs periods; everybody who is there holds what the ballots lead to.
func (tb *table) play(periods int) directory.Draw {
	for range periods {
		var ballots []Ballot
		for _, p := range tb.players {
			if p.away {
				continue
			}
			d := Join(p.held, p.id, &p.secret, tb.now)
			if p.vote != nil {
				d = p.vote(d)
			}
			ballots = append(ballots, Ballot{p.id, d})
		}
		tb.last = Agree(tb.n, tb.now, ballots)
		slices.Reverse(ballots) // the order must not matter
		if again := Agree(tb.n, tb.now, ballots); !same(again, tb.last) {
			tb.t.Fatalf("%v: two orders of ballots lead to %v and %v", tb.now, again, tb.last)
		}
		for i := range tb.players {
			if p := &tb.players[i]; !p.away {
				p.held = tb.last
			}
		}
		tb.now = tb.now.Add(time.Hour)
	}
	return tb.last
}

func same(a, b directory.Draw) bool {
	return a.Day.Equal(b.Day) && a.Value == b.Value && slices.Equal(a.Tickets, b.Tickets)
}

// to plays until the period that becomes valid at that hour has been played.
func (tb *table) to(hour int) directory.Draw {
	d := tb.play(1)
	for tb.now.Add(-time.Hour).Hour() != hour {
		d = tb.play(1)
	}
	return d
}

func TestValueOfADay(t *testing.T) {
	tb := newTable(t, 3) // begins at noon: no commitments on the first day
	first := tb.to(23)
	if first.Value.IsZero() || len(first.Tickets) != 0 {
		t.Fatalf("first day: %+v", first)
	}
	second := tb.to(0)
	if second.Value != fallback(tb.n, first.Value, second.Day) {
		t.Errorf("a day without commitments has another value than the fallback")
	}
	morning := tb.to(11)
	if len(morning.Tickets) != 3 || morning.Value != second.Value {
		t.Fatalf("in the morning: %+v", morning)
	}
	for _, ticket := range morning.Tickets {
		if !ticket.Reveal.IsZero() {
			t.Error("a number is told in the morning")
		}
	}
	if evening := tb.to(23); len(Withheld(evening)) != 0 || evening.Value != second.Value {
		t.Fatalf("in the evening: %+v", evening)
	}
	third := tb.to(0)
	if third.Value == second.Value || third.Value == fallback(tb.n, second.Value, third.Day) || len(third.Tickets) != 0 {
		t.Errorf("third day: %+v", third)
	}
	if again := tb.to(23); again.Value != third.Value {
		t.Error("the value changed within its day")
	}
}

// Every authority's number changes the value, and so does the day.
func TestValueDependsOnEachNumber(t *testing.T) {
	values := map[directory.Digest]bool{}
	base := newTable(t, 3)
	for other := range 4 {
		tb := newTable(t, 3)
		tb.n, tb.players = base.n, slices.Clone(base.players)
		if other < 3 {
			tb.players[other].secret[0] ^= 0x80
		}
		tb.to(23)
		tb.to(23)
		values[tb.to(0).Value] = true
		values[tb.to(0).Value] = true
	}
	if len(values) != 8 {
		t.Errorf("%d values of two days and four sets of numbers, want 8", len(values))
	}
}

// What one authority may try, and what comes of it on the day after. The value
// is that of the honest ones' numbers, with the liar's own or without it.
func TestLiar(t *testing.T) {
	forged := directory.Digest{1, 2, 3}
	edit := func(d directory.Draw, change func(t *directory.Ticket)) directory.Draw {
		d.Tickets = slices.Clone(d.Tickets)
		for i := range d.Tickets {
			change(&d.Tickets[i])
		}
		return d
	}
	for name, tc := range map[string]struct {
		vote func(self keys.RelayID, now time.Time, honest directory.Draw) directory.Draw
		out  bool // the liar's number is not in the value
	}{
		"says nothing": {func(keys.RelayID, time.Time, directory.Draw) directory.Draw { return directory.Draw{} }, true},
		"withholds": {func(self keys.RelayID, _ time.Time, d directory.Draw) directory.Draw {
			return edit(d, func(t *directory.Ticket) {
				if t.Author == self {
					t.Reveal = directory.Digest{}
				}
			})
		}, true},
		"reveals another number": {func(self keys.RelayID, _ time.Time, d directory.Draw) directory.Draw {
			return edit(d, func(t *directory.Ticket) {
				if t.Author == self && !t.Reveal.IsZero() {
					t.Reveal = forged
				}
			})
		}, true},
		"commits anew later": {func(self keys.RelayID, now time.Time, d directory.Draw) directory.Draw {
			return edit(d, func(t *directory.Ticket) {
				if t.Author == self && now.Hour() > 5 {
					t.Commit = forged
				}
			})
		}, false},
		"forges the others' commitments": {func(self keys.RelayID, _ time.Time, d directory.Draw) directory.Draw {
			return edit(d, func(t *directory.Ticket) {
				if t.Author != self {
					t.Commit = forged
				}
			})
		}, false},
		"drops the others' numbers": {func(self keys.RelayID, _ time.Time, d directory.Draw) directory.Draw {
			return edit(d, func(t *directory.Ticket) {
				if t.Author != self {
					t.Reveal = directory.Digest{}
				}
			})
		}, false},
		"names another value": {func(_ keys.RelayID, _ time.Time, d directory.Draw) directory.Draw { d.Value = forged; return d }, true},
		"names another day": {func(_ keys.RelayID, _ time.Time, d directory.Draw) directory.Draw {
			d.Day = d.Day.Add(-day)
			return d
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			honest, lying := newTable(t, 5), newTable(t, 5)
			lying.n, lying.players = honest.n, slices.Clone(honest.players)
			liar := &lying.players[2]
			liar.vote = func(d directory.Draw) directory.Draw { return tc.vote(liar.id, lying.now, d) }
			honest.players[2].away = tc.out
			for range 3 {
				want, got := honest.to(0), lying.to(0)
				if got.Value != want.Value {
					t.Fatalf("%v: value of the day is not that of the honest numbers", got.Day)
				}
			}
		})
	}
}

// An authority that was away comes back in the middle and learns what stands.
func TestReturns(t *testing.T) {
	tb := newTable(t, 3)
	tb.to(23)
	tb.to(8)
	tb.players[0].away = true
	tb.to(15)
	tb.players[0].away = false
	evening := tb.to(23)
	if len(evening.Tickets) != 3 || len(Withheld(evening)) != 0 {
		t.Errorf("after the return: %+v", evening)
	}
	tb.players[1].away = true
	tb.players[1].held = directory.Draw{} // its disk is lost, too
	tb.to(4)
	tb.players[1].away = false
	if d := tb.to(11); len(d.Tickets) != 3 {
		t.Errorf("an authority without its disk is not back in: %+v", d)
	}
}

func TestTooFewReveal(t *testing.T) {
	tb := newTable(t, 5)
	before := tb.to(0)
	tb.to(11)
	for i := range 3 {
		tb.players[i].vote = func(d directory.Draw) directory.Draw {
			d.Tickets = slices.Clone(d.Tickets)
			own, _ := find(d.Tickets, tb.players[i].id)
			d.Tickets[own].Reveal = directory.Digest{}
			return d
		}
	}
	evening := tb.to(23)
	if len(Withheld(evening)) != 3 {
		t.Errorf("withheld: %d, want 3", len(Withheld(evening)))
	}
	if d := tb.to(0); d.Value != fallback(tb.n, before.Value, d.Day) {
		t.Error("two of five numbers make a value")
	}
}

func TestDaysWithoutConsensus(t *testing.T) {
	tb := newTable(t, 3)
	tb.to(0)
	evening := tb.to(23)
	tb.now = tb.now.Add(3 * day)
	if d := tb.play(1); !d.Day.Equal(directory.Day(tb.now)) || d.Value != fallback(tb.n, evening.Value, d.Day) {
		t.Errorf("after three days: %+v", d)
	}
	tb.to(23)
	if d := tb.to(0); d.Value == fallback(tb.n, tb.players[0].held.Value, d.Day) {
		t.Error("the draw does not go on")
	}
}

func TestSecretsDiffer(t *testing.T) {
	a, b := Secret{1}, Secret{2}
	if a.number(directorytest.Epoch) == b.number(directorytest.Epoch) || a.number(directorytest.Epoch) == a.number(directorytest.Epoch.Add(day)) {
		t.Error("numbers repeat")
	}
	id := keys.RelayID{1}
	if n := a.number(directorytest.Epoch); commitment(id, directorytest.Epoch, n) == commitment(keys.RelayID{2}, directorytest.Epoch, n) {
		t.Error("a commitment can be copied by another author")
	}
}
