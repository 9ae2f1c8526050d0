package authority

import (
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func TestWithoutConsensusNobodyIsNew(t *testing.T) {
	n := directorytest.New(1)
	c := n.Consensus(5, nil)
	for name, tt := range map[string]struct {
		c     *directory.Consensus
		round int64
		want  bool
	}{
		"none":          {nil, 6, false},
		"the newest":    {c, 6, true},
		"two missed":    {c, 7, true},
		"one that ends": {c, 8, false},
	} {
		if got := tellsNew(tt.c, n.Round(tt.round)); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What detection is told of a relay: its first sight, or what the consensus knows
// of an earlier one; relays that were never reached are nothing to compare.
func TestSubjectsOfDetection(t *testing.T) {
	n := grownNetwork()
	g := testRegistry(n, epoch)
	old, fresh, never := n.NewRelay(1, epoch), n.NewRelay(2, epoch), n.NewRelay(3, epoch)
	old.Descriptor.Contact, old.Descriptor.Policy = "someone", directory.AcceptAll()
	for _, r := range []*directorytest.Relay{old, fresh, never} {
		if _, err := upload(t, g, r, epoch); err != nil {
			t.Fatal(err)
		}
	}
	takeAll(g, epoch, func(id keys.RelayID) bool { return id != never.Descriptor.ID })
	first := directory.Day(epoch).AddDate(0, 0, -70)
	g.listed(aged(n, epoch.Add(-time.Hour), &old.Descriptor, first, 60))
	list := g.subjects(g.entries(epoch, epoch), dayNumber(epoch))
	if len(list) != 2 {
		t.Fatalf("%d subjects", len(list))
	}
	for _, s := range list {
		switch s.ID {
		case old.Descriptor.ID:
			if !s.Seen.Equal(first) || !s.DayOnly || s.Age != 60 || s.Contact != "someone" || s.Policy == "" || s.Port != 9001 || len(s.Starts) != 1 {
				t.Errorf("one from before: %+v", s)
			}
		case fresh.Descriptor.ID:
			if !s.Seen.Equal(epoch.Truncate(time.Minute)) || s.DayOnly || s.Age != 0 || s.Policy != "" || s.Version != "tunic test" {
				t.Errorf("a new one: %+v", s)
			}
		}
	}
}
