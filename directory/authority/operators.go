package authority

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tunic/directory"
	"tunic/directory/admission/detect"
	"tunic/directory/keys"
)

// A RelayReport is what an authority says of one relay, and why, to its
// operators.
type RelayReport struct {
	ID          keys.RelayID       `json:"id"`
	Nickname    string             `json:"nickname"`
	Addresses   []netip.AddrPort   `json:"addresses"`
	Flags       string             `json:"flags"`     // as this authority would vote now
	Consensus   string             `json:"consensus"` // as the newest consensus has them
	Listed      bool               `json:"listed"`    // in the newest consensus
	Reasons     []Reason           `json:"reasons"`
	Refused     string             `json:"refused,omitempty"` // by which rule of admission
	Weight      uint64             `json:"weight"`            // kB/s
	FirstListed time.Time          `json:"first_listed,omitzero"`
	Age         int                `json:"age"`       // days served
	CountsFor   int                `json:"counts_as"` // the same as the rules count it: more in a young network
	AS          uint32             `json:"as,omitempty"`
	Country     string             `json:"country,omitempty"`
	Families    []directory.Digest `json:"families,omitempty"`
	Group       directory.Digest   `json:"group,omitzero"`
	Voucher     directory.Digest   `json:"voucher,omitzero"`     // that counts in the newest consensus
	Quarantine  *Held              `json:"quarantine,omitempty"` // as this authority would vote now
	InForce     *Held              `json:"in_force,omitempty"`   // by the newest consensus
	Shares      directory.Shares   `json:"shares"`               // guard, middle, exit, in the newest consensus
}

// Held is a quarantine for operators.
type Held struct {
	Code  string    `json:"code"`
	Until time.Time `json:"until"`
}

func heldOf(q directory.Quarantine) *Held {
	if q.Code == "" {
		return nil
	}
	return &Held{q.Code, q.Until}
}

// A HistoryReport is all that an authority knows of one relay.
type HistoryReport struct {
	RelayReport
	FirstSeen       time.Time `json:"first_seen"`
	LastReached     time.Time `json:"last_reached,omitzero"`
	FractionUp      float64   `json:"fraction_up"`      // of known time, faded
	BetweenFailures float64   `json:"between_failures"` // seconds, faded
	Known           float64   `json:"known"`            // seconds, faded
	Runs            []Spell   `json:"runs"`             // the latest, oldest first
	Had             []Had     `json:"had"`              // what its descriptors said
	Restarts        []string  `json:"restarts"`
	KeyChanges      []string  `json:"key_changes"`
}

// A Spell is a time in which something was so.
type Spell struct {
	What string    `json:"what,omitempty"`
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
}

// Had is what an attribute of a relay was.
type Had struct {
	Attribute string  `json:"attribute"`
	Spells    []Spell `json:"spells"`
}

// ErrNoSuchRelay says that a name means no relay or group, or several.
var ErrNoSuchRelay = errors.New("no such relay or group")

// draft is what this authority would vote for now, without running detection
// again.
func (a *Authority) draft(now time.Time) (v *directory.Vote, all []facts, f *flagger, b basis) {
	validAfter := a.network.NextRound(now).ValidAfter
	newest, b := a.reg.judgedBy(validAfter)
	v = &directory.Vote{
		Network: a.network.Digest(), Author: a.self, ValidAfter: validAfter, Params: a.cfg.Params,
		Draw: a.tickets.join(a.self, validAfter),
	}
	v.Entries, all, f = a.reg.judged(now, validAfter)
	a.place(v)
	keepOut(a.network, v)
	a.watch.preview(v, newest, b.rules)
	return v, all, f, b
}

// Relays returns what this authority says of all relays with a descriptor.
func (a *Authority) Relays() []RelayReport {
	v, all, f, b := a.draft(time.Now())
	list := make([]RelayReport, len(v.Entries))
	newest, _ := a.reg.judgedBy(v.ValidAfter)
	for i := range v.Entries {
		list[i] = report(&v.Entries[i], &all[i], f, &b, newest)
	}
	return list
}

