package client

import (
	"testing"
	"testing/synctest"
	"time"

	"tunic/directory"
)

// The status tells what a client's guards have in common with other relays, why
// one is in quarantine and still used, and what has been spent.
func TestStatusOfGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7, 3)
		w.relaxed = nil
		relays := w.relays()
		for i := range relays {
			r := &relays[i]
			r.AS, r.Country, r.FirstListed = uint32(64500+i), "IS", directory.Day(time.Now().Add(-40*24*time.Hour))
			r.Family, r.Group = []directory.Digest{directory.DigestOf([]byte(r.Nickname))}, directory.DigestOf([]byte("group of "+r.Nickname))
		}
		w.publish(relays)
		c := launch(t, w)
		defer c.Close()
		ready(t, c)
		get(t, c, "one").Close()
		until := time.Now().UTC().Add(10 * 24 * time.Hour)
		for i := range relays {
			if r := &relays[i]; r.Nickname == guard(c, 0) {
				r.Quarantine, r.Flags = directory.Quarantine{Code: "cluster", Until: until}, r.Flags&^directory.Guard
				r.Shares[directory.AsGuard] = 0
			}
		}
		w.publish(relays)
		time.Sleep(3 * w.file.Timing.Period) // a client fetches before the old one ends
		s := c.Status()
		g := s.Guards[0]
		if !g.Kept || !g.Primary || g.Quarantine == nil || g.Quarantine.Code != "cluster" || !g.Quarantine.Until.Equal(until) {
			t.Errorf("guard %+v", g)
		}
		if k := g.Groups; len(k.Families) != 1 || k.Inferred == "" || k.AS == 0 || k.Country != "IS" || len(k.Subnets) != 1 || k.Subnets[0].Bits() != 16 || k.Cohort == "" {
			t.Errorf("groups %+v", k)
		}
		if d := s.Draws; d.Day != 1 || d.Year != 1 || d.DayLimit != 1 || d.YearLimit != 6 || !d.HeldUntil.IsZero() {
			t.Errorf("draws %+v", d)
		}
		if len(s.Exposure) != 2 || !s.Exposure[0].Held || s.Exposure[0].Year < 0.99 { // all are of one cohort and one country
			t.Errorf("exposure %+v", s.Exposure)
		}
	})
}
