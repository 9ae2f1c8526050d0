package admission

import (
	"cmp"
	"net/netip"
	"slices"

	"tunic/directory/rules"
)

// scope is a kind of places: what is counted together.
type scope uint8

const (
	perAddress scope = iota // IPv4
	per64
	per24 // and IPv6 /48
	per16 // and IPv6 /32
	scopes
)

var scopeNames = [scopes]string{RefusedAddress, Refused64, Refused24, Refused16}

// A seat is one count of places that a relay needs one of.
type seat struct {
	id    int32 // index of counts
	scope scope
}

// most seats that one address needs: its own, and those of two ranges.
const seatsOfAddress = 3

// A ledger counts the places taken.
type ledger struct {
	relays  []Relay
	limits  *rules.Limits
	most    [scopes]int
	seats   [][]seat // of each relay
	counts  []int32  // places taken, by seat
	as      map[uint32]int
	refused []string
}

// newLedger finds the seats of each relay.
func newLedger(relays []Relay, limits *rules.Limits) *ledger {
	l := &ledger{
		relays:  relays,
		limits:  limits,
		most:    [scopes]int{limits.PerAddress, limits.Per64, limits.Per24, limits.Per16},
		seats:   make([][]seat, len(relays)),
		as:      map[uint32]int{},
		refused: make([]string, len(relays)),
	}
	ids := make(map[netip.Prefix]int32, seatsOfAddress*len(relays))
	pool := make([]seat, 0, 2*seatsOfAddress*len(relays)) // two addresses each, as documents have
	for i := range relays {
		from := len(pool)
		for _, a := range relays[i].Addrs {
			pool = appendSeats(pool, ids, a)
		}
		l.seats[i] = pool[from:len(pool):len(pool)]
	}
	l.counts = make([]int32, len(ids))
	return l
}

// appendSeats appends those of one address.
func appendSeats(seats []seat, ids map[netip.Prefix]int32, a netip.Addr) []seat {
	a = a.Unmap()
	bits, own := [seatsOfAddress]int{64, 48, 32}, per64
	if a.Is4() {
		bits, own = [seatsOfAddress]int{32, 24, 16}, perAddress
	}
	for i, s := range [seatsOfAddress]scope{own, per24, per16} {
		p, err := a.Prefix(bits[i])
		if err != nil { // the invalid address stands nowhere
			return seats
		}
		id, ok := ids[p]
		if !ok {
			id = int32(len(ids))
			ids[p] = id
		}
		seats = append(seats, seat{id, s})
	}
	return seats
}

// walk gives away the places in that order, except to those refused as new, and
// returns how many running relays were admitted. perAS 0 is no limit.
func (l *ledger) walk(order []rank, perAS int) (running int) {
	clear(l.counts)
	clear(l.as)
	for i := range order {
		k := order[i].relay
		if l.refused[k] == RefusedNewOnAddress {
			continue
		}
		as := l.relays[k].AS
		l.refused[k] = l.full(l.seats[k])
		if l.refused[k] == "" && perAS > 0 && as != 0 && l.as[as] >= perAS {
			l.refused[k] = RefusedAS
		}
		if l.refused[k] != "" {
			continue
		}
		for _, s := range l.seats[k] {
			l.counts[s.id]++
		}
		l.as[as]++
		if order[i].running {
			running++
		}
	}
	return running
}

// full names the limit that has no place left for a relay with these seats, the
// narrowest first.
func (l *ledger) full(seats []seat) string {
	worst := scopes
	for _, s := range seats {
		if int(l.counts[s.id]) >= l.most[s.scope] {
			worst = min(worst, s.scope)
		}
	}
	if worst == scopes {
		return ""
	}
	return scopeNames[worst]
}

// refuseNew refuses the identities that are too many new ones at an IPv4 address
// or IPv6 /64: at most NewPerAddr are first listed within NewWindow days. Relays
// whose first day is not known are new together, and later than all others by
// more than the window: nothing is held against them that may be long ago.
func (l *ledger) refuseNew(order []rank) {
	unknown := l.limits.NewWindow
	for i := range order {
		if order[i].first != never {
			unknown = max(unknown, order[i].first+l.limits.NewWindow)
		}
	}
	byDay := slices.Clone(order)
	slices.SortStableFunc(byDay, func(a, b rank) int { return cmp.Compare(a.first, b.first) })
	came := map[int32][]int{} // by seat, the days on which identities were admitted as new, ascending
	for i := range byDay {
		k, day := byDay[i].relay, min(byDay[i].first, unknown)
		if l.tooManyNew(l.seats[k], came, day) {
			l.refused[k] = RefusedNewOnAddress
			continue
		}
		for _, s := range l.seats[k] {
			if s.scope <= per64 {
				came[s.id] = append(came[s.id], day)
			}
		}
	}
}

func (l *ledger) tooManyNew(seats []seat, came map[int32][]int, day int) bool {
	for _, s := range seats {
		if s.scope > per64 {
			continue
		}
		days, n := came[s.id], l.limits.NewPerAddr
		if len(days) >= n && days[len(days)-n] > day-l.limits.NewWindow {
			return true
		}
	}
	return false
}
