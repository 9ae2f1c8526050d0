package authority

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// journalFile is the log of quarantine decisions in the state directory: a JSON
// object on each line, only ever appended to.
const journalFile = "quarantine.jsonl"

// Whose word a line of the journal is.
const (
	byDetection = "detection" // this authority's vote, as detection and its operators have it
	byOperator  = "operator"  // a decision of an operator of this authority
	byNetwork   = "consensus" // what a majority of the authorities decided
)

// A line is one of the journal.
type line struct {
	Time     time.Time        `json:"time"`
	By       string           `json:"by"`
	What     string           `json:"what"` // begins, changes, ends; of operators confirm, lift, forget
	Relay    *keys.RelayID    `json:"relay,omitempty"`
	Nickname string           `json:"nickname,omitempty"`
	Code     string           `json:"code,omitempty"`
	Until    time.Time        `json:"until,omitzero"`
	Group    directory.Digest `json:"group,omitzero"`
	Note     string           `json:"note,omitempty"`
}

// changes returns the events that lead from one set of relays in quarantine to
// another, in the order of identities.
func changes(from, to map[keys.RelayID]held, by string, now time.Time) (events []line) {
	note := func(id keys.RelayID, what string, h held) {
		events = append(events, line{Time: now, By: by, What: what, Relay: &id, Nickname: h.Nickname, Code: h.Code, Until: h.Until, Group: h.Group})
	}
	for id, h := range to {
		before, was := from[id]
		switch {
		case !was:
			note(id, "begins", h)
		case before.Code != h.Code || before.Group != h.Group || !before.Until.Equal(h.Until):
			note(id, "changes", h)
		}
	}
	for id, h := range from {
		if _, is := to[id]; !is {
			note(id, "ends", h)
		}
	}
	slices.SortFunc(events, func(a, b line) int { return directory.CompareID(*a.Relay, *b.Relay) })
	return events
}

// lines returns those for a decision: one for each relay that it is about, one
// where it is about none that is here.
func (d *Decision) lines(relays []RelayReport) []line {
	one := line{Time: d.At, By: byOperator, What: d.Action, Until: d.Until, Note: d.Note}
	var list []line
	for i := range relays {
		r := &relays[i]
		l := one
		l.Relay, l.Nickname, l.Group = &r.ID, r.Nickname, r.Group
		list = append(list, l)
	}
	if list == nil {
		one.Group = d.Target
		list = append(list, one)
	}
	return list
}

// appendJournal writes events behind what is there.
func appendJournal(dir string, events []line) error {
	if len(events) == 0 {
		return nil
	}
	var text []byte
	for i := range events {
		one, err := json.Marshal(&events[i])
		if err != nil {
			return err
		}
		text = append(append(text, one...), '\n')
	}
	f, err := os.OpenFile(filepath.Join(dir, journalFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, storeMode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
