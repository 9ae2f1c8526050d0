package authority

import (
	"errors"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// What an operator can decide about a quarantine.
const (
	Confirm = "confirm" // it goes on, or begins, until a date
	Lift    = "lift"    // there is none, whatever detection finds
	Forget  = "forget"  // detection alone decides again
)

// CodeManual is the code of a quarantine that operators began.
const CodeManual = "manual"

const (
	maxDecisions = 10_000               // our choice: more than anybody makes by hand
	maxConfirmed = 365 * 24 * time.Hour // our choice: an operator has to look again after a year
)

// A Decision is what an operator of this authority decided about a relay or a
// group. It is this authority's vote and no more: a majority decides.
type Decision struct {
	Target directory.Digest `json:"target"` // a group, or a relay's identity
	Action string           `json:"action"` // Confirm or Lift
	At     time.Time        `json:"at"`
	Until  time.Time        `json:"until,omitzero"` // of a Confirm
	Note   string           `json:"note,omitempty"`
}

// Why a decision is not taken.
var (
	errAction   = errors.New("unknown action: use confirm, lift or forget")
	errUntil    = errors.New("a quarantine lasts from now to a year from now at most")
	errManyMade = errors.New("too many decisions: forget some")
	errNote     = errors.New("a note has at most 200 printable characters")
)

// check says whether a decision can be taken at all.
func (d *Decision) check() error {
	switch {
	case d.Action != Confirm && d.Action != Lift && d.Action != Forget:
		return errAction
	case d.Action == Confirm && (!d.Until.After(d.At) || d.Until.After(d.At.Add(maxConfirmed))):
		return errUntil
	}
	for i := range len(d.Note) {
		if d.Note[i] < ' ' || d.Note[i] > '~' || i >= 200 {
			return errNote
		}
	}
	return nil
}

// about returns the decision that applies to a relay: one about the relay
// itself comes before one about its group.
func about(decisions map[directory.Digest]Decision, id keys.RelayID, groups ...directory.Digest) (Decision, bool) {
	if d, ok := decisions[directory.Digest(id)]; ok {
		return d, true
	}
	for _, g := range groups {
		if d, ok := decisions[g]; ok && !g.IsZero() {
			return d, true
		}
	}
	return Decision{}, false
}

// decide applies the operator's decisions to the entries of a vote. What the
// newest consensus calls a relay's group counts as its group as well: it is what
// operators see.
func decide(v *directory.Vote, decisions map[directory.Digest]Decision, newest *directory.Consensus) {
	if len(decisions) == 0 {
		return
	}
	for i := range v.Entries {
		e := &v.Entries[i]
		var listed directory.Digest
		if newest != nil {
			if r := newest.Relay(e.ID); r != nil {
				listed = r.Group
			}
		}
		d, ok := about(decisions, e.ID, e.Group, listed)
		if !ok {
			continue
		}
		q := &e.Quarantine
		switch {
		case d.Action == Lift:
			e.Group, *q = directory.Digest{}, directory.Quarantine{}
		case d.Until.After(v.ValidAfter) && q.Code == "":
			*q = directory.Quarantine{Code: CodeManual, Until: d.Until}
		case d.Until.After(q.Until):
			q.Until = d.Until
		}
	}
}
