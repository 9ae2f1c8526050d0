package authority

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/rules"
)

// tallyService decides since when a relay is listed and how many days it served,
// from the votes that know of a consensus that lists it: what more than as many
// as may lie at least grant it, so that these make nobody older, and that those
// few who lost their history make nobody younger. Where too few know of any, the
// relay is new.
func tallyService(r *directory.Relay, liars int, validAfter time.Time, entries []*directory.VoteEntry) {
	var dates []int64
	var ages []int
	for _, e := range entries {
		if !e.FirstListed.IsZero() {
			dates, ages = append(dates, e.FirstListed.Unix()), append(ages, e.Age)
		}
	}
	if len(dates) <= liars {
		r.FirstListed, r.Age = directory.Day(validAfter), 0
		return
	}
	slices.Sort(dates)
	slices.SortFunc(ages, func(a, b int) int { return cmp.Compare(b, a) })
	r.FirstListed, r.Age = time.Unix(dates[liars], 0).UTC(), ages[liars]
}

// tallyOrigin decides where a relay's address lies: what more than half of those
// say who know it, and more than may lie.
func tallyOrigin(r *directory.Relay, liars int, entries []*directory.VoteEntry) {
	r.AS = mostSaid(entries, liars, func(e *directory.VoteEntry) uint32 { return e.AS })
	r.Country = mostSaid(entries, liars, func(e *directory.VoteEntry) string { return e.Country })
}

// mostSaid returns the value that more than half of the entries with one have,
// and more than liars of them; else the zero value.
func mostSaid[T comparable](entries []*directory.VoteEntry, liars int, of func(*directory.VoteEntry) T) (v T) {
	var none T
	counts, known := make(map[T]int, 2), 0
	for _, e := range entries {
		if x := of(e); x != none {
			counts[x]++
			known++
		}
	}
	for x, count := range counts {
		if 2*count > known && count > liars {
			return x
		}
	}
	return none
}

// bereft are the flags that a relay in quarantine does not bear.
const bereft = directory.Guard | directory.Exit | directory.HSDir

// tallyQuarantine puts a relay into quarantine when a majority of all
// authorities does, and into a group when a majority puts it into one. Those
// that found the group at different times may call it differently: then the name
// that most use stands, and they take it over.
func tallyQuarantine(r *directory.Relay, majority int, entries []*directory.VoteEntry) {
	var until []int64
	codes := make(map[string]int)
	groups, grouped := make(map[directory.Digest]int), 0
	for _, e := range entries {
		if !e.Group.IsZero() {
			groups[e.Group]++
			grouped++
		}
		if q := &e.Quarantine; q.Code != "" {
			until = append(until, q.Until.UnixMilli())
			codes[q.Code]++
		}
	}
	if grouped >= majority {
		r.Group = mostFrequent(groups, func(a, b directory.Digest) int { return bytes.Compare(a[:], b[:]) })
	}
	if len(until) < majority {
		return
	}
	r.Quarantine = directory.Quarantine{Code: mostFrequent(codes, strings.Compare), Until: time.UnixMilli(lowMedian(until)).UTC()}
	r.Flags &^= bereft
}

// mostFrequent returns the key with the greatest count, of several the smallest.
func mostFrequent[K comparable](counts map[K]int, compare func(a, b K) int) (best K) {
	most := 0
	for k, count := range counts {
		if count > most || count == most && compare(k, best) < 0 {
			best, most = k, count
		}
	}
	return best
}

// tallyVouchers returns the vouchers that a majority of all authorities has seen
// in the relays' descriptors, each of the day on which more than may lie had
// seen it.
func tallyVouchers(n *directory.Network, votes []*directory.Vote, relays []directory.Relay) (list []admission.Voucher) {
	for i := range relays {
		var days map[directory.Digest][]int // by family; most relays have no voucher
		for _, v := range votes {
			if e := v.Entry(relays[i].ID); e != nil && !e.Vouch.By.IsZero() {
				if days == nil {
					days = make(map[directory.Digest][]int)
				}
				days[e.Vouch.By] = append(days[e.Vouch.By], dayNumber(e.Vouch.Day))
			}
		}
		for by, seen := range days {
			if len(seen) >= n.Majority() {
				slices.Sort(seen)
				list = append(list, admission.Voucher{By: by, For: relays[i].ID, Day: seen[liars(n)]})
			}
		}
	}
	return list
}

// tallyFindings returns against whom a majority of all authorities knows a
// finding, and of which day, as lowMedian says.
func tallyFindings(n *directory.Network, votes []*directory.Vote) map[directory.Digest]int {
	days := make(map[directory.Digest][]int)
	for _, v := range votes {
		for i := range v.Findings {
			f := &v.Findings[i]
			days[f.Against] = append(days[f.Against], dayNumber(f.Day))
		}
	}
	findings := make(map[directory.Digest]int)
	for against, list := range days {
		if len(list) >= n.Majority() {
			findings[against] = lowMedian(list)
		}
	}
	return findings
}

// withinLimits applies the limits of admission to what a majority lists: votes
// that knew different relays may have let in too many together.
func withinLimits(relays []directory.Relay, r *rules.Rules, random directory.Digest) (kept []directory.Relay, over []Over) {
	refused := admission.Refusals(admissionOf(relays, 0), r, random)
	kept = relays[:0]
	for i := range relays {
		if refused[i] != "" {
			over = append(over, Over{ID: relays[i].ID, Rule: refused[i]})
			continue
		}
		kept = append(kept, relays[i])
	}
	return kept, over
}

// admissionOf returns relays as the rules of admission see them. Who was never
// listed gets the day first.
func admissionOf(relays []directory.Relay, first int) []admission.Relay {
	list := make([]admission.Relay, len(relays))
	for i := range relays {
		list[i] = admit(&relays[i], first)
	}
	return list
}

func admit(r *directory.Relay, first int) admission.Relay {
	a := admission.Relay{
		ID: r.ID, AS: r.AS, Country: r.Country, Family: r.Family, Group: r.Group, Voucher: r.Voucher,
		First: first, Age: r.Age, Flags: r.Flags, Weight: r.Weight,
		Exits: !r.Ports.Empty() || !r.Ports6.Empty(), Quarantined: r.Quarantine.Code != "",
	}
	if !r.FirstListed.IsZero() {
		a.First = dayNumber(r.FirstListed)
	}
	for _, addr := range r.Addrs {
		a.Addrs = append(a.Addrs, addr.Addr())
	}
	return a
}
