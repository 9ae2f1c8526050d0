package authority

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tunic/directory"
	"tunic/directory/admission/weigh"
	"tunic/directory/keys"
)

// A Departure is a place where a document is not what the rules make of what it
// rests on.
type Departure struct {
	Vote  *keys.RelayID `json:"vote,omitempty"`  // whose vote; nil: the consensus
	Relay *keys.RelayID `json:"relay,omitempty"` // about which relay; nil: about all
	Says  string        `json:"says"`            // "" if there is nothing
	Rules string        `json:"rules"`           // what the rules give
}

// AuditVote returns where the refusals in a vote are not those that its own
// entries, parameters and random value lead to. All else in a vote is its
// author's word.
func AuditVote(n *directory.Network, v *directory.Vote) (list []Departure) {
	say := func(rule string) string {
		if rule == "" {
			return "admitted"
		}
		return "refused " + rule
	}
	for i, rule := range Refusals(n, v) {
		if e := &v.Entries[i]; e.Refused != rule {
			list = append(list, Departure{Vote: &v.Author, Relay: &e.ID, Says: say(e.Refused), Rules: say(rule)})
		}
	}
	return list
}

// ErrOtherVotes says that votes are not those that a consensus names.
var ErrOtherVotes = errors.New("not the votes that the consensus names")

// AuditConsensus computes a consensus document again from the votes that it
// names, and returns where it departs from that, line by line, and what came out.
func AuditConsensus(n *directory.Network, doc []byte, votes []*directory.Vote) ([]Departure, *Result, error) {
	c, err := directory.ParseConsensus(doc)
	if err != nil {
		return nil, nil, err
	}
	round, begun := n.RoundAt(c.ValidAfter)
	if !begun || !round.ValidAfter.Equal(c.ValidAfter) {
		return nil, nil, fmt.Errorf("valid after %s: no period of this network begins then", directory.FormatTime(c.ValidAfter))
	}
	if err := sameVotes(c, votes); err != nil {
		return nil, nil, err
	}
	r, err := Tally(n, round, votes)
	if err != nil {
		return nil, nil, err
	}
	computed, err := r.Consensus.Encode()
	if err != nil {
		return nil, nil, err
	}
	return compare(string(doc), string(computed)), r, nil
}

func sameVotes(c *directory.Consensus, votes []*directory.Vote) error {
	if len(votes) != len(c.Votes) {
		return fmt.Errorf("%d votes, the consensus names %d: %w", len(votes), len(c.Votes), ErrOtherVotes)
	}
	named := make(map[keys.RelayID]directory.Digest, len(c.Votes))
	for _, v := range c.Votes {
		named[v.Author] = v.Digest
	}
	for _, v := range votes {
		if named[v.Author] != v.Digest() {
			return fmt.Errorf("vote of %v with the digest %v: %w", v.Author, v.Digest(), ErrOtherVotes)
		}
	}
	return nil
}

// Weights computes the shares of a consensus again, by its own entries: how its
// shares came about, and which caps cut.
func Weights(n *directory.Network, c *directory.Consensus) weigh.Result {
	return weigh.Explain(admissionOf(c.Relays, dayNumber(c.ValidAfter)), rulesAt(n, c.Params, c.Relaxed, len(c.Relays), c.ValidAfter), dayNumber(c.ValidAfter))
}

// maxDepartures is the greatest number of departures that compare lists: our choice, a
// consensus computed by other rules departs everywhere.
const maxDepartures = 10_000

// compare returns where two consensus documents differ: in the head by the
// keyword of the line, then relay by relay.
func compare(doc, computed string) (list []Departure) {
	said, ruled := chapters(doc), chapters(computed)
	for _, name := range order(said, ruled) {
		var relay *keys.RelayID
		if id, err := keys.ParseRelayID(name); err == nil {
			relay = &id
		}
		for _, d := range differ(said[name], ruled[name]) {
			d.Relay = relay
			if list = append(list, d); len(list) == maxDepartures {
				return list
			}
		}
	}
	if list == nil && doc != computed {
		list = []Departure{{Says: "another order of lines", Rules: "the order of the specification"}}
	}
	return list
}

// chapters splits a consensus into the lines of its head, under "", and those of
// each relay, under its identity.
func chapters(doc string) map[string][]string {
	parts, name := map[string][]string{"": nil}, ""
	for line := range strings.Lines(doc) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "relay "); ok {
			name, _, _ = strings.Cut(rest, " ")
		}
		parts[name] = append(parts[name], line)
	}
	return parts
}

// order returns the names of two sets of chapters, the head first.
func order(a, b map[string][]string) []string {
	names := make([]string, 0, len(a)+len(b))
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// differ pairs lines that differ by their keyword; a line that only one side has
// stands against nothing.
func differ(said, ruled []string) (list []Departure) {
	a, b := only(said, ruled), only(ruled, said)
	for _, line := range a {
		word, _, _ := strings.Cut(line, " ")
		d := Departure{Says: line}
		for i, other := range b {
			if w, _, _ := strings.Cut(other, " "); w == word {
				d.Rules = other
				b = append(b[:i:i], b[i+1:]...)
				break
			}
		}
		list = append(list, d)
	}
	for _, line := range b {
		list = append(list, Departure{Rules: line})
	}
	return list
}

// only returns the lines of a that b does not have.
func only(a, b []string) (lines []string) {
	counts := make(map[string]int, len(b))
	for _, line := range b {
		counts[line]++
	}
	for _, line := range a {
		if counts[line] == 0 {
			lines = append(lines, line)
			continue
		}
		counts[line]--
	}
	return lines
}