func report(e *directory.VoteEntry, x *facts, f *flagger, b *basis, newest *directory.Consensus) RelayReport {
	r := RelayReport{
		ID: e.ID, Nickname: e.Nickname, Addresses: e.Addrs, Flags: e.Flags.String(), Reasons: f.reasons(x, e),
		Refused: e.Refused, Weight: e.Weight, FirstListed: e.FirstListed, Age: e.Age, CountsFor: b.rules.AgeOf(e.Age),
		AS: e.AS, Country: e.Country, Families: e.Family, Group: e.Group, Quarantine: heldOf(e.Quarantine),
	}
	if newest == nil {
		return r
	}
	if c := newest.Relay(e.ID); c != nil {
		r.Listed, r.Consensus, r.Shares, r.Voucher, r.InForce = true, c.Flags.String(), c.Shares, c.Voucher, heldOf(c.Quarantine)
	}
	return r
}

// History returns all that this authority knows of a relay, by its identity or
// its nickname, if no other relay has that.
func (a *Authority) History(name string) (*HistoryReport, error) {
	v, all, f, b := a.draft(time.Now())
	newest, _ := a.reg.judgedBy(v.ValidAfter)
	i, err := findEntry(v, name)
	if err != nil {
		if h := a.reg.gone(name); h != nil {
			return h, nil
		}
		return nil, err
	}
	h := &HistoryReport{RelayReport: report(&v.Entries[i], &all[i], f, &b, newest)}
	a.reg.tell(h)
	return h, nil
}

// findEntry returns the index of the entry that a name means.
func findEntry(v *directory.Vote, name string) (int, error) {
	found := -1
	for i := range v.Entries {
		switch e := &v.Entries[i]; {
		case e.ID.String() == name:
			return i, nil
		case e.Nickname == name && found >= 0:
			return -1, fmt.Errorf("several relays are called %s, give an identity: %w", name, ErrNoSuchRelay)
		case e.Nickname == name:
			found = i
		}
	}
	if found < 0 {
		return -1, fmt.Errorf("%q: %w", name, ErrNoSuchRelay)
	}
	return found, nil
}

// gone returns what is known of a relay without a descriptor that counts, by its
// identity or by the last nickname that it had; of several the one reached last.
func (g *registry) gone(name string) *HistoryReport {
	g.mu.Lock()
	var found *relay
	for _, r := range g.relays {
		names := r.past.Had["nickname"]
		called := len(names) > 0 && names[len(names)-1].What == name
		if r.id.String() != name && !called {
			continue
		}
		if found == nil || r.history.LastReached.After(found.history.LastReached) {
			found = r
		}
	}
	var h *HistoryReport
	if found != nil {
		s := &found.service
		h = &HistoryReport{RelayReport: RelayReport{ID: found.id, Nickname: name, FirstListed: s.FirstListed, Age: s.Ageing.Days, CountsFor: s.Ageing.Days}}
	}
	g.mu.Unlock()
	if h != nil {
		g.tell(h)
	}
	return h
}

// tell adds what the registry knows of a relay's past.
func (g *registry) tell(h *HistoryReport) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.relays[h.ID]
	if r == nil {
		return
	}
	h.FirstSeen, h.LastReached = r.history.FirstSeen, r.history.LastReached
	h.FractionUp, h.BetweenFailures, h.Known = r.history.fractionUp(), r.history.betweenFailures(), r.history.Known
	for _, x := range r.past.Runs {
		h.Runs = append(h.Runs, Spell{From: x.From, To: x.To})
	}
	for _, x := range attributes {
		had := Had{Attribute: x.name}
		for _, s := range r.past.Had[x.name] {
			had.Spells = append(had.Spells, Spell(s))
		}
		h.Had = append(h.Had, had)
	}
	h.Restarts, h.KeyChanges = minutes(r.past.Starts), minutes(r.past.Rotations)
}

func minutes(list []int64) (texts []string) {
	for _, m := range list {
		texts = append(texts, time.Unix(60*m, 0).UTC().Format(time.RFC3339))
	}
	return texts
}

