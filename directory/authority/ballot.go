package authority

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

// ballot returns this authority's own vote for a period. Once made it stays
// what it is, also across restarts: two would be a lie.
func (a *Authority) ballot(p *period, now time.Time) (doc []byte, v *directory.Vote, err error) {
	doc, err = a.store.own(bucketVotes, p.round.ValidAfter)
	if err != nil {
		return nil, nil, err
	}
	if doc == nil {
		if doc, err = a.newBallot(p, now); err != nil {
			return nil, nil, fmt.Errorf("make vote: %w", err)
		}
		if doc, err = a.store.once(bucketVotes, p.round.ValidAfter, doc); err != nil {
			return nil, nil, err
		}
	}
	v, err = directory.ParseVote(doc, a.network)
	if err != nil { // also shows that the others will be able to read it
		return nil, nil, fmt.Errorf("own vote: %w", err)
	}
	return doc, v, nil
}

func (a *Authority) newBallot(p *period, now time.Time) ([]byte, error) {
	key, cert := a.cfg.Keys.Signing()
	if key == nil {
		return nil, errNoSigningKey
	}
	a.reg.observe(now, p.round.ValidAfter)
	a.mu.Lock()
	previous := a.previous
	a.mu.Unlock()
	v := a.opinion(p, now)
	v.Signing, v.Previous = cert, previous
	return signFitting(a.network, v, key)
}

// opinion returns what this authority would vote for at now, without signature.
func (a *Authority) opinion(p *period, now time.Time) *directory.Vote {
	v := &directory.Vote{
		Network:    a.network.Digest(),
		Author:     a.self,
		ValidAfter: p.round.ValidAfter,
		Published:  directory.Moment(now),
		Methods:    Methods,
		Known:      directory.AllFlags,
		Params:     a.cfg.Params,
		ASTable:    a.cfg.Origins.Digest(),
		Draw:       a.tickets.join(a.self, p.round.ValidAfter),
		Entries:    a.reg.entries(now, p.round.ValidAfter),
	}
	a.place(v)
	keepOut(a.network, v)
	newest, b := a.reg.judgedBy(p.round.ValidAfter)
	if tellsNew(newest, p.round) {
		a.watch.run(a.reg.subjects(v.Entries, b.day), p.round.ValidAfter, b.rules)
	}
	a.watch.judge(v, newest, b.rules, now)
	a.reg.refuses(v)
	return v
}

// place says where the addresses of a vote's relays lie.
func (a *Authority) place(v *directory.Vote) {
	for i := range v.Entries {
		e := &v.Entries[i]
		at := a.cfg.Origins.Of(e.Addrs[0].Addr())
		e.AS, e.Country = at.AS, at.Country
	}
}

// signFitting signs a vote. Where it is larger than a vote may be, which takes
// relays that fill all fields to their bounds, it lists fewer: a vote without
// some relays serves the network better than none. Whom the rules refuse depends
// on who is there, so that is decided again.
func signFitting(n *directory.Network, v *directory.Vote, key *keys.SigningKey) ([]byte, error) {
	for {
		doc, err := v.Sign(key)
		if !errors.Is(err, directory.ErrTooLarge) || len(v.Entries) == 0 {
			return doc, err
		}
		v.Entries = fewer(v.Entries)
		keepOut(n, v)
	}
}

// fewer leaves out the relays that are not Running, or, where all are, an
// eighth of them, those of least weight.
func fewer(entries []directory.VoteEntry) []directory.VoteEntry {
	running := slices.Clone(entries)
	running = slices.DeleteFunc(running, func(e directory.VoteEntry) bool { return !e.Flags.Has(directory.Running) })
	if len(running) < len(entries) {
		return running
	}
	slices.SortFunc(running, func(a, b directory.VoteEntry) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), directory.CompareID(a.ID, b.ID))
	})
	kept := running[:len(running)-(len(running)+7)/8]
	slices.SortFunc(kept, func(a, b directory.VoteEntry) int { return directory.CompareID(a.ID, b.ID) })
	return kept
}

// conclude computes the consensus of the counted votes and signs its
// checkpoint, on the disk before anybody sees it. When this authority signed
// another one for this period before a restart, that one stays the only one.
func (a *Authority) conclude(p *period, votes []*directory.Vote) error {
	result, err := Tally(a.network, p.round, votes)
	if err != nil {
		return err
	}
	doc, err := result.Consensus.Encode()
	if err != nil {
		return fmt.Errorf("consensus: %w", err)
	}
	withheld, err := a.tickets.hold(p.round.Number, result.Draw)
	if err != nil {
		return fmt.Errorf("shared randomness: %w", err)
	}
	for _, id := range withheld {
		a.log.Warn("authority did not reveal its random number", keyPeer, id, keyPeriod, p.round.ValidAfter)
	}
	checkpoint, peaks, err := result.Previous.Next(a.network, p.round.ValidAfter, doc)
	if err != nil {
		return err
	}
	signed, err := a.signOnce(checkpoint)
	if err != nil {
		return err
	}
	log := directory.Log{Size: checkpoint.Size, Peaks: peaks}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.adoptLocked(result.Previous)
	if signed.Checkpoint != *checkpoint {
		return errors.Join(errOtherOwn, p.sign.sign(signed, nil, log))
	}
	return p.sign.sign(signed, doc, log)
}

// signOnce signs a checkpoint, or returns what was signed for its period before.
func (a *Authority) signOnce(c *directory.Checkpoint) (*directory.SignedCheckpoint, error) {
	key, cert := a.cfg.Keys.Note()
	if key == nil {
		return nil, errNoNoteKey
	}
	signed := &directory.SignedCheckpoint{Checkpoint: *c}
	if err := signed.Sign(cert, key); err != nil {
		return nil, err
	}
	doc, err := signed.Encode()
	if err != nil {
		return nil, err
	}
	kept, err := a.store.once(bucketSigned, c.ValidAfter, doc)
	if err != nil {
		return nil, err
	}
	return directory.ParseSignedCheckpoint(kept)
}

// adoptLocked makes h the newest majority-signed checkpoint known here, if it
// is. The authority's lock is held.
func (a *Authority) adoptLocked(h *directory.History) {
	if h == nil || a.previous != nil && !h.Signed.Checkpoint.ValidAfter.After(a.previous.Signed.Checkpoint.ValidAfter) {
		return
	}
	a.previous = h
}
