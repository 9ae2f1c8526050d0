package authority

import (
	"time"

	"tunic/directory"
	"tunic/directory/admission/detect"
	"tunic/directory/keys"
)

// detectorConfig is what detection has to know of a network. The relays that
// are there before it is usable are its founders: they come together, and
// nothing follows from it.
func detectorConfig(n *directory.Network) detect.Config {
	t := n.Timing
	usable := t.Start.Add(24 * time.Hour)
	if t.InitialRounds > 0 {
		usable = t.Start.Add(time.Duration(t.InitialRounds) * t.InitialPeriod)
	}
	return detect.Config{Usable: usable, SharedSubnets: n.SameSubnet}
}

// tellsNew reports whether an authority that holds this consensus, nil if none,
// can tell who is new in a round: without one in force it would take all relays
// for new after it lost its file, and for one enormous group.
func tellsNew(newest *directory.Consensus, r directory.Round) bool {
	return newest != nil && r.ValidAfter.Before(newest.ValidUntil)
}

// subjects returns the relays of a vote as detection sees them.
func (g *registry) subjects(entries []directory.VoteEntry, today int) []detect.Subject {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]detect.Subject, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		r := g.relays[e.ID]
		if r == nil || r.descriptor == nil || r.history.LastReached.IsZero() {
			continue // what nobody ever reached costs nothing to invent
		}
		list = append(list, subject(r, e, today))
	}
	return list
}

func subject(r *relay, e *directory.VoteEntry, today int) detect.Subject {
	d := r.descriptor
	s := detect.Subject{
		Relay: admit(&e.Relay, today),
		Seen:  r.history.FirstSeen.Truncate(time.Minute),

		Nickname: d.Nickname, Version: d.Platform, Contact: d.Contact,
		Port: d.Addrs[0].Port(), Rate: d.Rate, Burst: d.Burst,
		Starts: r.past.Starts, Rotations: r.past.Rotations,
	}
	if first := r.service.FirstListed; !first.IsZero() && first.Before(directory.Day(s.Seen)) { // adopted
		s.Seen, s.DayOnly = first, true
	}
	if !d.Policy.RejectsAll() {
		for _, line := range d.Policy.Strings() {
			s.Policy += line + "\n"
		}
	}
	return s
}

// mark writes what detection found into the entries of a vote: the group of each
// member and, until it is over, its quarantine.
func mark(v *directory.Vote, groups []detect.Group, newest *directory.Consensus, lasts time.Duration) {
	for i := range groups {
		g := &groups[i]
		name := groupName(g, newest)
		for k, id := range g.Members {
			e := v.Entry(id)
			if e == nil {
				continue
			}
			e.Group = name
			if until := directory.Moment(g.Joined[k].Add(lasts)); until.After(v.ValidAfter) {
				e.Quarantine = directory.Quarantine{Code: g.Code, Until: until}
			}
		}
	}
}

// groupName returns how a vote calls a group: as the newest consensus calls most
// of its members, so that authorities that saw different parts of it first come
// to agree on one name, else by the id that detection gave it.
func groupName(g *detect.Group, newest *directory.Consensus) directory.Digest {
	if newest == nil {
		return g.ID
	}
	counts := make(map[directory.Digest]int)
	for _, id := range g.Members {
		if e := newest.Relay(id); e != nil && !e.Group.IsZero() {
			counts[e.Group]++
		}
	}
	for name, count := range counts {
		if 2*count > len(g.Members) {
			return name
		}
	}
	return g.ID
}

// quarantined returns the relays that a document's entries hold in quarantine.
func quarantined(relays func(yield func(*directory.Relay) bool)) map[keys.RelayID]held {
	list := make(map[keys.RelayID]held)
	for r := range relays {
		if r.Quarantine.Code != "" {
			list[r.ID] = held{Nickname: r.Nickname, Code: r.Quarantine.Code, Until: r.Quarantine.Until, Group: r.Group}
		}
	}
	return list
}

// held is a relay in quarantine.
type held struct {
	Nickname string           `json:"nickname"`
	Code     string           `json:"code"`
	Until    time.Time        `json:"until"`
	Group    directory.Digest `json:"group,omitzero"`
}
