package path

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/directory/keys"
)

const ( // our choice
	stateVersion = 2
	// maxState bounds the bytes of a state file; a full one has about 80 KiB.
	maxState = 256 << 10
)

// ErrState is in the chain of every error about a stored state.
var ErrState = errors.New("guards' state not usable")

// State is what is kept of a client's guards between two runs. It belongs to
// the network of that name and to no other.
type State struct {
	Version int           `json:"version"`
	Network string        `json:"network"`
	Guards  []SavedGuard  `json:"guards"`           // in the order of sampling
	Filled  Day           `json:"filled,omitempty"` // when the sample was first filled
	Draws   []SavedDraw   `json:"draws,omitempty"`  // in the order of their days
	Layer2  []SavedSecond `json:"layer2,omitempty"`
}

// A SavedGuard is one member of the sample. Dates of what the user did have been
// set back by a random time.
type SavedGuard struct {
	ID        keys.RelayID `json:"id"`
	Expires   time.Time    `json:"expires,omitzero"`
	Sampled   time.Time    `json:"sampled,omitzero"` // instead, in a state of version 1 and until an end is drawn
	Confirmed time.Time    `json:"confirmed,omitzero"`
	Rank      int          `json:"rank,omitempty"`   // version 1: among the confirmed, from 1
	Opened    bool         `json:"opened,omitempty"` // counted against the draw budget; confirmed ones are
	Unlisted  time.Time    `json:"unlisted,omitzero"`
}

// A SavedDraw is a guard that was counted against the draw budget.
type SavedDraw struct {
	Day  Day  `json:"day"`
	Used bool `json:"used,omitempty"` // not merely passed over
}

// A SavedSecond is a second-layer guard.
type SavedSecond struct {
	ID      keys.RelayID `json:"id"`
	Expires time.Time    `json:"expires"`
}

// A Day is a day in UTC, such as 2030-01-31; "" is none.
type Day string

const dayLayout = "2006-01-02"

func dayText(d int32) Day {
	if d == 0 {
		return ""
	}
	return Day(time.Unix(int64(d)*int64(day/time.Second), 0).UTC().Format(dayLayout))
}

func (d Day) number() (int32, error) {
	if d == "" {
		return 0, nil
	}
	t, err := time.Parse(dayLayout, string(d))
	if err != nil || dayOf(t) <= 0 || dayText(dayOf(t)) != d {
		return 0, fmt.Errorf("%w: a day", ErrState)
	}
	return dayOf(t), nil
}

// State returns what is to be kept.
func (g *Guards) State() State {
	s := State{Version: stateVersion, Network: g.network, Guards: make([]SavedGuard, len(g.sample)), Filled: dayText(g.filled)}
	for i, m := range g.sample {
		k := SavedGuard{ID: m.id, Expires: m.expires.time(), Confirmed: m.confirmed.time(), Opened: m.opened && m.confirmed == 0, Unlisted: m.unlisted.time()}
		if m.dated {
			k.Sampled, k.Expires = k.Expires, time.Time{}
		}
		s.Guards[i] = k
	}
	for _, d := range g.draws {
		s.Draws = append(s.Draws, SavedDraw{dayText(d.day), d.used})
	}
	for _, m := range g.second {
		s.Layer2 = append(s.Layer2, SavedSecond{m.id, m.expires.time()})
	}
	return s
}