// A QuarantineReport is what is known and decided about groups and quarantine.
type QuarantineReport struct {
	Groups    []GroupReport `json:"groups"`    // found by detection here, or named by the newest consensus
	Alone     []RelayReport `json:"alone"`     // in quarantine, and in no group
	Decisions []Decision    `json:"decisions"` // of this authority's operators
}

// A GroupReport is one group.
type GroupReport struct {
	ID      directory.Digest `json:"id"`
	Code    string           `json:"code,omitempty"` // "" where only the consensus has it
	Why     string           `json:"why,omitempty"`
	Bits    float64          `json:"bits,omitempty"` // how unlikely, as -log2 of the probability
	Since   time.Time        `json:"since,omitzero"`
	Members []RelayReport    `json:"members"`
}

// Quarantine returns all groups and all relays in quarantine, by this authority
// or by the newest consensus.
func (a *Authority) Quarantine() QuarantineReport {
	relays := a.Relays()
	newest, _ := a.reg.judgedBy(time.Now())
	groups, decisions := a.watch.known()
	report := QuarantineReport{Groups: []GroupReport{}, Alone: []RelayReport{}, Decisions: append([]Decision{}, decisions...)} // none is an empty list in JSON too
	byID := make(map[directory.Digest]*GroupReport)
	for i := range groups {
		g := &groups[i]
		name := groupName(g, newest)
		byID[name] = &GroupReport{ID: name, Code: g.Code, Why: g.Why, Bits: float64(g.Millibits) / 1000, Since: g.Since}
	}
	for _, r := range relays {
		id := groupOf(&r, groups, newest)
		switch {
		case !id.IsZero():
			if byID[id] == nil {
				byID[id] = &GroupReport{ID: id}
			}
			byID[id].Members = append(byID[id].Members, r)
		case r.Quarantine != nil || r.InForce != nil:
			report.Alone = append(report.Alone, r)
		}
	}
	for _, g := range byID {
		report.Groups = append(report.Groups, *g)
	}
	slices.SortFunc(report.Groups, func(a, b GroupReport) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return report
}

// groupOf returns the group that a relay belongs to here, whatever operators
// decided about it, else by the newest consensus.
func groupOf(r *RelayReport, groups []detect.Group, newest *directory.Consensus) directory.Digest {
	for i := range groups {
		if slices.Contains(groups[i].Members, r.ID) {
			return groupName(&groups[i], newest)
		}
	}
	if newest != nil {
		if c := newest.Relay(r.ID); c != nil {
			return c.Group
		}
	}
	return directory.Digest{}
}

// minPrefix is how many characters of a group's name have to be given: our
// choice, as many as lists show.
const minPrefix = 8

// Decide takes what an operator decided about a relay, by identity or nickname,
// or about a group, by its name or the beginning of it. It returns whom that is
// about.
func (a *Authority) Decide(name string, d Decision) ([]RelayReport, error) {
	d.At = time.Now().UTC().Truncate(time.Second)
	report := a.Quarantine()
	about, target, err := a.target(name, &report)
	if err != nil && d.Action == Forget { // of what is not here any more
		for _, old := range report.Decisions {
			if old.Target.String() == name {
				target, err = old.Target, nil
			}
		}
	}
	if err != nil {
		return nil, err
	}
	d.Target = target
	return about, a.watch.decide(d, about)
}

func (a *Authority) target(name string, report *QuarantineReport) (about []RelayReport, id directory.Digest, err error) {
	relays := a.Relays()
	v := &directory.Vote{Entries: make([]directory.VoteEntry, len(relays))}
	for i := range relays {
		v.Entries[i].ID, v.Entries[i].Nickname = relays[i].ID, relays[i].Nickname
	}
	i, err := findEntry(v, name)
	if err == nil {
		return relays[i : i+1], directory.Digest(relays[i].ID), nil
	}
	for _, g := range report.Groups {
		if text := g.ID.String(); text == name || len(name) >= minPrefix && strings.HasPrefix(text, name) {
			if !id.IsZero() {
				return nil, directory.Digest{}, fmt.Errorf("%q is the beginning of several groups: %w", name, ErrNoSuchRelay)
			}
			about, id = g.Members, g.ID
		}
	}
	if id.IsZero() {
		return nil, id, err
	}
	return about, id, nil
}
