package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

const ( // our choice
	chaseMin      = 50 * time.Millisecond // between two requests to one authority for what is missing; doubles up to retryMax
	maxSyncErrors = 3                     // failures in a row after which an authority's descriptors are left alone
)

// publish makes the period's consensus the one that this authority serves, once
// more than half have signed it. While they have not, it asks the others, up to
// when the next votes leave.
func (a *Authority) publish(ctx context.Context, p *period) error {
	chasing, cancel := context.WithCancel(ctx)
	defer cancel()
	over := time.NewTimer(time.Until(a.over(p)))
	defer over.Stop()
	for chased := false; ; chased = true {
		a.mu.Lock()
		st, bell := p.sign.winner(), p.bell
		complete := st != nil && st.doc != nil
		a.mu.Unlock()
		if complete {
			return a.publishNow(p, st)
		}
		if !chased {
			a.others(chasing, a.over(p), func(ctx context.Context, id keys.RelayID) { a.chase(ctx, p, id) })
		}
		select {
		case <-bell:
		case <-over.C:
			return errNoMajority
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// chase asks one authority for signatures, and for the consensus, until ctx ends.
func (a *Authority) chase(ctx context.Context, p *period, id keys.RelayID) {
	for pause := chaseMin; ctx.Err() == nil; pause = min(2*pause, retryMax) {
		_ = a.pullSignature(ctx, p, id) // it may have none, or be down
		if err := a.pullConsensus(ctx, p, id); err != nil && ctx.Err() == nil {
			a.log.Debug("consensus not had", keyPeer, id, keyError, err)
		}
		_ = sleepUntil(ctx, time.Now().Add(jitter(pause)))
	}
}

// pullConsensus asks an authority for the consensus that it serves, or for the
// document that a majority signed, if that is known and it is one of them.
func (a *Authority) pullConsensus(ctx context.Context, p *period, id keys.RelayID) error {
	a.mu.Lock()
	st := p.sign.winner()
	known := st != nil && slices.Contains(st.signers, id)
	a.mu.Unlock()
	if !known {
		return a.catchUp(ctx, id)
	}
	c := &st.signed.Checkpoint
	doc, err := a.peers.get(ctx, id, documentPath(p.round.ValidAfter, c.Digest), c.Length)
	if err != nil {
		return err
	}
	if int64(len(doc)) != c.Length || directory.DigestOf(doc) != c.Digest {
		return fmt.Errorf("another consensus than was signed: %w", directory.ErrMalformed)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	st.doc = doc
	p.ringLocked()
	return nil
}

// catchUp fetches the consensus that an authority serves, if it is newer than
// the one here.
func (a *Authority) catchUp(ctx context.Context, id keys.RelayID) error {
	var have *directory.Checkpoint
	if b := a.cache.Current(); b != nil {
		have = &b.Signed.Checkpoint
	}
	b, err := a.peers.consensus(ctx, id, have)
	if err != nil {
		if errors.Is(err, mirror.ErrNotNewer) {
			return nil
		}
		return err
	}
	if _, err := b.Consensus.Usable(a.network, time.Now()); err != nil {
		return err
	}
	a.mu.Lock()
	if p := a.periodOf(b.Consensus.ValidAfter); p != nil {
		if st, _, err := p.sign.merge(&b.Signed); err == nil {
			st.doc = b.Document()
			a.adoptLocked(p.sign.history(st))
			p.ringLocked()
		}
	}
	a.mu.Unlock()
	a.serve(b)
	return nil
}

// publishNow serves what a majority signed, and goes on from it.
func (a *Authority) publishNow(p *period, st *noteState) error {
	a.mu.Lock()
	b, err := directory.NewBundle(st.signed, st.doc, a.network)
	history := p.sign.history(st)
	forks, signed := p.sign.forks(), len(st.signers)
	p.published = err == nil
	a.adoptLocked(history)
	a.mu.Unlock()
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	for _, id := range forks {
		a.log.Warn("authority signed two checkpoints", keyPeer, id, keyPeriod, p.round.ValidAfter)
	}
	if history != nil {
		if err := a.store.saveHistory(history); err != nil {
			a.log.Error("checkpoint not kept", keyError, err)
		}
	}
	a.log.Info("consensus", keyPeriod, p.round.ValidAfter, keyRelays, len(b.Consensus.Relays),
		keyVotes, len(b.Consensus.Votes), keySigned, signed)
	a.serve(b)
	return nil
}

// serve makes b the consensus that others get here, unless there is a newer one.
func (a *Authority) serve(b *directory.Bundle) {
	if err := a.cache.Put(b); err != nil && !errors.Is(err, directory.ErrOlder) {
		a.log.Error("consensus not kept on disk", keyError, err) // it is served all the same
	}
	a.reg.listed(b.Consensus)
	a.watch.published(b.Consensus, time.Now())
}
