package authority

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func TestHistoryOfARelayThatIsGone(t *testing.T) {
	n := directorytest.New(1)
	g, r := testRegistry(n, epoch), n.NewRelay(4, epoch)
	if _, err := upload(t, g, r, epoch); err != nil {
		t.Fatal(err)
	}
	takeAll(g, epoch, always)
	g.forget(epoch.Add(20 * time.Hour)) // its descriptor
	for _, name := range []string{"relay4", r.Descriptor.ID.String()} {
		h := g.gone(name)
		if h == nil || h.ID != r.Descriptor.ID || !h.LastReached.Equal(epoch) || len(h.Runs) != 1 || len(h.Had) != len(attributes) {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := g.gone("relay5"); h != nil {
		t.Errorf("of one that never was: %+v", h)
	}
}

func TestNamesOfRelays(t *testing.T) {
	n := directorytest.New(1)
	v := n.Vote(0, 0, n.Relays(3))
	v.Entries[2].Nickname = v.Entries[1].Nickname
	for i := range v.Entries {
		if got, err := findEntry(v, v.Entries[i].ID.String()); got != i || err != nil {
			t.Errorf("by identity: %d, %v", got, err)
		}
	}
	if got, err := findEntry(v, v.Entries[0].Nickname); got != 0 || err != nil {
		t.Errorf("by nickname: %d, %v", got, err)
	}
	if _, err := findEntry(v, v.Entries[1].Nickname); !errors.Is(err, ErrNoSuchRelay) || !strings.Contains(err.Error(), "several") {
		t.Errorf("by the nickname of two: %v", err)
	}
	if _, err := findEntry(v, "nobody"); !errors.Is(err, ErrNoSuchRelay) {
		t.Errorf("by a name that nobody has: %v", err)
	}
}

// Every flag has a reason, and one that is not given names what lacks.
func TestReasonsOfFlags(t *testing.T) {
	all := alike(30, 2*guardBandwidth)
	all[3].age, all[4].opinion, all[5].bandwidth = 12, down, fastBandwidth/2
	g := newFlagger(all, oneDay, 20*time.Minute, grown)
	reasons := func(i int, refused string) map[string]Reason {
		e := &directory.VoteEntry{Refused: refused}
		e.Flags, _ = g.flags(&all[i])
		if refused != "" {
			e.Flags &^= directory.Valid
		}
		byFlag := map[string]Reason{}
		for _, r := range g.reasons(&all[i], e) {
			if r.Why == "" {
				t.Errorf("relay %d: %s without a reason", i, r.Flag)
			}
			byFlag[r.Flag] = r
		}
		if len(byFlag) != directory.AllFlags.Len() {
			t.Errorf("reasons of %d flags", len(byFlag))
		}
		return byFlag
	}
	if r := reasons(0, "")["Guard"]; !r.Has || !strings.Contains(r.Why, "31 days served, needs 31") {
		t.Errorf("old enough: %+v", r)
	}
	young := reasons(3, "")
	if r := young["Guard"]; r.Has || r.Why != "12 days served, needs 31" {
		t.Errorf("12 days old: %+v", r)
	}
	if r := young["HSDir"]; r.Has || r.Why != "12 days served, needs 14" {
		t.Errorf("12 days old: %+v", r)
	}
	if r := reasons(4, "")["Stable"]; r.Has || r.Why != "not Running" {
		t.Errorf("down: %+v", r)
	}
	if r := reasons(5, "")["Fast"]; r.Has || r.Why != "bandwidth 50 kB/s, needs 100" {
		t.Errorf("slow: %+v", r)
	}
	if r := reasons(0, "as")["Valid"]; r.Has || r.Why != "refused: as" {
		t.Errorf("refused: %+v", r)
	}
}
