package directory

import (
	"time"

	"tunic/directory/keys"
)

// A Draw is what an authority knows of the shared random values: today's, and
// what the authorities have put into tomorrow's. Package lottery says how it
// goes on. The zero value knows nothing.
type Draw struct {
	Day     time.Time // the day of Value, its first moment; zero: nothing is known
	Value   Digest
	Tickets []Ticket // for the day after, ascending by author
}

// A Ticket is one authority's part in a draw: what it committed to and, once
// that is told, what it was.
type Ticket struct {
	Author keys.RelayID
	Commit Digest
	Reveal Digest // zero: not revealed
}

func compareTickets(a, b Ticket) int { return CompareID(a.Author, b.Author) }

// encode appends the draw as a part of a vote, nothing if it is zero.
func (d *Draw) encode(w *writer) {
	if d.Day.IsZero() {
		return
	}
	if len(d.Tickets) > MaxAuthorities || !strictly(d.Tickets, compareTickets) {
		w.fail("tickets")
	}
	w.keyword("random").time(d.Day, dateLayout, "random").binary(d.Value[:]).end()
	for _, t := range d.Tickets {
		w.keyword("ticket").binary(t.Author[:]).binary(t.Commit[:]).digest(t.Reveal).end()
	}
}

// readDraw reads what encode writes.
func readDraw(r *reader) (d Draw) {
	if !r.at("random") {
		return Draw{}
	}
	day, value := r.two(r.take("random"), "random")
	d.Day = r.date(day, "random")
	r.binary(d.Value[:], value, "random")
	for r.at("ticket") && len(d.Tickets) < MaxAuthorities {
		var t Ticket
		fields := r.split(r.take("ticket"), 3, "ticket")
		r.binary(t.Author[:], fields[0], "ticket")
		r.binary(t.Commit[:], fields[1], "ticket")
		t.Reveal = r.digest(fields[2], "ticket")
		d.Tickets = append(d.Tickets, t)
		if !strictly(d.Tickets[max(0, len(d.Tickets)-2):], compareTickets) {
			r.fail("ticket")
		}
	}
	return d
}
