package authority

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

const heldPeriods = 3 // our choice: the one being voted on, the one being signed, and that of the newest consensus, whose votes people ask for

// period is one round of the timeline at this authority: its machines, and what
// they want done. It is guarded by the authority's lock.
type period struct {
	round   directory.Round
	agree   *agreement
	sign    *signing
	pending []step        // for stepLoop
	bell    chan struct{} // closed and made anew when something has come in

	fetching  map[directory.Digest]int // documents being fetched, and from how many
	votes     []*directory.Vote        // what the consensus was computed from
	published bool
}

// current returns the period that an authority takes votes for at now, and
// forgets the oldest ones.
func (a *Authority) current(now time.Time) (*period, error) {
	r := a.network.NextRound(now)
	if !now.Before(r.Sign) {
		r = a.network.Round(r.Number + 1)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.periodOf(r.ValidAfter); p != nil {
		return p, nil
	}
	self, err := a.signer()
	if err != nil {
		return nil, err
	}
	p := &period{
		round: r, agree: newAgreement(a.network, r, self), sign: newSigning(a.network, r),
		bell: make(chan struct{}), fetching: make(map[directory.Digest]int),
	}
	a.periods = append(a.periods, p)
	if n := len(a.periods) - heldPeriods; n > 0 {
		a.periods = slices.Delete(a.periods, 0, n)
	}
	return p, nil
}

// find returns the period that begins at validAfter, nil if it is not one that
// this authority is at.
func (a *Authority) find(validAfter, now time.Time) *period {
	_, _ = a.current(now) // without a signing key there is none, and the answer is the same
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.periodOf(validAfter)
}

func (a *Authority) periodOf(validAfter time.Time) *period {
	for _, p := range a.periods {
		if p.round.ValidAfter.Equal(validAfter) {
			return p
		}
	}
	return nil
}

// queueLocked keeps what a machine asked for until stepLoop does it. The authority's lock is held.
func (a *Authority) queueLocked(p *period, s step) {
	if len(s.sends) == 0 && len(s.wants) == 0 {
		return
	}
	p.pending = append(p.pending, s)
	select {
	case a.steps <- struct{}{}:
	default: // a token is there
	}
}

// ringLocked tells who waits for something of p that it has come.
func (p *period) ringLocked() {
	close(p.bell)
	p.bell = make(chan struct{})
}

// takeVote takes an envelope that verified, from a proven authority.
func (a *Authority) takeVote(p *period, from keys.RelayID, env *directory.Envelope, arrived time.Time) error {
	v, err := a.parseInside(p, env)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := p.agree.receive(arrived, from, env, v)
	if err != nil {
		return err
	}
	a.queueLocked(p, s)
	p.ringLocked()
	return nil
}

// parseInside reads the vote in an envelope, unless it is in hand already.
func (a *Authority) parseInside(p *period, env *directory.Envelope) (*directory.Vote, error) {
	if env.Vote == nil {
		return nil, nil
	}
	a.mu.Lock()
	have := p.agree.document(env.Author, env.Digest()) != nil
	a.mu.Unlock()
	if have {
		return nil, nil
	}
	return parseVoteOf(a.network, env.Vote, env.Author, env.Digest(), p.round.ValidAfter)
}

// parseVoteOf reads a vote that must be the one that was named.
func parseVoteOf(n *directory.Network, doc []byte, author keys.RelayID, d directory.Digest, validAfter time.Time) (*directory.Vote, error) {
	if directory.DigestOf(doc) != d {
		return nil, fmt.Errorf("another vote than was asked for: %w", directory.ErrMalformed)
	}
	v, err := directory.ParseVote(doc, n)
	switch {
	case err != nil:
		return nil, err
	case v.Author != author:
		return nil, fmt.Errorf("vote of another author: %w", directory.ErrMalformed)
	case !v.ValidAfter.Equal(validAfter):
		return nil, directory.ErrOtherPeriod
	}
	return v, nil
}

// takeSignatures takes signatures from a proven authority.
func (a *Authority) takeSignatures(p *period, from keys.RelayID, sc *directory.SignedCheckpoint) error {
	a.mu.Lock()
	changed, err := p.sign.receive(from, sc)
	if changed {
		p.ringLocked()
	}
	a.mu.Unlock()
	return err
}

// isRefusal reports whether an error says that the sender's message, rather
// than anything here, is at fault.
func isRefusal(err error) bool {
	return errors.Is(err, errTooLate) || errors.Is(err, errFewSigned) ||
		errors.Is(err, errManyVotes) || errors.Is(err, errManyNotes)
}
