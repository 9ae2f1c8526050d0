package authority

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

// audited returns the votes for a consensus over relays of which some are too
// many, and its document.
func audited(t *testing.T) (*directorytest.Network, []*directory.Vote, string) {
	t.Helper()
	n := directorytest.New(3)
	relays := crowd(n, 20)
	standing(relays)
	for i := range relays {
		relays[i].FirstListed = relays[0].FirstListed
	}
	relays[1].FirstListed = relays[0].FirstListed.AddDate(0, 0, -1) // the one in quarantine: it is kept
	votes := make([]*directory.Vote, 3)
	for i := range votes {
		votes[i] = ballotOf(t, n, i, relays, func(v *directory.Vote) { keepOut(n.Network, v) })
	}
	return n, votes, string(encoded(t, tally(t, n, votes...)))
}

func TestAuditFindsNothingInWhatTheTallyMade(t *testing.T) {
	n, votes, doc := audited(t)
	found, r, err := AuditConsensus(n.Network, []byte(doc), []*directory.Vote{votes[2], votes[0], votes[1]})
	if err != nil || len(found) != 0 || len(r.Consensus.Relays) != 8 {
		t.Errorf("%v, %d relays, %v", found, len(r.Consensus.Relays), err)
	}
	for _, v := range votes {
		if found := AuditVote(n.Network, v); len(found) != 0 {
			t.Errorf("vote of %v: %v", v.Author, found)
		}
	}
	c, err := directory.ParseConsensus([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	w := Weights(n.Network, c)
	for i := range c.Relays {
		if w.Shares[i] != c.Relays[i].Shares {
			t.Errorf("relay %d: shares %v, computed again from the consensus %v", i, c.Relays[i].Shares, w.Shares[i])
		}
	}
}

func TestAuditNamesEachDeparture(t *testing.T) {
	n, votes, doc := audited(t)
	c, err := directory.ParseConsensus([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	id := func(i int) string { return c.Relays[i].ID.String() }
	for name, tt := range map[string]struct {
		change      func(c *directory.Consensus)
		relay       string // "": the head
		says, rules string // how the lines begin
	}{
		"a share":       {func(c *directory.Consensus) { c.Relays[2].Shares[0]++ }, id(2), "shares ", "shares "},
		"an age":        {func(c *directory.Consensus) { c.Relays[2].Age = 9000 }, id(2), "age 9000", "age "},
		"a date":        {func(c *directory.Consensus) { c.Relays[3].FirstListed = directory.Day(epoch) }, id(3), "listed 2026", "listed 2025"},
		"a flag":        {func(c *directory.Consensus) { c.Relays[3].Flags ^= directory.Fast }, id(3), "flags ", "flags "},
		"no quarantine": {func(c *directory.Consensus) { freed(c).Quarantine = directory.Quarantine{} }, freed(c).ID.String(), "", "quarantine batch"},
		"a relay gone":  {func(c *directory.Consensus) { c.Relays = c.Relays[1:] }, id(0), "", "relay "},
		"random value":  {func(c *directory.Consensus) { c.Random[0]++ }, "", "random ", "random "},
		"relaxed":       {func(c *directory.Consensus) { c.Relaxed = nil }, "", "", "relaxed "},
	} {
		c, err := directory.ParseConsensus([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		tt.change(c)
		found, _, err := AuditConsensus(n.Network, encoded(t, c), votes)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(found, func(d Departure) bool {
			about := ""
			if d.Relay != nil {
				about = d.Relay.String()
			}
			return about == tt.relay && strings.HasPrefix(d.Says, tt.says) && strings.HasPrefix(d.Rules, tt.rules) && (tt.says != "" || d.Says == "")
		}) {
			t.Errorf("%s: found %+v", name, found)
		}
	}
}

// freed returns the relay of a consensus that is in quarantine.
func freed(c *directory.Consensus) *directory.Relay {
	i := slices.IndexFunc(c.Relays, func(r directory.Relay) bool { return r.Quarantine.Code != "" })
	return &c.Relays[i]
}

func TestAuditOfVotesFindsFavours(t *testing.T) {
	n, votes, _ := audited(t)
	v := votes[1]
	favoured := slices.IndexFunc(v.Entries, func(e directory.VoteEntry) bool { return e.Refused != "" })
	v.Entries[favoured].Refused = ""
	victim := slices.IndexFunc(v.Entries, func(e directory.VoteEntry) bool { return e.Refused == "" && e.Flags.Has(directory.Valid) })
	v.Entries[victim].Refused = "as"
	found := AuditVote(n.Network, v)
	if len(found) != 2 {
		t.Fatalf("found %v", found)
	}
	for _, d := range found {
		if *d.Vote != v.Author || *d.Relay != v.Entries[favoured].ID && *d.Relay != v.Entries[victim].ID || d.Says == d.Rules {
			t.Errorf("found %+v", d)
		}
	}
}

func TestAuditWantsTheVotesThatCounted(t *testing.T) {
	n, votes, doc := audited(t)
	if _, _, err := AuditConsensus(n.Network, []byte(doc), votes[:2]); !errors.Is(err, ErrOtherVotes) {
		t.Errorf("without one: %v", err)
	}
	other := ballotOf(t, n, 2, nil)
	if _, _, err := AuditConsensus(n.Network, []byte(doc), []*directory.Vote{votes[0], votes[1], other}); !errors.Is(err, ErrOtherVotes) {
		t.Errorf("with another: %v", err)
	}
	if _, _, err := AuditConsensus(n.Network, []byte("x"), votes); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("no consensus: %v", err)
	}
}
