package node

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"tunic/directory/authority"
)

// Paths of an authority's control socket, for its operators.
const (
	pathRelays     = "/authority/relays"
	pathHistory    = "/authority/history" // ?relay=
	pathQuarantine = "/authority/quarantine"
)

// maxDecision bounds a decision on the control socket, in bytes; our choice, one
// has some 300.
const maxDecision = 4 << 10

// A Decision is what an operator decides about a relay or a group.
type Decision struct {
	About  string    `json:"about"`  // a relay's identity or nickname, or a group's name
	Action string    `json:"action"` // confirm, lift or forget
	Until  time.Time `json:"until,omitzero"`
	Note   string    `json:"note,omitempty"`
}

// operate answers operators' questions to an authority.
func operate(a *authority.Authority) func(*http.ServeMux) {
	answer := func(w http.ResponseWriter, v any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // an asker who left is no error of ours
	}
	return func(mux *http.ServeMux) {
		mux.HandleFunc("GET "+pathRelays, func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Relays(), nil) })
		mux.HandleFunc("GET "+pathHistory, func(w http.ResponseWriter, r *http.Request) {
			h, err := a.History(r.URL.Query().Get("relay"))
			answer(w, h, err)
		})
		mux.HandleFunc("GET "+pathQuarantine, func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Quarantine(), nil) })
		mux.HandleFunc("POST "+pathQuarantine, func(w http.ResponseWriter, r *http.Request) {
			var d Decision
			err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDecision)).Decode(&d)
			if err != nil {
				answer(w, nil, err)
				return
			}
			about, err := a.Decide(d.About, authority.Decision{Action: d.Action, Until: d.Until, Note: d.Note})
			answer(w, about, err)
		})
	}
}

// Relays asks the authority with this state directory what it says of all relays.
func Relays(ctx context.Context, state string) (list []authority.RelayReport, err error) {
	err = askJSON(ctx, state, http.MethodGet, pathRelays, &list)
	return list, err
}

// History asks it what it knows of one relay.
func History(ctx context.Context, state, relay string) (h authority.HistoryReport, err error) {
	err = askJSON(ctx, state, http.MethodGet, pathHistory+"?relay="+url.QueryEscape(relay), &h)
	return h, err
}

// Quarantine asks it which groups and relays are in quarantine, and what its
// operators decided.
func Quarantine(ctx context.Context, state string) (r authority.QuarantineReport, err error) {
	err = askJSON(ctx, state, http.MethodGet, pathQuarantine, &r)
	return r, err
}

// Decide hands it a decision, and returns the relays that it is about.
func Decide(ctx context.Context, state string, d Decision) (about []authority.RelayReport, err error) {
	body, err := json.Marshal(&d)
	if err != nil {
		return nil, err
	}
	err = askJSON(ctx, state, http.MethodPost, pathQuarantine, &about, body...)
	return about, err
}

func askJSON(ctx context.Context, state, method, path string, to any, body ...byte) error {
	b, err := ask(ctx, state, method, path, body...)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}
