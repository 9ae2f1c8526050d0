package weigh

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/rules"
)

// A grouping says which relays of a table are together in one dimension. A
// dimension may have two, applied one after the other: relays have an IPv4 and an
// IPv6 address.
type grouping struct {
	dimension rules.Dimension
	of        []int32              // group of each relay, none
	n         int                  // groups
	text      func(g int32) string // what a group is, for people
	outside   loners
}

// grouped makes a grouping of n relays. key returns what relay i is grouped by,
// and whether it is grouped at all.
func grouped[K comparable](d rules.Dimension, n int, key func(i int) (K, bool), text func(K) string) grouping {
	of, ids, keys := make([]int32, n), map[K]int32{}, []K{}
	for i := range of {
		k, ok := key(i)
		if !ok {
			of[i] = none
			continue
		}
		id, known := ids[k]
		if !known {
			id = int32(len(keys))
			ids[k], keys = id, append(keys, k)
		}
		of[i] = id
	}
	outside := asMany
	if d == rules.ByAS || d == rules.ByCountry {
		outside = asOne
	}
	return grouping{d, of, len(keys), func(g int32) string { return text(keys[g]) }, outside}
}

// groupings returns those that are the same for all positions, in the order of
// dimensions.
func (w *weighing) groupings() []grouping {
	families := admission.Families(w.relays)
	roots := admission.Roots(w.relays, w.rules)
	byDigest := func(d rules.Dimension, of func(i int) directory.Digest) grouping {
		return grouped(d, len(w.relays), func(i int) (directory.Digest, bool) {
			x := of(i)
			return x, x != directory.Digest{}
		}, directory.Digest.String)
	}
	return []grouping{
		w.byRange(rules.BySlash24, is4, 24), w.byRange(rules.BySlash24, is6, 48),
		w.byRange(rules.BySlash16, is4, 16), w.byRange(rules.BySlash16, is6, 32),
		grouped(rules.ByAS, len(w.relays), func(i int) (uint32, bool) { as := w.relays[i].AS; return as, as != 0 },
			func(as uint32) string { return "AS" + strconv.FormatUint(uint64(as), 10) }),
		grouped(rules.ByCountry, len(w.relays), func(i int) (string, bool) { c := w.relays[i].Country; return c, c != "" },
			func(c string) string { return c }),
		byDigest(rules.ByFamily, func(i int) directory.Digest { return families[i] }),
		byDigest(rules.ByGroup, func(i int) directory.Digest { return w.relays[i].Group }),
		byDigest(rules.ByVoucher, func(i int) directory.Digest { return roots[i] }),
	}
}

func is4(a netip.Addr) bool { return a.Is4() }
func is6(a netip.Addr) bool { return a.Is6() }

// byRange groups by the range of the first address of a kind.
func (w *weighing) byRange(d rules.Dimension, kind func(netip.Addr) bool, bits int) grouping {
	return grouped(d, len(w.relays), func(i int) (netip.Prefix, bool) {
		for _, a := range w.relays[i].Addrs {
			if a = a.Unmap(); kind(a) {
				p, err := a.Prefix(bits)
				return p, err == nil
			}
		}
		return netip.Prefix{}, false
	}, netip.Prefix.String)
}

// byYoung groups all relays that are young in a position.
func (w *weighing) byYoung(p directory.Position) grouping {
	days := w.rules.YoungDays[p]
	return grouped(rules.ByYoung, len(w.relays), func(i int) (bool, bool) {
		return true, w.rules.AgeOf(w.relays[i].Age) < days
	}, func(bool) string { return fmt.Sprintf("less than %d days", days) })
}

// A cohort is all relays first listed in one epoch; those that somebody vouched
// for have one of their own, so that strangers who come in their thousands do not
// crowd them out.
type cohort struct {
	epoch   int
	vouched bool
}

// byCohort groups the relays that have not served CohortAge days. Who has no first
// day, or one to come, is of today.
func (w *weighing) byCohort() grouping {
	days := w.rules.EpochDays
	return grouped(rules.ByCohort, len(w.relays), func(i int) (cohort, bool) {
		x := &w.relays[i]
		first := x.First
		if first <= 0 || first > w.today {
			first = w.today
		}
		return cohort{first / days, x.Voucher != directory.Digest{}}, w.rules.AgeOf(x.Age) < w.rules.CohortAge
	}, func(c cohort) string {
		text := time.Unix(0, 0).UTC().AddDate(0, 0, c.epoch*days).Format(time.DateOnly)
		if c.vouched {
			text += " vouched"
		}
		return text
	})
}
