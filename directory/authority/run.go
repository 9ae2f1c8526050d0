package authority

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

// Keys of log attributes.
const (
	keyCount  = "count"
	keyError  = "err"
	keyPeer   = "authority"
	keyPeriod = "valid_after"
	keyRelays = "relays"
	keySigned = "signatures"
	keyVotes  = "votes"
)

const ( // our choice
	warmLead    = 30 * time.Second // circuits to the others are made this long before votes leave
	saveEvery   = time.Minute      // how often relays' histories are written: what a crash may lose
	saveSoon    = time.Second      // how long after a new descriptor it is written
	forgetEvery = time.Hour        // how often relays long gone are looked for
	clockLook   = time.Minute      // how soon a clock that was set is noticed
)

var (
	errNoSigningKey = errors.New("no signing key")
	errNoNoteKey    = errors.New("no note key")
	errNoMajority   = errors.New("no majority signed one consensus")
)

// voteLoop takes part in one period after the other.
func (a *Authority) voteLoop(ctx context.Context) {
	for ctx.Err() == nil {
		p, err := a.current(time.Now())
		if err != nil {
			a.log.Error("can't vote", keyError, err)
			_ = sleepUntil(ctx, a.network.NextRound(time.Now()).ValidAfter)
			continue
		}
		err = a.runPeriod(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			a.log.Warn("no consensus", keyPeriod, p.round.ValidAfter, keyError, err)
		}
		a.mu.Lock()
		a.failed = err
		a.mu.Unlock()
	}
}

// runPeriod takes a period through its phases, from wherever it stands when the
// authority starts, and returns before the next one's begin.
func (a *Authority) runPeriod(ctx context.Context, p *period) error {
	r := p.round
	phases := []struct {
		at time.Time
		do func(context.Context, *period) error
	}{
		{a.begin(p), a.warm},
		{r.VotesLeave, a.vote},
		{r.Sign.Add(-r.VoteRound / 2), a.pullVotes},
		{r.Sign, a.decide},
		{r.Sign.Add(r.ValidAfter.Sub(r.Sign) / 2), a.pullSignatures},
		{r.ValidAfter, a.publish},
	}
	var failed error
	for _, ph := range phases {
		if err := sleepUntil(ctx, ph.at); err != nil {
			return err
		}
		failed = errors.Join(failed, ph.do(ctx, p))
	}
	a.mu.Lock()
	published := p.published
	a.mu.Unlock()
	if published {
		if failed != nil {
			a.log.Info("consensus made by the others", keyPeriod, r.ValidAfter, keyError, failed)
		}
		a.syncDescriptors(ctx, p)
		return nil
	}
	return failed
}

// begin is when an authority starts to work at p: shortly before votes leave,
// but not before the consensus ahead of it is due.
func (a *Authority) begin(p *period) time.Time {
	at := p.round.VotesLeave.Add(-warmLead)
	if p.round.Number == 0 {
		return at
	}
	if before := a.network.Round(p.round.Number - 1).ValidAfter; before.After(at) {
		return before
	}
	return at
}

// over is when an authority stops working at p: the next period's votes leave.
func (a *Authority) over(p *period) time.Time {
	return a.network.Round(p.round.Number + 1).VotesLeave
}

// sleepUntil waits until t, or until ctx ends, which is its error. It looks at
// the clock again from time to time: somebody may set it.
func sleepUntil(ctx context.Context, t time.Time) error {
	for {
		left := time.Until(t)
		timer := time.NewTimer(min(left, clockLook))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		if ctx.Err() != nil || !time.Now().Before(t) {
			return ctx.Err()
		}
	}
}

// others starts do for each other authority, until the given time. Run waits
// for all of them.
func (a *Authority) others(ctx context.Context, until time.Time, do func(context.Context, keys.RelayID)) {
	for i := range a.network.Authorities {
		id := a.network.Authorities[i].ID
		if id == a.self {
			continue
		}
		a.errands.Go(func() {
			ctx, cancel := context.WithDeadline(ctx, until)
			defer cancel()
			do(ctx, id)
		})
	}
}

// warm makes circuits to the others, so that votes find them ready, and fetches
// the consensus in force where it is missing here.
func (a *Authority) warm(ctx context.Context, p *period) error {
	a.others(ctx, p.round.VotesLeave, func(ctx context.Context, id keys.RelayID) {
		err := a.persist(ctx, p, func(ctx context.Context) error {
			_, err := a.peers.get(ctx, id, periodPath(pathVotes, p.round.ValidAfter), maxIndex)
			if errors.Is(err, mirror.ErrNotFound) {
				return nil // it has no votes yet
			}
			return err
		})
		if err == nil && a.stale(time.Now()) {
			_ = a.persist(ctx, p, func(ctx context.Context) error { return a.refresh(ctx, id) })
		}
	})
	return nil
}

