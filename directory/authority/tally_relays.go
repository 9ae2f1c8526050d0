package authority

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// tallyRelays walks all votes side by side, in the order of identities, and
// keeps the relays that more than half of all authorities list and that come
// out as Running and Valid.
func tallyRelays(n *directory.Network, validAfter time.Time, votes []*directory.Vote) []directory.Relay {
	rest := make([][]directory.VoteEntry, len(votes))
	for i, v := range votes {
		rest[i] = v.Entries
	}
	var relays []directory.Relay
	entries := make([]*directory.VoteEntry, 0, len(votes)) // of one relay
	known := make([]directory.Flags, 0, len(votes))        // what the authors of entries vote on
	for {
		id, more := leastID(rest)
		if !more {
			return relays
		}
		entries, known = entries[:0], known[:0]
		for i := range rest {
			if len(rest[i]) > 0 && rest[i][0].ID == id {
				entries, known = append(entries, &rest[i][0]), append(known, votes[i].Known)
				rest[i] = rest[i][1:]
			}
		}
		if len(entries) < n.Majority() {
			continue
		}
		if r, ok := tallyRelay(n, validAfter, entries, known); ok {
			relays = append(relays, r)
		}
	}
}

// heaviest returns at most limit relays, those of greatest weight and, of equal
// ones, of smallest identity, in the order of identities.
func heaviest(relays []directory.Relay, limit int) []directory.Relay {
	if len(relays) <= limit {
		return relays
	}
	slices.SortFunc(relays, func(a, b directory.Relay) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), directory.CompareID(a.ID, b.ID))
	})
	relays = relays[:limit]
	slices.SortFunc(relays, func(a, b directory.Relay) int { return directory.CompareID(a.ID, b.ID) })
	return relays
}

// leastID returns the smallest identity at the heads of the lists.
func leastID(lists [][]directory.VoteEntry) (id keys.RelayID, found bool) {
	for _, l := range lists {
		if len(l) > 0 && (!found || bytes.Compare(l[0].ID[:], id[:]) < 0) {
			id, found = l[0].ID, true
		}
	}
	return id, found
}

// tallyRelay decides about one relay. What its descriptor says counts as one:
// keys and addresses of different descriptors are never mixed, and what fewer
// than a majority of all authorities say of it is never believed, so that no
// minority can name another key.
func tallyRelay(n *directory.Network, validAfter time.Time, entries []*directory.VoteEntry, known []directory.Flags) (directory.Relay, bool) {
	r, ok := commonFacts(n.Majority(), entries)
	if !ok {
		return directory.Relay{}, false
	}
	r.Flags = tallyFlags(liars(n), entries, known)
	r.Weight = tallyWeight(entries)
	tallyService(&r, liars(n), validAfter, entries)
	tallyOrigin(&r, liars(n), entries)
	tallyQuarantine(&r, n.Majority(), entries)
	return r, r.Flags.Has(directory.Running | directory.Valid)
}

// commonFacts returns the entry's fields as a majority of all authorities has
// them, without what authorities decide on.
func commonFacts(majority int, entries []*directory.VoteEntry) (directory.Relay, bool) {
	for i, e := range entries {
		same := 1
		for _, o := range entries[i+1:] {
			if sameFacts(&e.Relay, &o.Relay) {
				same++
			}
		}
		if same >= majority { // two groups can't both have one
			f := &e.Relay
			return directory.Relay{
				ID: f.ID, Nickname: f.Nickname, Addrs: slices.Clone(f.Addrs), Family: slices.Clone(f.Family),
				LinkKey: f.LinkKey, CircuitKey: f.CircuitKey, LinkVersions: f.LinkVersions, HopVersions: f.HopVersions,
				Ports: f.Ports, Ports6: f.Ports6,
			}, true
		}
		if len(entries)-i <= majority { // the rest is too few
			break
		}
	}
	return directory.Relay{}, false
}

// sameFacts reports whether two entries agree in all that the consensus takes
// from the relay's descriptor. Descriptors that differ in their time or their
// bandwidth alone agree, so that a relay may publish while votes are made.
func sameFacts(a, b *directory.Relay) bool {
	return a.ID == b.ID && a.Nickname == b.Nickname &&
		a.LinkKey == b.LinkKey && a.CircuitKey == b.CircuitKey &&
		a.LinkVersions == b.LinkVersions && a.HopVersions == b.HopVersions &&
		slices.Equal(a.Addrs, b.Addrs) && slices.Equal(a.Family, b.Family) &&
		a.Ports.String() == b.Ports.String() && a.Ports6.String() == b.Ports6.String()
}

// liars is how many authorities may lie without changing anything.
func liars(n *directory.Network) int { return (len(n.Authorities) - 1) / 2 }

// tallyFlags sets a flag when more than half of those say so that have an
// opinion on it for this relay, and more of them than may lie: where nearly all
// have no opinion yet, a liar's alone does not decide.
func tallyFlags(liars int, entries []*directory.VoteEntry, known []directory.Flags) directory.Flags {
	var set directory.Flags
	for flag := directory.Flags(1); flag <= directory.AllFlags; flag <<= 1 {
		yes, all := 0, 0
		for i, e := range entries {
			if !known[i].Has(flag) || e.Unknown.Has(flag) {
				continue
			}
			all++
			if e.Flags.Has(flag) {
				yes++
			}
		}
		if 2*yes > all && yes > liars {
			set |= flag
		}
	}
	return set
}

// tallyWeight is the low median of what was measured, where enough measured,
// else of what the authorities claim; at least 1.
func tallyWeight(entries []*directory.VoteEntry) uint64 {
	var measured, claimed []uint64
	for _, e := range entries {
		claimed = append(claimed, e.Weight)
		if e.Measured > 0 {
			measured = append(measured, e.Measured)
		}
	}
	if len(measured) >= minMeasurements {
		claimed = measured
	}
	return max(1, lowMedian(claimed))
}
