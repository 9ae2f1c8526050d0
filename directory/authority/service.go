package authority

import (
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// service is what an authority knows of a relay's standing in the network: since
// when it is listed, how many days it served, who vouched for it when.
type service struct {
	FirstListed time.Time // zero: in no consensus yet
	Ageing      admission.Ageing
	// Adopt is set while the authority may know less of the relay than the
	// others do: it has just heard of it, perhaps again after its file was lost,
	// or was away for days. Then it takes over what the next consensus that lists
	// the relay says of it, so that a lost file makes nobody young.
	Adopt bool
	Vouch directory.Vouch // by the newest descriptor; the day is ours
}

// dayNumber is a day counted from 1970.
func dayNumber(t time.Time) int { return int(t.Unix() / int64(24*time.Hour/time.Second)) }

// adopt takes over what a consensus says of the relay.
func (s *service) adopt(e *directory.Relay, today int, r *rules.Rules) {
	if s.FirstListed.IsZero() || e.FirstListed.Before(s.FirstListed) {
		s.FirstListed = e.FirstListed
	}
	if !s.Adopt {
		return
	}
	s.Adopt = false
	if e.Age > s.Ageing.Age(today, r) {
		s.Ageing = admission.Ageing{Days: min(e.Age, today), Last: today, Usual: s.Ageing.Usual}
	}
}

// notAfter brings days observed by a clock that was ahead back to the present,
// so that they lock nothing.
func (s *service) notAfter(now time.Time) {
	if today := dayNumber(now); s.Ageing.Last > today {
		s.Ageing.Last = today
	}
}

// observe counts a slice of a day: the relay served in it if it was up and in
// the consensus that was in force. In quarantine its age stands still, and who
// was never listed has none.
func (s *service) observe(listed *directory.Relay, isUp bool, today int, r *rules.Rules) {
	switch {
	case s.FirstListed.IsZero(), listed != nil && listed.Quarantine.Code != "":
		return
	}
	before := s.Ageing.Days
	s.Ageing.Observe(today, isUp && listed != nil, r)
	if before > 0 && s.Ageing.Days == 0 { // away for so long that it is new
		s.FirstListed = time.Time{}
	}
}

// vouched notes whose voucher the newest descriptor carries.
func (s *service) vouched(by directory.Digest, now time.Time) {
	if s.Vouch.By != by {
		s.Vouch = directory.Vouch{}
		if !by.IsZero() {
			s.Vouch = directory.Vouch{By: by, Day: directory.Day(now)}
		}
	}
}

// observe brings the days served up to the period that is voted for: once for
// each vote.
func (g *registry) observe(now, validAfter time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.basis(validAfter)
	for id, r := range g.relays {
		e := g.newestOf(id)
		if e != nil {
			r.service.adopt(e, b.day, b.rules)
		}
		isUp := r.descriptor != nil && g.cadence.opinionOf(&r.history, now, now.Sub(g.started)) == up
		r.service.observe(e, isUp, b.day, b.rules)
		g.dirty[id] |= changedHistory
	}
}

// newestOf returns what the newest consensus says of a relay, nil if nothing.
func (g *registry) newestOf(id keys.RelayID) *directory.Relay {
	if g.newest == nil {
		return nil
	}
	return g.newest.Relay(id)
}
