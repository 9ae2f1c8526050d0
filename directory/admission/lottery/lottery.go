// Package lottery makes one random value a day that no authority can choose:
// in the first half of a day each commits to a number, in the second it reveals
// it, and the next day's value is a hash of what was revealed. It is a pure
// function of what votes carry, so that all authorities and auditors find the
// same.
//
// What each authority knows is a [directory.Draw]. [Join] adds the authority's
// own part to what it votes for; [Agree] turns the draws of a period's votes
// into the one that all hold afterwards. A commitment counts from its author's
// own vote alone, and the first one stays. Since the votes of a period are
// agreed on before they are looked at, nobody can tell two authorities different
// things.
//
// An authority that commits and then does not reveal chooses between two values
// (k of them together between 2^k), after it has seen the others' numbers.
// Nothing that is decided by the value is worth more than that: it breaks ties
// between relays that are equally old. [Withheld] names who did it.
//
// Specification: docs/protocol.md, "Shared randomness".
package lottery

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

const day = 24 * time.Hour // fixed by docs/protocol.md: of a value

// half is when commitments end and reveals begin, from the beginning of a day.
const half = day / 2

// A Secret is what an authority's numbers come from. It is made once and kept,
// so that an authority that restarts never commits to another number.
type Secret [32]byte

// number returns the authority's number for a day.
func (s *Secret) number(d time.Time) directory.Digest {
	return sum(keys.LabelLotteryNumber, s[:], days(d))
}

// commitment returns what an author publishes first of a number for a day.
func commitment(author keys.RelayID, d time.Time, number directory.Digest) directory.Digest {
	return sum(keys.LabelLotteryCommit, author[:], days(d), number[:])
}

// sum hashes a label and parts of fixed length.
func sum(label string, parts ...[]byte) (d directory.Digest) {
	h := sha256.New()
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(d[:0])
	return d
}

// days is a day as the number of days since 1970, eight bytes.
func days(d time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(d.Unix()/int64(day/time.Second)))
}

// Join returns what author votes for in the period that becomes valid at
// validAfter: the draw that it holds, with its commitment in the first half of a
// day and its number in the second. What it holds of another day it passes on
// unchanged, for others to conclude.
func Join(held directory.Draw, author keys.RelayID, s *Secret, validAfter time.Time) directory.Draw {
	if held.Day.IsZero() || !held.Day.Equal(directory.Day(validAfter)) {
		return held
	}
	draw := directory.Draw{Day: held.Day, Value: held.Value, Tickets: slices.Clone(held.Tickets)}
	next := held.Day.Add(day)
	number := s.number(next)
	i, found := find(draw.Tickets, author)
	switch {
	case commits(validAfter) && !found && len(draw.Tickets) < directory.MaxAuthorities:
		draw.Tickets = slices.Insert(draw.Tickets, i, directory.Ticket{Author: author, Commit: commitment(author, next, number)})
	case !commits(validAfter) && found && draw.Tickets[i].Commit == commitment(author, next, number):
		draw.Tickets[i].Reveal = number
	}
	return draw
}

// commits reports whether a period lies in the half of its day in which
// authorities commit.
func commits(validAfter time.Time) bool { return validAfter.Sub(directory.Day(validAfter)) < half }

func find(list []directory.Ticket, author keys.RelayID) (int, bool) {
	return slices.BinarySearchFunc(list, author, func(t directory.Ticket, id keys.RelayID) int {
		return directory.CompareID(t.Author, id)
	})
}

// A Ballot is the draw that one authority's vote carries.
type Ballot struct {
	Author keys.RelayID
	Draw   directory.Draw
}

// Agree returns the draw that the ballots of the period valid from validAfter
// lead to: today's value, the same all day, and the tickets for tomorrow's. What
// more than half of the network's authorities say of the past stands; of the
// present, what each says of itself.
func Agree(n *directory.Network, validAfter time.Time, ballots []Ballot) directory.Draw {
	today := directory.Day(validAfter)
	held, known := settled(n, ballots)
	switch {
	case !known:
		return directory.Draw{Day: today, Value: fallback(n, directory.Digest{}, today)}
	case held.Day.Equal(today):
		return directory.Draw{Day: today, Value: held.Value, Tickets: tickets(held, validAfter, ballots)}
	case held.Day.Add(day).Equal(today):
		return directory.Draw{Day: today, Value: value(n, held)}
	}
	return directory.Draw{Day: today, Value: fallback(n, held.Value, today)} // days without a consensus
}

