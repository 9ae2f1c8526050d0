package authority

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"tunic/directory"
	"tunic/directory/admission/detect"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// watch is what an authority does against groups of relays that pose as many: it
// runs detection before each vote, applies what operators decided, and keeps the
// journal. All that it knows is on disk. Its methods may be called at the same
// time.
type watch struct {
	network *directory.Network
	store   *store
	dir     string // of the journal
	log     *slog.Logger

	mu       sync.Mutex // guards what follows
	state    watchState
	detector *detect.Detector
	groups   []detect.Group // of the newest run
	saved    []byte
}

// watchState is what is kept on disk.
type watchState struct {
	Detector  json.RawMessage               `json:"detector,omitempty"`
	Decisions map[directory.Digest]Decision `json:"decisions"`
	Findings  map[directory.Digest]int      `json:"findings"` // days
	Own       map[keys.RelayID]held         `json:"own"`      // in quarantine by this authority's newest vote
	Network   map[keys.RelayID]held         `json:"network"`  // and by the newest consensus
}

// openWatch reads what is on disk. What is damaged is begun anew, and said.
func openWatch(n *directory.Network, s *store, dir string, log *slog.Logger) (*watch, error) {
	w := &watch{network: n, store: s, dir: dir, log: log}
	doc, err := s.meta(keyWatch)
	if err != nil {
		return nil, err
	}
	if doc != nil {
		if err := json.Unmarshal(doc, &w.state); err != nil {
			log.Error("state of detection is damaged, begun anew", keyError, err)
			w.state = watchState{}
		}
	}
	st := &w.state
	if st.Decisions == nil {
		st.Decisions = make(map[directory.Digest]Decision)
	}
	if st.Findings == nil {
		st.Findings = make(map[directory.Digest]int)
	}
	w.detector = detect.New(detectorConfig(n))
	if st.Detector != nil {
		d, err := detect.Load(detectorConfig(n), st.Detector)
		if err != nil {
			log.Error("history of detection is damaged, begun anew", keyError, err)
		} else {
			w.detector = d
		}
	}
	return w, nil
}

// run looks for groups among the relays of a vote.
func (w *watch) run(subjects []detect.Subject, at time.Time, r *rules.Rules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups = w.detector.Run(subjects, at, r)
}

// judge writes into a vote which relays belong together and which are in
// quarantine, and against whom there are findings.
func (w *watch) judge(v *directory.Vote, newest *directory.Consensus, r *rules.Rules, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mark(v, w.groups, newest, time.Duration(r.Detection.Quarantine)*time.Minute)
	decide(v, w.state.Decisions, newest)
	v.Findings = listFindings(w.state.Findings, dayNumber(v.ValidAfter), r.Vouch.FreezeFor)
	own := quarantined(func(yield func(*directory.Relay) bool) {
		for i := range v.Entries {
			if !yield(&v.Entries[i].Relay) {
				return
			}
		}
	})
	w.note(changes(w.state.Own, own, byDetection, now))
	w.state.Own = own
	w.save()
}

// preview writes the same into a draft of a vote, and notes nothing.
func (w *watch) preview(v *directory.Vote, newest *directory.Consensus, r *rules.Rules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mark(v, w.groups, newest, time.Duration(r.Detection.Quarantine)*time.Minute)
	decide(v, w.state.Decisions, newest)
}

// known returns the groups of the newest run and the decisions, by target.
func (w *watch) known() ([]detect.Group, []Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	decisions := slices.Collect(maps.Values(w.state.Decisions))
	slices.SortFunc(decisions, func(a, b Decision) int { return slices.Compare(a.Target[:], b.Target[:]) })
	return slices.Clone(w.groups), decisions
}

// published takes a consensus: what a majority decided about quarantine.
func (w *watch) published(c *directory.Consensus, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range entered(w.state.Network, c) {
		addFindings(w.state.Findings, r, dayNumber(c.ValidAfter))
	}
	network := quarantined(func(yield func(*directory.Relay) bool) {
		for i := range c.Relays {
			if !yield(&c.Relays[i]) {
				return
			}
		}
	})
	events := changes(w.state.Network, network, byNetwork, now)
	w.state.Network = network
	w.note(events)
	if len(events) > 0 {
		w.save()
	}
}

// decide takes a decision of an operator about some relays, of which findings are
// forgotten when their quarantine is lifted.
func (w *watch) decide(d Decision, relays []RelayReport) error {
	if err := d.check(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case d.Action == Forget:
		delete(w.state.Decisions, d.Target)
	case len(w.state.Decisions) >= maxDecisions:
		return errManyMade
	default:
		w.state.Decisions[d.Target] = d
	}
	if d.Action == Lift {
		for i := range relays {
			delete(w.state.Findings, directory.Digest(relays[i].ID))
			for _, f := range relays[i].Families {
				delete(w.state.Findings, f)
			}
		}
	}
	w.note(d.lines(relays))
	return w.save()
}

// note writes to the journal. That it can't be written stops nothing.
func (w *watch) note(events []line) {
	if err := appendJournal(w.dir, events); err != nil {
		w.log.Error("journal of quarantine not written", keyError, err)
	}
}

// save keeps the state on disk, if it has changed. The lock is held.
func (w *watch) save() error {
	doc, err := w.detector.Save()
	if err == nil {
		w.state.Detector = doc
		doc, err = json.Marshal(&w.state)
	}
	if err == nil && !bytes.Equal(doc, w.saved) {
		if err = w.store.putMeta(keyWatch, doc); err == nil {
			w.saved = doc
		}
	}
	if err != nil {
		err = fmt.Errorf("state of detection: %w", err)
		w.log.Error("state not written", keyError, err)
	}
	return err
}
