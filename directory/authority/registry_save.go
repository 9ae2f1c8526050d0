package authority

import (
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// A change says what of a relay is not on the disk yet.
type change uint8

const (
	changedHistory change = 1 << iota
	changedDescriptor
	changedGone
)

// savedRelay is a relay on its way to the disk.
type savedRelay struct {
	id     keys.RelayID
	change change
	rec    relayRecord
	raw    []byte // nil: no descriptor
}

// takeDirty returns what is not on the disk yet, and forgets that it is not.
func (g *registry) takeDirty() []savedRelay {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]savedRelay, 0, len(g.dirty))
	for id, change := range g.dirty {
		s := savedRelay{id: id, change: change}
		if r := g.relays[id]; r != nil {
			s.rec, s.raw = relayRecord{History: r.history, Service: r.service, Past: r.past.snapshot()}, r.raw
			if change&changedGone != 0 { // and came back
				s.change = changedDescriptor | changedHistory
			}
		}
		list = append(list, s)
	}
	clear(g.dirty)
	return list
}

// putDirty takes back what could not be saved.
func (g *registry) putDirty(list []savedRelay) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range list {
		g.dirty[s.id] |= s.change
	}
}

// restore takes a relay from the disk. It reports whether the descriptor, if
// there was one, could still be used. Tests are spread over an interval, first
// those of relays that this authority has not reached lately.
func (g *registry) restore(id keys.RelayID, rec relayRecord, raw []byte, now time.Time) bool {
	r := &relay{id: id, history: rec.History, service: rec.Service, past: rec.Past, place: -1}
	if dayNumber(now)-r.service.Ageing.Last > 1 { // the others have seen days that we have not
		r.service.Adopt = true
	}
	ok := true
	if len(raw) > 0 {
		if d, err := directory.ParseDescriptor(raw, g.network, now); err == nil && d.ID == id {
			r.descriptor, r.raw = d, raw
		} else {
			ok = false
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.relays[id] = r
	if !ok {
		g.dirty[id] |= changedDescriptor
	}
	if r.descriptor != nil {
		spread := g.cadence.interval
		if now.Sub(r.history.LastReached) > g.cadence.window() {
			spread /= retryKnown
		}
		g.testAt(r, now.Add(time.Duration(g.rng.Int64N(int64(spread)+1))))
	}
	return ok
}
