package detect_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/admission/detect"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// drawn draws a relay of a world of few values, so that much coincides.
func drawn(t *rapid.T, name string) detect.Subject {
	few := rapid.IntRange(0, 3)
	s := plain(name, "1.2.3.4", start.Add(time.Duration(rapid.IntRange(-200_000, 5000).Draw(t, "seen"))*time.Minute))
	s.Addrs[0] = netip.AddrFrom4([4]byte{1, byte(few.Draw(t, "b")), byte(few.Draw(t, "c")), byte(rapid.Byte().Draw(t, "d"))})
	switch few.Draw(t, "address") {
	case 0:
		s.Addrs = nil
	case 1:
		s.Addrs[0] = netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::1", few.Draw(t, "v6")))
	}
	s.Version, s.Policy, s.Contact = fmt.Sprint(few.Draw(t, "version")), fmt.Sprint(few.Draw(t, "policy")), fmt.Sprint(few.Draw(t, "contact"))
	s.Port, s.Rate, s.AS = uint16(few.Draw(t, "port")), uint64(few.Draw(t, "rate")), uint32(few.Draw(t, "as"))
	s.DayOnly = few.Draw(t, "day") == 0
	s.Starts = rapid.SliceOfN(rapid.Int64Range(start.Unix()/60-3, start.Unix()/60+3), 0, 40).Draw(t, "starts")
	if few.Draw(t, "family") == 0 {
		s.Family = []directory.Digest{{1 + byte(few.Draw(t, "which"))}}
	}
	return s
}

// Whatever relays there are and come: groups are disjoint, in order, of relays
// that are there, never smaller than they were, and the state can be loaded.
func TestGroupsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rules.Of(nil, rapid.SampledFrom([][]string{nil, {rules.Small}, {rules.Test}}).Draw(t, "relaxed"), 0, 0)
		r.Detection.MarginBits = rapid.IntRange(0, 10).Draw(t, "margin")
		c := detect.Config{SharedSubnets: rapid.Bool().Draw(t, "shared")}
		if rapid.Bool().Draw(t, "young") {
			c.Usable = start
		}
		d := detect.New(c)
		var list []detect.Subject
		before := map[keys.RelayID]directory.Digest{}
		now := start
		for run := range rapid.IntRange(1, 3).Draw(t, "runs") {
			for i := range rapid.IntRange(0, 40).Draw(t, "more") {
				list = append(list, drawn(t, fmt.Sprint(run, i)))
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "later")) * time.Minute)
			groups := d.Run(list, now, r)
			of := map[keys.RelayID]directory.Digest{}
			for k, g := range groups {
				if k > 0 && bytes.Compare(groups[k-1].ID[:], g.ID[:]) >= 0 {
					t.Fatal("groups out of order")
				}
				if len(g.Members) < r.Detection.Least || len(g.Joined) != len(g.Members) {
					t.Fatalf("a group of %d, %d times", len(g.Members), len(g.Joined))
				}
				for i, id := range g.Members {
					if i > 0 && bytes.Compare(g.Members[i-1][:], id[:]) >= 0 {
						t.Fatal("members out of order")
					}
					if _, ok := of[id]; ok {
						t.Fatal("a relay in two groups")
					}
					of[id] = g.ID
				}
			}
			for id, g := range before {
				if of[id] != g {
					t.Fatal("a member left its group")
				}
			}
			before = of
			state, err := d.Save()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := detect.Load(c, state); err != nil {
				t.Fatal(err)
			}
		}
	})
}
