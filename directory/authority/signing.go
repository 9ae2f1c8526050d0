package authority

import (
	"errors"
	"fmt"
	"slices"

	"tunic/directory"
	"tunic/directory/keys"
)

// errManyNotes says that a sender brought more than two checkpoints for one
// period. An honest authority signs one; two show that somebody lies.
var errManyNotes = errors.New("more than two checkpoints for one period from one sender")

// errNotSigned says that no authority's signature under a checkpoint verifies.
var errNotSigned = errors.New("checkpoint without a signature that verifies")

// signing gathers the authorities' signatures under the checkpoint of one
// period. It is a machine without I/O. It also holds signatures that come
// before this authority has made its own checkpoint, and those under another
// checkpoint than its own, which may be the majority's. It is not safe for use
// by several goroutines at once.
type signing struct {
	network *directory.Network
	round   directory.Round
	notes   []*noteState
	offers  map[keys.RelayID][]string // texts by sender, at most maxOffers each
	own     *noteState                // what this authority signed, nil before
	log     *directory.Log            // that this authority's checkpoint names, nil before
}

// noteState is one checkpoint with the signatures under it that verify.
type noteState struct {
	text    string
	signed  *directory.SignedCheckpoint
	signers []keys.RelayID
	doc     []byte // the consensus that it names, nil if not in hand
}

func newSigning(n *directory.Network, r directory.Round) *signing {
	return &signing{network: n, round: r, offers: make(map[keys.RelayID][]string)}
}

// sign adds the checkpoint that this authority signed itself, with the
// consensus that it names, nil if it is not in hand, and the log that belongs to
// what this authority computed.
func (g *signing) sign(sc *directory.SignedCheckpoint, doc []byte, log directory.Log) error {
	st, _, err := g.merge(sc)
	if err != nil {
		return err
	}
	if doc != nil {
		st.doc = doc
	}
	g.own, g.log = st, &log
	return nil
}

// receive takes signatures that an authority sent, its own or others', and
// reports whether any was new.
func (g *signing) receive(from keys.RelayID, sc *directory.SignedCheckpoint) (bool, error) {
	c := &sc.Checkpoint
	switch {
	case g.network.Authority(from) == nil:
		return false, directory.ErrUnknown
	case c.Origin != g.network.Name:
		return false, directory.ErrOtherNetwork
	case !c.ValidAfter.Equal(g.round.ValidAfter):
		return false, directory.ErrOtherPeriod
	}
	if text := c.Text(); !slices.Contains(g.offers[from], text) {
		if len(g.offers[from]) >= maxOffers {
			return false, errManyNotes
		}
		g.offers[from] = append(g.offers[from], text)
	}
	_, changed, err := g.merge(sc)
	return changed, err
}

// merge adds the signatures of sc that verify to those of the same text.
func (g *signing) merge(sc *directory.SignedCheckpoint) (st *noteState, changed bool, err error) {
	text := sc.Checkpoint.Text()
	i := slices.IndexFunc(g.notes, func(st *noteState) bool { return st.text == text })
	if i < 0 {
		if len(sc.Signers(g.network)) == 0 {
			return nil, false, errNotSigned
		}
		i = len(g.notes)
		g.notes = append(g.notes, &noteState{
			text:   text,
			signed: &directory.SignedCheckpoint{Checkpoint: sc.Checkpoint},
		})
	}
	st = g.notes[i]
	if changed, err = st.signed.Merge(g.network, sc); err != nil {
		return nil, false, fmt.Errorf("signatures: %w", err)
	}
	if changed {
		st.signers = st.signed.Signers(g.network)
	}
	return st, changed, nil
}

// winner returns the checkpoint that more than half of the authorities signed,
// nil if there is none yet. Should there be two, which needs a majority that
// lies or is cut apart, it is this authority's own, else the first.
func (g *signing) winner() *noteState {
	if g.own != nil && len(g.own.signers) >= g.network.Majority() {
		return g.own
	}
	for _, st := range g.notes {
		if len(st.signers) >= g.network.Majority() {
			return st
		}
	}
	return nil
}

// best returns the winner, or while there is none this authority's own
// checkpoint, nil before it has signed.
func (g *signing) best() *noteState {
	if st := g.winner(); st != nil {
		return st
	}
	return g.own
}

// document returns a consensus by its digest, nil if it is not in hand.
func (g *signing) document(d directory.Digest) []byte {
	for _, st := range g.notes {
		if st.signed.Checkpoint.Digest == d {
			return st.doc
		}
	}
	return nil
}

// missing returns the authorities whose signature is not under the best
// checkpoint.
func (g *signing) missing() (ids []keys.RelayID) {
	st := g.best()
	for i := range g.network.Authorities {
		id := g.network.Authorities[i].ID
		if st == nil || !slices.Contains(st.signers, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// history returns st as what the next vote carries, nil if this authority does
// not know the log that it names.
func (g *signing) history(st *noteState) *directory.History {
	if g.log == nil {
		return nil
	}
	h := &directory.History{Signed: *st.signed, Peaks: g.log.Peaks}
	// More signatures may come while what is returned is written out.
	h.Signed.Certificates = slices.Clone(h.Signed.Certificates)
	h.Signed.Signatures = slices.Clone(h.Signed.Signatures)
	if h.Verify(g.network) != nil {
		return nil
	}
	return h
}

// forks returns the authorities that signed two checkpoints of this period.
func (g *signing) forks() (ids []keys.RelayID) {
	for i := range g.network.Authorities {
		id, n := g.network.Authorities[i].ID, 0
		for _, st := range g.notes {
			if slices.Contains(st.signers, id) {
				n++
			}
		}
		if n > 1 {
			ids = append(ids, id)
		}
	}
	return ids
}