// refresh fetches the consensus in force from an authority, unless it is here
// already; an error that can be tried again if that has none either.
func (a *Authority) refresh(ctx context.Context, id keys.RelayID) error {
	if !a.stale(time.Now()) {
		return nil
	}
	if err := a.catchUp(ctx, id); err != nil {
		return err
	}
	if a.stale(time.Now()) {
		return errNoMajority
	}
	return nil
}

// stale reports whether a newer consensus than the one here should exist.
func (a *Authority) stale(now time.Time) bool {
	r, begun := a.network.RoundAt(now)
	b := a.cache.Current()
	return begun && (b == nil || b.Consensus.ValidAfter.Before(r.ValidAfter))
}

// vote sends this authority's own vote, unless it is too late for that: then it
// takes part in what the others do.
func (a *Authority) vote(_ context.Context, p *period) error {
	if !time.Now().Before(p.agree.proposeUntil()) {
		return fmt.Errorf("own vote: %w", errTooLate)
	}
	doc, v, err := a.ballot(p, time.Now())
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := p.agree.propose(time.Now(), doc, v)
	if err != nil {
		return fmt.Errorf("own vote: %w", err)
	}
	a.log.Debug("vote leaves", keyPeriod, p.round.ValidAfter, keyRelays, len(v.Entries))
	a.queueLocked(p, s)
	return nil
}

// pullVotes asks the others for the votes that count with them, if any is
// missing here.
func (a *Authority) pullVotes(ctx context.Context, p *period) error {
	a.mu.Lock()
	have := len(p.agree.counted())
	a.mu.Unlock()
	if have >= len(a.network.Authorities) {
		return nil
	}
	a.others(ctx, p.round.Sign, func(ctx context.Context, id keys.RelayID) {
		b, err := a.peers.get(ctx, id, periodPath(pathVotes, p.round.ValidAfter), maxIndex)
		if err != nil {
			return // down, or has none either
		}
		envs, err := splitEnvelopes(b, a.network)
		if err != nil {
			a.log.Warn("votes of an authority are malformed", keyPeer, id, keyError, err)
			return
		}
		for _, env := range envs {
			_ = a.takeVote(p, id, env, time.Now()) // what comes too late is as if it had not come
		}
	})
	return nil
}

// decide computes and signs the consensus and sends the signature. It waits for
// documents of votes that count and are still on their way.
func (a *Authority) decide(ctx context.Context, p *period) error {
	votes, err := a.countedVotes(ctx, p)
	if err != nil {
		return err
	}
	failed := a.conclude(p, votes)
	a.mu.Lock()
	defer a.mu.Unlock()
	p.votes = votes
	if p.sign.own == nil {
		return failed
	}
	signed, err := p.sign.own.signed.Encode()
	if err != nil {
		return errors.Join(failed, err)
	}
	p.ringLocked()
	a.others(ctx, a.over(p), func(ctx context.Context, id keys.RelayID) {
		a.deliver(ctx, p, id, periodPath(pathSignatures, p.round.ValidAfter), signed)
	})
	return failed
}

// countedVotes returns the votes that count, when all are in hand.
func (a *Authority) countedVotes(ctx context.Context, p *period) ([]*directory.Vote, error) {
	first := true
	for {
		a.mu.Lock()
		o, bell := p.agree.outcome(), p.bell
		if first {
			a.queueLocked(p, step{wants: o.missing})
		}
		a.mu.Unlock()
		if first {
			a.errands.Go(func() { a.keepEvidence(p, o.evidence) })
			first = false
		}
		if len(o.missing) == 0 {
			return o.votes, nil
		}
		select {
		case <-bell:
		case <-time.After(time.Until(p.round.ValidAfter)):
			return nil, fmt.Errorf("%d votes count that nobody sends: %w", len(o.missing), errTooLate)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pullSignatures asks the others for signatures, if any is missing here.
func (a *Authority) pullSignatures(ctx context.Context, p *period) error {
	a.mu.Lock()
	missing := len(p.sign.missing())
	a.mu.Unlock()
	if missing == 0 {
		return nil
	}
	a.others(ctx, a.over(p), func(ctx context.Context, id keys.RelayID) { _ = a.pullSignature(ctx, p, id) })
	return nil
}

func (a *Authority) pullSignature(ctx context.Context, p *period, id keys.RelayID) error {
	b, err := a.peers.get(ctx, id, periodPath(pathSignatures, p.round.ValidAfter), directory.MaxSignedCheckpoint)
	if err != nil {
		return err
	}
	sc, err := directory.ParseSignedCheckpoint(b)
	if err != nil {
		return err
	}
	return a.takeSignatures(p, id, sc)
}
