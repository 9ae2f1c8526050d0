package authority

import (
	crand "crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"tunic/directory"
	"tunic/directory/admission/lottery"
	"tunic/directory/keys"
)

// tickets is an authority's part in the shared random values: what it knows of
// them, and the secret that its own numbers come from. Both are on disk before
// they are used. Its methods may be called at the same time.
type tickets struct {
	store  *store
	secret lottery.Secret

	mu   sync.Mutex // guards what follows
	held directory.Draw
	from int64 // number of the round that held is of, -1: of some round before the start
}

// openTickets reads what is on disk, and makes the secret where there is none.
func openTickets(s *store) (*tickets, error) {
	t := &tickets{store: s, from: -1}
	secret, err := s.meta(keySecret)
	if err != nil {
		return nil, err
	}
	if len(secret) == len(t.secret) {
		copy(t.secret[:], secret)
	} else {
		_, _ = crand.Read(t.secret[:]) // never fails
		if err := s.putMeta(keySecret, t.secret[:]); err != nil {
			return nil, err
		}
	}
	held, err := s.meta(keyDraw)
	if err != nil || held == nil {
		return t, err
	}
	if json.Unmarshal(held, &t.held) != nil {
		t.held = directory.Draw{} // the others tell it
	}
	return t, nil
}

// join returns what this authority votes for.
func (t *tickets) join(self keys.RelayID, validAfter time.Time) directory.Draw {
	t.mu.Lock()
	defer t.mu.Unlock()
	return lottery.Join(t.held, self, &t.secret, validAfter)
}

// hold takes what the tally of a round came to. Where a new day begins it returns
// which authorities committed to a number for it and did not reveal it, as far
// as this one took part in the round before and so knows.
func (t *tickets) hold(round int64, d directory.Draw) (withheld []keys.RelayID, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d.Day.After(t.held.Day) && round == t.from+1 {
		withheld = lottery.Withheld(t.held)
	}
	t.held, t.from = d, round
	doc, err := json.Marshal(&d)
	if err != nil {
		return withheld, err
	}
	return withheld, t.store.putMeta(keyDraw, doc)
}
