package detect

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"tunic/directory"
	"tunic/directory/keys"
)

func idOf(smallest keys.RelayID) directory.Digest {
	return sha256.Sum256(append([]byte(keys.LabelInferredGroup), smallest[:]...))
}

// A registry is the groups of a state during a run.
type registry struct {
	v      *view
	now    int64 // seconds
	groups map[directory.Digest]*known
	of     []*known // by subject; nil: in no group
}

// newRegistry forgets members that have not been listed for long, and groups
// without members.
func newRegistry(v *view, list []known, now int64) *registry {
	g := &registry{v: v, now: now, groups: map[directory.Digest]*known{}, of: make([]*known, len(v.subjects))}
	today := int(now / 86_400)
	oldest := max(today-rememberIn, oldestOf(list, maxKnown-directory.MaxRelays))
	for i := range list {
		k := &list[i]
		for j := range k.Members {
			if s, ok := v.find(keys.RelayID(k.Members[j].ID)); ok {
				k.Members[j].Last = max(k.Members[j].Last, today)
				g.of[s] = k
			}
		}
		k.Members = slices.DeleteFunc(k.Members, func(m member) bool { return m.Last < oldest })
		if len(k.Members) > 0 {
			g.groups[k.ID] = k
		}
	}
	return g
}

// oldestOf is the day from which on members have to have been listed so that at
// most n of those not listed any more are remembered, whatever number an
// attacker registers and drops.
func oldestOf(list []known, n int) int {
	var days []int
	for i := range list {
		for _, m := range list[i].Members {
			days = append(days, m.Last)
		}
	}
	if len(days) <= n {
		return 0
	}
	slices.Sort(days)
	return days[len(days)-1-n] + 1
}

// adopt gives groups the names that the consensus has for most of their listed
// members, so that authorities that named a group differently at first agree.
// renamed says which got another.
func (g *registry) adopt(list []known) (renamed map[directory.Digest]directory.Digest) {
	named := map[*known]map[directory.Digest]int{}
	listed := map[*known]int{}
	for i, k := range g.of {
		if k == nil {
			continue
		}
		listed[k]++
		if named[k] == nil {
			named[k] = map[directory.Digest]int{}
		}
		named[k][g.v.subjects[i].Group]++
	}
	renamed = map[directory.Digest]directory.Digest{}
	for i := range list { // ascending by id: of two that would get one name the first does
		k := &list[i]
		for name, n := range named[k] {
			if 2*n > listed[k] && !name.IsZero() && g.groups[name] == nil {
				delete(g.groups, k.ID)
				renamed[k.ID] = name
				k.ID = name
				g.groups[name] = k
			}
		}
	}
	return renamed
}

// find returns the index of a subject.
func (v *view) find(id keys.RelayID) (int, bool) {
	return slices.BinarySearchFunc(v.subjects, id, func(s Subject, id keys.RelayID) int { return bytes.Compare(s.ID[:], id[:]) })
}

// take makes a set of subjects, ascending, members of one group: of into if it
// is a group, else of the one that it goes on with, else of a new one as made
// says, if enough of them are in none. It returns the group's id.
func (g *registry) take(set []int, into directory.Digest, made known) directory.Digest {
	free := slices.DeleteFunc(slices.Clone(set), func(i int) bool { return g.of[i] != nil })
	k := g.groups[into]
	if k == nil {
		k = g.continued(set)
	}
	if k == nil {
		if len(free) < g.v.rules.Detection.Least {
			return directory.Digest{}
		}
		k = g.found(free[0], made)
	}
	for _, i := range free {
		k.Members = append(k.Members, member{ID: slices.Clone(g.v.subjects[i].ID[:]), Joined: g.now, Last: int(g.now / 86_400)})
		g.of[i] = k
	}
	slices.SortFunc(k.Members, func(a, b member) int { return bytes.Compare(a.ID, b.ID) })
	return k.ID
}

// found makes a group that has no members yet, or returns the one of old that
// has its id.
func (g *registry) found(first int, made known) *known {
	made.ID, made.Since = idOf(g.v.subjects[first].ID), g.now
	if k := g.groups[made.ID]; k != nil {
		return k
	}
	g.groups[made.ID] = &made
	return &made
}

// continued returns the group that a set goes on with: half of the set or more
// are in it, or half of its listed members or more are in the set, so that no
// batch that comes in growing parts becomes one group after another. Of several
// it is the one with the most in the set, of these the one of smallest id; nil if
// there is none.
func (g *registry) continued(set []int) *known {
	n, listed := map[*known]int{}, map[*known]int{}
	for _, i := range set {
		if g.of[i] != nil {
			n[g.of[i]]++
		}
	}
	for _, k := range g.of {
		if n[k] > 0 {
			listed[k]++
		}
	}
	var best *known
	for k, c := range n {
		if 2*c < min(len(set), listed[k]) {
			continue
		}
		if best == nil || c > n[best] || c == n[best] && bytes.Compare(k.ID[:], best.ID[:]) < 0 {
			best = k
		}
	}
	return best
}

// list returns the groups ascending by id.
func (g *registry) list() []known {
	all := make([]known, 0, len(g.groups))
	for _, k := range g.groups {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b known) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

// without leaves out of a set of alike subjects those who may not be joined by
// inference: incumbents, who are far older than the most of it. What is left is
// no group if it is too small, or if one proved family is all of it but fewer
// than make a group.
func (v *view) without(set []int) []int {
	byAge := slices.Clone(set)
	slices.SortFunc(byAge, func(a, b int) int { return v.subjects[a].Seen.Compare(v.subjects[b].Seen) })
	median := v.subjects[byAge[len(byAge)/2]].Seen
	since := median.AddDate(0, 0, -v.rules.Detection.IncumbentDays)
	set = slices.DeleteFunc(slices.Clone(set), func(i int) bool { return v.subjects[i].Seen.Before(since) })
	n := map[directory.Digest]int{}
	for _, i := range set {
		for _, f := range v.subjects[i].Family {
			n[f]++
		}
	}
	family := 0
	for _, c := range n {
		family = max(family, c)
	}
	least := v.rules.Detection.Least
	if len(set) < least || family > 0 && len(set)-family < least {
		return nil
	}
	return set
}

// merged appends a set to those before it, or joins it to the first that it is
// like: only sets of which linkage saw a part each can be.
func (v *view) merged(sets [][]int, set []int) [][]int {
	for k := range sets {
		size := len(sets[k]) + len(set)
		if v.mean(sets[k], set) >= threshold(len(v.subjects), size, v.rules) {
			sets[k] = append(sets[k], set...)
			slices.SortFunc(sets[k], cmp.Compare)
			return sets
		}
	}
	return append(sets, set)
}
