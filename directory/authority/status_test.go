package authority

import (
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

func TestUnlistedRelaysAreTold(t *testing.T) {
	n := directorytest.New(1)
	g := testRegistry(n, epoch)
	var ids []keys.RelayID
	for i := range 4 {
		r := n.NewRelay(i, epoch)
		if _, err := upload(t, g, r, epoch); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.Descriptor.ID)
	}
	for _, u := range g.unlisted(nil, epoch) {
		if u.Why != "not tested yet" {
			t.Errorf("before any test: %q", u.Why)
		}
	}
	// The first two answer once, the first is listed; later nobody answers.
	takeAll(g, epoch, func(id keys.RelayID) bool { return id == ids[0] || id == ids[1] })
	b := &directory.Bundle{Consensus: &directory.Consensus{ValidAfter: epoch.Add(-time.Second), Relays: []directory.Relay{{ID: ids[0]}}}}
	why := func(now time.Time) map[keys.RelayID]string {
		all := map[keys.RelayID]string{}
		for i, u := range g.unlisted(b, now) {
			if i == 0 && u.ID != ids[1] {
				t.Error("the relay that was reached does not come first")
			}
			all[u.ID] = u.Why
		}
		return all
	}
	got := why(epoch)
	if len(got) != 3 || got[ids[1]] != "new: the next consensus may list it" || got[ids[2]] != "never reached at its address" {
		t.Errorf("at first: %v", got)
	}
	g.refused = map[keys.RelayID]string{ids[1]: "range24"}
	if got := why(epoch); got[ids[1]] != "refused by the limit range24" {
		t.Errorf("refused: %v", got)
	}
	now := epoch
	for ; now.Before(epoch.Add(3 * time.Hour)); now = now.Add(time.Minute) {
		takeAll(g, now, func(keys.RelayID) bool { return false })
	}
	if got := why(now); got[ids[1]] != "no longer reached at its address" {
		t.Errorf("later: %v", got)
	}
	if got := why(epoch.Add(directory.DescriptorLife + time.Minute)); got[ids[1]] != "its descriptor has expired" {
		t.Errorf("in the end: %v", got)
	}
}

func TestUnlistedRelaysAreBounded(t *testing.T) {
	n := directorytest.New(1)
	g := testRegistry(n, epoch)
	for i := range maxUnlisted + 5 {
		if _, err := upload(t, g, n.NewRelay(i, epoch), epoch); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(g.unlisted(nil, epoch)); got != maxUnlisted {
		t.Errorf("%d relays in the status, want %d", got, maxUnlisted)
	}
}
