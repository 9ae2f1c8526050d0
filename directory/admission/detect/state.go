package detect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

const ( // our choice: bounds of a state on disk
	maxState   = 32 << 20 // bytes: twice what the greatest one takes
	maxKnown   = 2 * directory.MaxRelays
	maxWhy     = 200
	maxTime    = 253_402_300_799 // seconds: the end of the year 9999
	maxHour    = maxTime / 3600
	rememberIn = 90 // days for which a member that is not listed is remembered
)

// ErrState is in the chain of all that is wrong with a state.
var ErrState = errors.New("detection state is malformed")

// A State is what a detector remembers from run to run.
type State struct {
	Arrivals series    `json:"arrivals"`
	Tested   int       `json:"tested"` // all windows that end before this hour were tested
	Episodes []episode `json:"episodes"`
	Groups   []known   `json:"groups"` // ascending by id
}

// A known is a group as it is remembered.
type known struct {
	ID        directory.Digest `json:"id"`
	Code      string           `json:"code"`
	Since     int64            `json:"since"` // seconds from 1970
	Window    int              `json:"window,omitempty"`
	Millibits int64            `json:"millibits"`
	Why       string           `json:"why"`
	Members   []member         `json:"members"` // ascending by identity
}

// A member of a group.
type member struct {
	ID     []byte `json:"id"`
	Joined int64  `json:"joined"` // seconds from 1970
	Last   int    `json:"last"`   // day from 1970 on which it was listed last
}

// Load returns a detector with the state that [Detector.Save] returned.
func Load(c Config, state []byte) (*Detector, error) {
	d := New(c)
	if len(state) > maxState {
		return nil, fmt.Errorf("%w: %d bytes", ErrState, len(state))
	}
	in := json.NewDecoder(bytes.NewReader(state))
	in.DisallowUnknownFields()
	if err := in.Decode(&d.state); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrState, err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: more behind it", ErrState)
	}
	if err := d.state.check(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrState, err)
	}
	return d, nil
}

// Save returns the state between runs as JSON.
func (d *Detector) Save() ([]byte, error) { return json.Marshal(&d.state) }

func (t *State) check() error {
	if len(t.Arrivals.Counts) > maxHours || !isHour(t.Arrivals.First) || !isHour(t.Arrivals.end()) || !isHour(t.Tested) {
		return errors.New("arrivals")
	}
	if len(t.Episodes) > maxEpisodes || slices.ContainsFunc(t.Episodes, episode.bad) {
		return errors.New("episodes")
	}
	all := map[keys.RelayID]bool{}
	for i := range t.Groups {
		if i > 0 && bytes.Compare(t.Groups[i-1].ID[:], t.Groups[i].ID[:]) >= 0 {
			return errors.New("order of groups")
		}
		if err := t.Groups[i].check(all); err != nil {
			return err
		}
	}
	if len(all) > maxKnown {
		return errors.New("too many members")
	}
	return nil
}

func isHour(h int) bool { return h >= 0 && h <= maxHour }

func (e episode) bad() bool {
	return !isHour(e.From) || !isHour(e.To) || e.From >= e.To || e.To-e.From > longest ||
		!slices.Contains(windows[:], e.Window) || math.IsNaN(e.Bits) || e.Bits < 0 || e.Bits > 1e6
}

// check also adds the members to all, of which each may be in one group only.
func (g *known) check(all map[keys.RelayID]bool) error {
	if g.ID.IsZero() || g.Code != Batch && g.Code != Cluster || len(g.Members) == 0 ||
		g.Window != 0 && !slices.Contains(windows[:], g.Window) || g.Millibits < 0 || g.Millibits > 1e12 ||
		!isSecond(g.Since) || !isWhy(g.Why) {
		return errors.New("group")
	}
	for i, m := range g.Members {
		if len(m.ID) != len(keys.RelayID{}) || !isSecond(m.Joined) || m.Last < 0 || m.Last > maxTime/86_400 {
			return errors.New("member")
		}
		if id := keys.RelayID(m.ID); all[id] || i > 0 && bytes.Compare(g.Members[i-1].ID, m.ID) >= 0 {
			return errors.New("order of members")
		} else {
			all[id] = true
		}
	}
	return nil
}

func isSecond(s int64) bool { return s >= 0 && s <= maxTime }

func isWhy(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(s) <= maxWhy
}

// group returns it as callers see it, with the members for which listed says
// yes; nothing if there is none.
func (g *known) group(listed func(keys.RelayID) bool) (Group, bool) {
	out := Group{
		ID: g.ID, Code: g.Code, Since: time.Unix(g.Since, 0).UTC(), Window: time.Duration(g.Window) * time.Hour,
		Millibits: g.Millibits, Why: g.Why,
	}
	for _, m := range g.Members {
		if id := keys.RelayID(m.ID); listed(id) {
			out.Members = append(out.Members, id)
			out.Joined = append(out.Joined, time.Unix(m.Joined, 0).UTC())
		}
	}
	return out, len(out.Members) > 0
}