// settled returns what more than half of all authorities hold: a day, its value
// and the tickets. Without such a day nothing is known.
func settled(n *directory.Network, ballots []Ballot) (directory.Draw, bool) {
	type state struct {
		day   int64
		value directory.Digest
	}
	states := make(map[state]int)
	for _, b := range ballots {
		if !b.Draw.Day.IsZero() {
			states[state{b.Draw.Day.Unix(), b.Draw.Value}]++
		}
	}
	for s, count := range states {
		if count >= n.Majority() { // one at most has so many
			d := directory.Draw{Day: time.Unix(s.day, 0).UTC(), Value: s.value}
			d.Tickets = agreed(n, d, ballots)
			return d, true
		}
	}
	return directory.Draw{}, false
}

// agreed returns the tickets that more than half of all authorities list beside
// the day and value of d: commitments, and of those the reveals.
func agreed(n *directory.Network, d directory.Draw, ballots []Ballot) []directory.Ticket {
	type claim struct{ author, what [32]byte }
	commits, reveals := make(map[claim]int), make(map[claim]int)
	for _, b := range ballots {
		if !b.Draw.Day.Equal(d.Day) || b.Draw.Value != d.Value {
			continue
		}
		for _, t := range b.Draw.Tickets {
			commits[claim{t.Author, t.Commit}]++
			if !t.Reveal.IsZero() {
				reveals[claim{t.Author, t.Reveal}]++
			}
		}
	}
	var list []directory.Ticket
	for c, count := range commits {
		if count >= n.Majority() && n.Authority(c.author) != nil {
			list = append(list, directory.Ticket{Author: c.author, Commit: c.what})
		}
	}
	slices.SortFunc(list, func(a, b directory.Ticket) int { return directory.CompareID(a.Author, b.Author) })
	for r, count := range reveals {
		if i, found := find(list, r.author); found && count >= n.Majority() && opens(&list[i], d.Day, r.what) {
			list[i].Reveal = r.what
		}
	}
	return list
}

// opens reports whether number is what a ticket held during day commits to.
func opens(t *directory.Ticket, held time.Time, number directory.Digest) bool {
	return !number.IsZero() && commitment(t.Author, held.Add(day), number) == t.Commit
}

// tickets returns those of held with what authors say of themselves in this
// period's ballots: a first commitment in the first half of the day, the number
// in the second.
func tickets(held directory.Draw, validAfter time.Time, ballots []Ballot) []directory.Ticket {
	list := slices.Clone(held.Tickets)
	for _, b := range ballots {
		if !b.Draw.Day.Equal(held.Day) || b.Draw.Value != held.Value {
			continue // it is about something else
		}
		own, said := find(b.Draw.Tickets, b.Author)
		if !said {
			continue
		}
		t := b.Draw.Tickets[own]
		i, found := find(list, b.Author)
		switch {
		case commits(validAfter) && !found:
			list = slices.Insert(list, i, directory.Ticket{Author: b.Author, Commit: t.Commit})
		case !commits(validAfter) && found && opens(&list[i], held.Day, t.Reveal):
			list[i].Reveal = t.Reveal
		}
	}
	return list
}

// value returns the value of the day after held's: of the numbers revealed, and
// of the value before, which a network without enough of them goes on from.
func value(n *directory.Network, held directory.Draw) directory.Digest {
	next := held.Day.Add(day)
	var numbers [][]byte
	for i := range held.Tickets {
		if t := &held.Tickets[i]; !t.Reveal.IsZero() {
			numbers = append(numbers, bytes.Join([][]byte{t.Author[:], t.Reveal[:]}, nil))
		}
	}
	if len(numbers) < n.Majority() {
		return fallback(n, held.Value, next)
	}
	id := n.Digest()
	parts := append([][]byte{id[:], days(next), held.Value[:]}, numbers...)
	return sum(keys.LabelLotteryValue, parts...)
}

// fallback is the value of a day for which too few revealed: known in advance,
// but the same everywhere, and another every day.
func fallback(n *directory.Network, before directory.Digest, d time.Time) directory.Digest {
	id := n.Digest()
	return sum(keys.LabelLotteryNone, id[:], days(d), before[:])
}

// Withheld names who committed in the draw, which belongs to a day that is over,
// and did not reveal.
func Withheld(d directory.Draw) []keys.RelayID {
	var list []keys.RelayID
	for _, t := range d.Tickets {
		if t.Reveal.IsZero() {
			list = append(list, t.Author)
		}
	}
	return list
}