// Encode returns the state as JSON.
func (s State) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// ParseState decodes and checks what [State.Encode] made, this version's or an
// older one's. What it returns is of this version.
func ParseState(b []byte) (State, error) {
	if len(b) > maxState {
		return State{}, fmt.Errorf("%w: %d bytes", ErrState, len(b))
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	switch s.Version {
	case 1:
		if err := s.upgrade(); err != nil {
			return State{}, err
		}
	case stateVersion:
	default:
		return State{}, fmt.Errorf("%w: version %d", ErrState, s.Version)
	}
	return s, s.check()
}

// upgrade makes a state of version 1, in which confirmed guards had ranks and
// all the same lifetime, one of this version. The confirmed ones come first, in
// the order of their ranks, so that the guard in use stays; the sample was filled
// when its first guard was drawn.
func (s *State) upgrade() error {
	if s.Filled != "" || s.Draws != nil || s.Layer2 != nil {
		return fmt.Errorf("%w: more than version 1 has", ErrState)
	}
	confirmed := 0
	first := time.Time{}
	for _, m := range s.Guards {
		if m.Sampled.IsZero() || m.Confirmed.IsZero() != (m.Rank == 0) || !m.Expires.IsZero() || m.Opened {
			return fmt.Errorf("%w: a date is missing", ErrState)
		}
		confirmed += count(m.Rank != 0)
		if first.IsZero() || m.Sampled.Before(first) {
			first = m.Sampled
		}
	}
	seen := make([]bool, confirmed+1)
	for _, m := range s.Guards {
		if m.Rank < 0 || m.Rank > confirmed || m.Rank != 0 && seen[m.Rank] {
			return fmt.Errorf("%w: rank %d of %d", ErrState, m.Rank, confirmed)
		}
		seen[m.Rank] = true
	}
	place := func(m SavedGuard) int {
		if m.Rank == 0 {
			return confirmed + 1
		}
		return m.Rank
	}
	slices.SortStableFunc(s.Guards, func(a, b SavedGuard) int { return place(a) - place(b) })
	for i := range s.Guards {
		s.Guards[i].Rank = 0
	}
	if !first.IsZero() {
		s.Filled = dayText(max(1, dayOf(first)))
	}
	s.Version = stateVersion
	return nil
}

func (s State) check() error {
	if len(s.Guards) > maxSample || len(s.Draws) > maxDraws || len(s.Layer2) > maxSecond {
		return fmt.Errorf("%w: %d guards, %d draws, %d of the second layer", ErrState, len(s.Guards), len(s.Draws), len(s.Layer2))
	}
	seen := make(map[keys.RelayID]bool)
	for _, m := range s.Guards {
		if seen[m.ID] {
			return fmt.Errorf("%w: a guard stands there twice", ErrState)
		}
		seen[m.ID] = true
		if m.Sampled.IsZero() == m.Expires.IsZero() || m.Rank != 0 {
			return fmt.Errorf("%w: a guard has one date, of its sampling or its end, and no rank", ErrState)
		}
	}
	if _, err := s.Filled.number(); err != nil {
		return err
	}
	for _, d := range s.Draws {
		if n, err := d.Day.number(); err != nil || n == 0 {
			return fmt.Errorf("%w: the day of a draw", ErrState)
		}
	}
	clear(seen)
	for _, m := range s.Layer2 {
		if seen[m.ID] || m.Expires.IsZero() {
			return fmt.Errorf("%w: second layer", ErrState)
		}
		seen[m.ID] = true
	}
	return nil
}

// RestoreGuards returns the guards of a stored state. Dates that lie in the
// future, after a clock that was wrong, count as now, but for a guard's end: the
// next [Guards.Update] bounds it.
func RestoreGuards(s State, network string, now time.Time) (*Guards, error) {
	if s.Network != network {
		return nil, fmt.Errorf("%w: it belongs to another network", ErrState)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%w: version %d", ErrState, s.Version)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	g := NewGuards(network)
	past := func(t time.Time) stamp { return min(stampOf(t), stampOf(now)) }
	for _, m := range s.Guards {
		r := &guard{id: m.ID, expires: stampOf(m.Expires), confirmed: past(m.Confirmed), unlisted: past(m.Unlisted), node: -1}
		if r.dated = !m.Sampled.IsZero(); r.dated {
			r.expires = past(m.Sampled)
		}
		r.opened = m.Opened || r.confirmed != 0
		g.sample = append(g.sample, r)
	}
	g.filled, _ = s.Filled.number()
	g.filled = min(g.filled, dayOf(now))
	for _, d := range s.Draws {
		n, _ := d.Day.number()
		g.draws = append(g.draws, opening{min(n, dayOf(now)), d.Used})
	}
	for _, m := range s.Layer2 {
		g.second = append(g.second, &second{id: m.ID, expires: stampOf(m.Expires), node: -1})
	}
	return g, nil
}
