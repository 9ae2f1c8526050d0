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
	stateVersion = 1
	// maxState bounds the bytes of a state file; a full one has about 12 KiB.
	maxState = 256 << 10
)

// ErrState is in the chain of every error about a stored state.
var ErrState = errors.New("guards' state not usable")

// State is what is kept of a client's guards between two runs. It belongs to
// the network of that name and to no other.
type State struct {
	Version int          `json:"version"`
	Network string       `json:"network"`
	Guards  []SavedGuard `json:"guards"` // in the order of sampling
}

// A SavedGuard is one member of the sample. Its dates have been set back by a
// random time.
type SavedGuard struct {
	ID        keys.RelayID `json:"id"`
	Sampled   time.Time    `json:"sampled"`
	Confirmed time.Time    `json:"confirmed,omitzero"`
	Rank      int          `json:"rank,omitempty"` // among the confirmed, from 1
	Unlisted  time.Time    `json:"unlisted,omitzero"`
}

// State returns what is to be kept.
func (g *Guards) State() State {
	s := State{Version: stateVersion, Network: g.network, Guards: make([]SavedGuard, len(g.sample))}
	for i, m := range g.sample {
		s.Guards[i] = SavedGuard{ID: m.id, Sampled: m.sampled, Confirmed: m.confirmed,
			Rank: slices.Index(g.confirmed, m) + 1, Unlisted: m.unlisted}
	}
	return s
}

// Encode returns the state as JSON.
func (s State) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// ParseState decodes and checks what [State.Encode] made.
func ParseState(b []byte) (State, error) {
	if len(b) > maxState {
		return State{}, fmt.Errorf("%w: %d bytes", ErrState, len(b))
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	if s.Version != stateVersion {
		return State{}, fmt.Errorf("%w: version %d", ErrState, s.Version)
	}
	return s, s.check()
}

func (s State) check() error {
	if len(s.Guards) > maxSample {
		return fmt.Errorf("%w: %d guards", ErrState, len(s.Guards))
	}
	seen := make(map[keys.RelayID]bool)
	ranks := make(map[int]bool)
	confirmed := 0
	for _, m := range s.Guards {
		if seen[m.ID] {
			return fmt.Errorf("%w: a guard stands there twice", ErrState)
		}
		seen[m.ID] = true
		if m.Sampled.IsZero() || m.Confirmed.IsZero() != (m.Rank == 0) {
			return fmt.Errorf("%w: a date is missing", ErrState)
		}
		if m.Rank == 0 {
			continue
		}
		if confirmed++; m.Rank < 0 || ranks[m.Rank] {
			return fmt.Errorf("%w: rank %d", ErrState, m.Rank)
		}
		ranks[m.Rank] = true
	}
	for r := range ranks {
		if r > confirmed {
			return fmt.Errorf("%w: rank %d of %d", ErrState, r, confirmed)
		}
	}
	return nil
}

// RestoreGuards returns the guards of a stored state. Dates that lie in the
// future, after a clock that was wrong, count as now.
func RestoreGuards(s State, network string, now time.Time) (*Guards, error) {
	if s.Network != network {
		return nil, fmt.Errorf("%w: it belongs to another network", ErrState)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	g := NewGuards(network)
	past := func(t time.Time) time.Time {
		if t.After(now) {
			return now.UTC().Truncate(time.Second)
		}
		return t
	}
	byRank := make(map[int]*guard)
	for _, m := range s.Guards {
		r := &guard{id: m.ID, sampled: past(m.Sampled), confirmed: past(m.Confirmed), unlisted: past(m.Unlisted), node: -1}
		g.sample = append(g.sample, r)
		byRank[m.Rank] = r
	}
	delete(byRank, 0)
	for i := range len(byRank) {
		g.confirmed = append(g.confirmed, byRank[i+1])
	}
	return g, nil
}
