package path

import (
	"fmt"
	"slices"
	"time"

	"tunic/directory/keys"
)

// maxDraws bounds the draws that are remembered: the greatest limit that the
// rules can set.
const maxDraws = 1000

// An opening is a guard that was opened: newly used for traffic, or passed over,
// because it could not be reached, for one that was.
type opening struct {
	day  int32 // from 1970: a stolen file tells no more
	used bool
}

// A BudgetError says that only new guards are left to try, and that the client
// has had as many as the network's rules allow: somebody may be keeping it off
// its guards so that it takes others.
type BudgetError struct {
	Until time.Time // when the next new guard may be taken
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("none of the client's guards can be used, and it has had as many new ones as are safe: it keeps trying and takes another after %s. "+
		"Somebody may be keeping you off your guards: try another way into the Internet first; guard_override = true takes new ones at once", e.Until.Format("2006-01-02 15:04 UTC"))
}

// limited reports whether there is a budget at all.
func (g *Guards) limited() bool {
	r := g.rules()
	return r.NewPerDay > 0 || r.NewPerMonth > 0 || r.NewPerYear > 0
}

// may reports whether the guard may carry traffic: it has been counted already,
// or the budget still has room for it and for those that it would pass over.
// Who knocks out guards one after the other until a client comes to theirs gets
// no further than who has the client use each.
func (g *Guards) may(s *guard, now time.Time) bool {
	return s.opened || s.confirmed != 0 || g.Override || !g.limited() || g.affords(g.cost(s), dayOf(now))
}

// Opened lists the guards in the sample that may carry traffic without a draw.
func (g *Guards) Opened() (list []keys.RelayID) {
	for _, s := range g.sample {
		if s.opened || s.confirmed != 0 || g.view != nil && !g.limited() {
			list = append(list, s.id)
		}
	}
	return list
}

// cost is how many guards using s would open: itself, and those before it in the
// sample. Those that stand aside were never to be used.
func (g *Guards) cost(s *guard) int {
	n := 1
	for _, m := range g.sample {
		if m == s {
			break
		}
		if !m.opened && m.confirmed == 0 && !m.aside {
			n++
		}
	}
	return n
}

// affords reports whether n guards more may be opened on a day, one of them to
// be used. A limit counts days of the calendar, in UTC: this one and those
// before it. The first guard of all may cost as many as a year allows: behind a
// firewall many cannot be reached, and a client that never had one should find one.
func (g *Guards) affords(n int, today int32) bool {
	r := g.rules()
	used, month, year := g.spent(today)
	within := func(n, limit int) bool { return limit == 0 || n <= limit }
	first := year == 0 && !slices.ContainsFunc(g.sample, func(s *guard) bool { return s.confirmed != 0 })
	return within(used+1, r.NewPerDay) && (first || within(month+n, r.NewPerMonth)) && within(year+n, r.NewPerYear)
}

// open counts a guard as newly used, and those before it as passed over.
func (g *Guards) open(s *guard, now time.Time) {
	if s.opened || !g.limited() {
		s.opened = true
		return
	}
	for _, m := range g.sample {
		if m == s {
			break
		}
		if !m.opened && m.confirmed == 0 && !m.aside {
			m.opened = true
			g.draws = append(g.draws, opening{day: dayOf(now)})
		}
	}
	s.opened = true
	g.draws = append(g.draws, opening{day: dayOf(now), used: true})
	g.forget(now)
}

// forget drops draws that count in no limit any more.
func (g *Guards) forget(now time.Time) {
	before := len(g.draws)
	g.draws = slices.DeleteFunc(g.draws, func(d opening) bool { return dayOf(now)-d.day >= 365 })
	g.draws = g.draws[max(0, len(g.draws)-maxDraws):]
	if len(g.draws) != before {
		g.revision++
	}
}

// Held reports whether the budget alone keeps the client from trying further
// guards, and until when: every guard that it may use is unreachable.
func (g *Guards) Held(now time.Time) (until time.Time, held bool) {
	if g.view == nil {
		return time.Time{}, false
	}
	next := g.first(func(s *guard) bool { return !g.may(s, now) })
	if next == nil || !g.Exhausted(now) {
		return time.Time{}, false
	}
	return g.renewal(next, now), true
}

// renewal returns when the budget has room for a guard.
func (g *Guards) renewal(s *guard, now time.Time) time.Time {
	n := g.cost(s)
	r := g.rules()
	for _, limit := range []int{r.NewPerMonth, r.NewPerYear} {
		if limit > 0 {
			n = min(n, limit) // else never: those before it leave the sample by then
		}
	}
	today := dayOf(now)
	for d := today; d < today+365; d++ {
		if g.affords(n, d) {
			today = d
			break
		}
	}
	return time.Unix(int64(today)*int64(day/time.Second), 0).UTC()
}

// Budget is how much of the draw budget is spent: guards newly used, or passed
// over, and the network's limits; a limit of 0 is none.
type Budget struct {
	Day, Month, Year                int
	DayLimit, MonthLimit, YearLimit int
	HeldUntil                       time.Time // until when it keeps the client from guards that it needs; zero if it does not
}

// Budget returns how much of the draw budget is spent.
func (g *Guards) Budget(now time.Time) Budget {
	if g.view == nil {
		return Budget{}
	}
	r := g.rules()
	b := Budget{DayLimit: r.NewPerDay, MonthLimit: r.NewPerMonth, YearLimit: r.NewPerYear}
	b.Day, b.Month, b.Year = g.spent(dayOf(now))
	b.HeldUntil, _ = g.Held(now)
	return b
}

// spent counts the draws of a day, of 30 days and of 365; of the day those alone
// that were used.
func (g *Guards) spent(today int32) (used, month, year int) {
	for _, d := range g.draws {
		ago := today - d.day
		used += count(ago < 1 && d.used)
		month += count(ago < 30)
		year += count(ago < 365)
	}
	return used, month, year
}
