package authority

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

const ( // our choice
	retryMin   = 20 * time.Millisecond // before a message that did not arrive is sent again
	retryMax   = 5 * time.Second       // and at most, doubling
	spareParts = 8                     // a document is asked of one more authority after this part of a vote round
)

// stepLoop does what the machines ask for. Messages and fetches run side by
// side: one authority that does not answer delays nothing that is for another.
// The machines bound their number.
func (a *Authority) stepLoop(ctx context.Context) {
	for {
		select {
		case <-a.steps:
		case <-ctx.Done():
			return
		}
		a.mu.Lock()
		for _, p := range a.periods {
			for _, s := range p.pending {
				a.takeStepLocked(ctx, p, s)
			}
			p.pending = nil
		}
		a.mu.Unlock()
	}
}

// takeStepLocked starts what a step asks for. The authority's lock is held.
func (a *Authority) takeStepLocked(ctx context.Context, p *period, s step) {
	for _, m := range s.sends {
		a.errands.Go(func() { a.send(ctx, p, m) })
	}
	for _, w := range s.wants {
		wait := time.Duration(p.fetching[w.digest]) * p.round.VoteRound / spareParts
		p.fetching[w.digest]++
		a.errands.Go(func() { a.fetch(ctx, p, w, wait) })
	}
}

// send passes a vote on for as long as it may still count: with r signatures,
// until the end of round r.
func (a *Authority) send(ctx context.Context, p *period, m send) {
	doc, err := m.env.Encode()
	if err != nil {
		a.log.Error("envelope", keyError, err)
		return
	}
	ctx, cancel := context.WithDeadline(ctx, p.round.VoteEnd(min(len(m.env.Signatures), p.round.VoteRounds)))
	defer cancel()
	a.deliver(ctx, p, m.to, periodPath(pathVote, p.round.ValidAfter), doc)
}

// deliver posts a document to another authority until it takes or refuses it.
func (a *Authority) deliver(ctx context.Context, p *period, to keys.RelayID, path string, doc []byte) {
	err := a.persist(ctx, p, func(ctx context.Context) error {
		return a.peers.post(ctx, to, path, doc)
	})
	if err != nil && ctx.Err() == nil {
		a.log.Info("message refused", keyPeer, to, keyPeriod, p.round.ValidAfter, keyError, err)
	} else if err != nil {
		a.log.Debug("message not delivered", keyPeer, to, keyPeriod, p.round.ValidAfter, keyError, err)
	}
}

// persist calls do until it succeeds, is refused, or ctx ends, with growing
// pauses.
func (a *Authority) persist(ctx context.Context, p *period, do func(context.Context) error) error {
	pause := min(retryMin, p.round.VoteRound/4)
	for {
		err := do(ctx)
		if err == nil || refused(err) || ctx.Err() != nil {
			return err
		}
		if sleepUntil(ctx, time.Now().Add(jitter(pause))) != nil {
			return err
		}
		pause = min(2*pause, retryMax)
	}
}

// refused reports whether an answer says that asking again is useless. That a
// period is unknown is no such answer: the other's clock may be behind.
func refused(err error) bool {
	var status *mirror.StatusError
	return errors.As(err, &status) && status.Code >= 400 && status.Code < 500 && status.Code != http.StatusNotFound
}

// jitter returns between half of d and one and a half of it.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

// fetch asks an authority for the document of a vote, after a wait in which
// another one may bring it.
func (a *Authority) fetch(ctx context.Context, p *period, w want, wait time.Duration) {
	ctx, cancel := context.WithDeadline(ctx, p.round.ValidAfter)
	defer cancel()
	if sleepUntil(ctx, time.Now().Add(wait)) != nil || a.inHand(p, w) {
		return
	}
	doc, err := a.peers.get(ctx, w.from, votePath(p.round.ValidAfter, w.author, w.digest), directory.MaxVote)
	if err == nil {
		err = a.takeDocument(p, w, doc)
	}
	if err != nil {
		a.log.Info("vote not had", keyPeer, w.from, keyPeriod, p.round.ValidAfter, keyError, err)
	}
}

func (a *Authority) inHand(p *period, w want) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return p.agree.document(w.author, w.digest) != nil
}

// takeDocument takes a vote that was wanted.
func (a *Authority) takeDocument(p *period, w want, doc []byte) error {
	arrived := time.Now()
	v, err := parseVoteOf(a.network, doc, w.author, w.digest, p.round.ValidAfter)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queueLocked(p, p.agree.body(arrived, v, doc))
	p.ringLocked()
	return nil
}
