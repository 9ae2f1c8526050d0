package authority

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// maxUnlisted bounds the relays in a status of which it says why they are not
// in the consensus: our choice, what a person may read.
const maxUnlisted = 100

// Status is what an operator may want to know.
type Status struct {
	Relays      int        `json:"relays"`             // with a descriptor
	Running     int        `json:"running"`            // of them, in this authority's opinion
	Period      time.Time  `json:"period,omitzero"`    // valid-after of the period that is being voted on, zero before Run
	Votes       int        `json:"votes"`              // that count in it so far
	Consensus   time.Time  `json:"consensus,omitzero"` // valid-after of the consensus that is served, zero if none
	Listed      int        `json:"listed"`             // relays in it
	Signatures  int        `json:"signatures"`         // authorities that signed it
	Problem     string     `json:"problem,omitempty"`  // why the last period brought no consensus, "" if it brought one
	Authorities []Fellow   `json:"authorities"`        // all of the network, in the order of its file
	Unlisted    []Unlisted `json:"unlisted,omitempty"` // relays with a descriptor that are not in it, those reached last first
}

// A Fellow is what an authority has done for the consensus that is served.
type Fellow struct {
	Name   string       `json:"name"`
	ID     keys.RelayID `json:"id"`
	Self   bool         `json:"self,omitempty"`
	Voted  bool         `json:"voted"` // its vote counted
	Signed bool         `json:"signed"`
}

// An Unlisted is a relay that published itself and is not in the consensus that
// is served.
type Unlisted struct {
	ID          keys.RelayID `json:"id"`
	Nickname    string       `json:"nickname"`
	Why         string       `json:"why"`
	LastReached time.Time    `json:"last_reached,omitzero"` // by this authority; zero: never
}

// Status returns what is so now.
func (a *Authority) Status() Status {
	var s Status
	now := time.Now()
	s.Relays, s.Running = a.reg.count(now)
	b := a.cache.Current()
	if b != nil {
		s.Consensus, s.Listed = b.Consensus.ValidAfter, len(b.Consensus.Relays)
		s.Signatures = len(b.Signed.Signers(a.network))
	}
	s.Authorities = a.fellows(b)
	s.Unlisted = a.reg.unlisted(b, now)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.periods) > 0 {
		p := a.periods[len(a.periods)-1]
		s.Period, s.Votes = p.round.ValidAfter, len(p.agree.counted())
	}
	if a.failed != nil {
		s.Problem = a.failed.Error()
	}
	return s
}

// fellows says who voted for and signed b, which is nil if there is none.
func (a *Authority) fellows(b *directory.Bundle) []Fellow {
	all := make([]Fellow, len(a.network.Authorities))
	for i := range all {
		e := &a.network.Authorities[i]
		all[i] = Fellow{Name: e.Name, ID: e.ID, Self: e.ID == a.self}
		if b != nil {
			all[i].Voted = slices.ContainsFunc(b.Consensus.Votes, func(v directory.VoteRef) bool { return v.Author == e.ID })
			all[i].Signed = slices.Contains(b.Signed.Signers(a.network), e.ID)
		}
	}
	return all
}

// unlisted returns the relays with a descriptor that b does not list.
func (g *registry) unlisted(b *directory.Bundle, now time.Time) []Unlisted {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Unlisted
	for id, r := range g.relays {
		if r.descriptor == nil || b != nil && b.Consensus.Relay(id) != nil {
			continue
		}
		all = append(all, Unlisted{ID: id, Nickname: r.descriptor.Nickname, Why: g.why(r, b, now), LastReached: r.history.LastReached})
	}
	slices.SortFunc(all, func(a, b Unlisted) int {
		return cmp.Or(b.LastReached.Compare(a.LastReached), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return all[:min(len(all), maxUnlisted)]
}

// why says in words why a relay is not in b.
func (g *registry) why(r *relay, b *directory.Bundle, now time.Time) string {
	opinion := g.cadence.opinionOf(&r.history, now, now.Sub(g.started))
	switch {
	case now.Sub(r.descriptor.Published) > directory.DescriptorLife:
		return "its descriptor has expired"
	case opinion == noOpinion && r.history.tests == 0:
		return "not tested yet"
	case r.history.LastReached.IsZero():
		return "never reached at its address"
	case opinion == down:
		return "no longer reached at its address"
	case g.refused[r.id] != "":
		return "refused by the limit " + g.refused[r.id]
	case b != nil && r.history.FirstSeen.After(b.Consensus.ValidAfter):
		return "new: the next consensus may list it"
	}
	return "not listed by a majority of the authorities"
}
