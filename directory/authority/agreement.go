package authority

import (
	"errors"
	"slices"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

const maxOffers = 2 // fixed by docs/protocol.md, "Agreement": two votes of one author prove that it lies

// Why a vote that somebody sent is not taken.
var (
	errTooLate   = errors.New("too late for this period")
	errFewSigned = errors.New("too few signatures for this round")
	errManyVotes = errors.New("more than two votes of one author from one sender")
)

// agreement is one authority's part in agreeing with the others on the set of
// votes of one period, by the protocol of Dolev and Strong for authenticated
// broadcast, run for all authors at once: docs/protocol.md, "Agreement".
//
// It is a machine without I/O: a message and the time go in, what to send and
// what to fetch comes out. Envelopes and votes that go in have been verified.
// Up to f = ⌊(n-1)/2⌋ authorities may do anything; the others, as long as each
// message between two of them takes less than a round, come out with the same
// set. The argument is with [agreement.settle].
//
// It is not safe for use by several goroutines at once.
type agreement struct {
	network *directory.Network
	round   directory.Round
	self    signer
	authors map[keys.RelayID]*author
}

// signer is what an authority signs votes with.
type signer struct {
	cert keys.Certificate // identity to signing key
	key  *keys.SigningKey
}

func (s signer) id() keys.RelayID { return s.cert.Signer }

// author is what is known of one authority's votes for the period.
type author struct {
	candidates []*candidate
	offers     map[keys.RelayID][]directory.Digest // by sender, at most maxOffers each
}

// candidate is one vote that may count.
type candidate struct {
	env     *directory.Envelope // Vote is set once vote is
	vote    *directory.Vote     // nil until the document is in hand
	counted int                 // the round in which it counted, 0 if it does not
}

// step is what the machine wants done, in no order.
type step struct {
	sends []send
	wants []want
}

// send asks for an envelope to be passed to an authority.
type send struct {
	to  keys.RelayID
	env *directory.Envelope // the caller's own; without the vote, the receiver asks for it where it lacks it
}

// want asks for a vote's document from somebody who should have it.
type want struct {
	author keys.RelayID
	digest directory.Digest
	from   keys.RelayID
}

func newAgreement(n *directory.Network, r directory.Round, self signer) *agreement {
	m := &agreement{network: n, round: r, self: self, authors: make(map[keys.RelayID]*author)}
	for i := range n.Authorities {
		m.authors[n.Authorities[i].ID] = &author{offers: make(map[keys.RelayID][]directory.Digest)}
	}
	return m
}

// roundAt returns the vote round that now belongs to, from 1; 0 once all are
// over. What comes before the first round is from a faster clock and belongs to
// the first.
func (m *agreement) roundAt(now time.Time) int {
	r := m.round.VoteRoundAt(now)
	if r > m.round.VoteRounds {
		return 0
	}
	return max(r, 1)
}

// proposeUntil returns until when an authority may send its own vote: half a
// round is left for it to arrive in time. Later it does better not to vote in
// this period, since some would count its vote and some would not.
func (m *agreement) proposeUntil() time.Time {
	return m.round.VotesLeave.Add(m.round.VoteRound / 2)
}

// propose sends this authority's own vote.
func (m *agreement) propose(now time.Time, doc []byte, v *directory.Vote) (step, error) {
	if !now.Before(m.proposeUntil()) {
		return step{}, errTooLate
	}
	env := directory.NewEnvelope(v, doc)
	if err := env.Countersign(m.self.cert, m.self.key); err != nil {
		return step{}, err
	}
	a := m.authors[v.Author]
	a.candidates = append(a.candidates, &candidate{env: env, vote: v, counted: 1})
	s := step{sends: m.toOthers(env)}
	for i := range s.sends {
		s.sends[i].env.Vote = doc
	}
	return s, nil
}

// receive takes an envelope from an authority. v is the vote inside, nil if the
// envelope travels without it.
func (m *agreement) receive(now time.Time, from keys.RelayID, env *directory.Envelope, v *directory.Vote) (step, error) {
	a, r := m.authors[env.Author], m.roundAt(now)
	switch {
	case a == nil || m.authors[from] == nil:
		return step{}, directory.ErrUnknown
	case !env.ValidAfter.Equal(m.round.ValidAfter):
		return step{}, directory.ErrOtherPeriod
	case r == 0:
		return step{}, errTooLate
	case !signedBy(env, env.Author):
		return step{}, errFewSigned
	}
	c := a.candidate(env.Digest())
	if c == nil && len(env.Signatures) < r {
		return step{}, errFewSigned
	}
	if !a.offer(from, env.Digest()) {
		return step{}, errManyVotes
	}
	if c == nil {
		c = &candidate{env: env.Bare()}
		a.candidates = append(a.candidates, c)
	}
	c.merge(env)
	if c.vote == nil && v != nil {
		c.env.Vote, c.vote = env.Vote, v
	}
	return m.settle(now, a, c, from), nil
}

// body takes the document of a vote that was wanted.
func (m *agreement) body(now time.Time, v *directory.Vote, doc []byte) step {
	a := m.authors[v.Author]
	if a == nil {
		return step{}
	}
	c := a.candidate(v.Digest())
	if c == nil || c.vote != nil {
		return step{}
	}
	c.env.Vote, c.vote = doc, v
	return m.settle(now, a, c, m.self.id())
}

// settle counts c if it may count now. In round r a vote counts with r
// authorities' signatures, the author's among them, and with its document in
// hand; who counts it signs and passes it on at once, so that it has all of the
// next round to arrive.
//
// So if an honest authority counts a vote before the last round, all honest
// ones count it, in the next round at the latest: it then has a signature more,
// and whoever signed has the document. And what counts in the last round, with
// f+1 signatures, bears that of an honest authority, which counted it before:
// so all count it, and its document can be had, which is why it may follow
// later.
func (m *agreement) settle(now time.Time, a *author, c *candidate, from keys.RelayID) (s step) {
	r := m.roundAt(now)
	last := r == m.round.VoteRounds
	if c.vote == nil && from != m.self.id() {
		s.wants = []want{{author: c.env.Author, digest: c.env.Digest(), from: from}}
	}
	switch {
	case c.counted > 0, r == 0, len(c.env.Signatures) < r, a.counted() >= maxOffers:
		return s
	case c.vote == nil && !last:
		return s
	}
	c.counted = r
	if last {
		return s
	}
	if err := c.env.Countersign(m.self.cert, m.self.key); err != nil {
		return s // its certificate has expired: nobody would count the signature
	}
	s.sends = m.toOthers(c.env)
	return s
}

// toOthers sends env, without the vote, to all authorities that have not signed
// it: who signed has counted it.
func (m *agreement) toOthers(env *directory.Envelope) (sends []send) {
	for i := range m.network.Authorities {
		to := m.network.Authorities[i].ID
		if to == m.self.id() || signedBy(env, to) {
			continue
		}
		sends = append(sends, send{to: to, env: env.Bare()})
	}
	return sends
}

// offer notes that from brought the vote d of a, and reports whether it may: a
// sender who brings a third one lies, and must not take the room of others.
func (a *author) offer(from keys.RelayID, d directory.Digest) bool {
	if slices.Contains(a.offers[from], d) {
		return true
	}
	if len(a.offers[from]) >= maxOffers {
		return false
	}
	a.offers[from] = append(a.offers[from], d)
	return true
}

func (a *author) candidate(d directory.Digest) *candidate {
	for _, c := range a.candidates {
		if c.env.Digest() == d {
			return c
		}
	}
	return nil
}

// counted returns how many votes of a count.
func (a *author) counted() (n int) {
	for _, c := range a.candidates {
		if c.counted > 0 {
			n++
		}
	}
	return n
}

// merge adds signatures of the same vote.
func (c *candidate) merge(env *directory.Envelope) {
	for _, s := range env.Signatures {
		if !signedBy(c.env, s.Authority) {
			c.env.Signatures = append(c.env.Signatures, s)
		}
	}
	slices.SortFunc(c.env.Signatures, func(a, b directory.Countersignature) int {
		return directory.CompareID(a.Authority, b.Authority)
	})
}

func signedBy(env *directory.Envelope, id keys.RelayID) bool {
	return slices.ContainsFunc(env.Signatures, func(s directory.Countersignature) bool { return s.Authority == id })
}

// outcome is what the rounds came to.
type outcome struct {
	votes    []*directory.Vote // one per author that has exactly one counted vote, as far as in hand
	missing  []want            // counted, but the document is not in hand; from is a signer
	evidence []*candidate      // both counted votes of those that have two
}

// outcome returns what counts. It is final once the vote rounds are over, but
// for documents that are missing.
func (m *agreement) outcome() (o outcome) {
	for i := range m.network.Authorities {
		a := m.authors[m.network.Authorities[i].ID]
		switch a.counted() {
		case 0:
		case 1:
			c := a.candidates[slices.IndexFunc(a.candidates, func(c *candidate) bool { return c.counted > 0 })]
			if c.vote != nil {
				o.votes = append(o.votes, c.vote)
				continue
			}
			for _, s := range c.env.Signatures {
				o.missing = append(o.missing, want{author: c.env.Author, digest: c.env.Digest(), from: s.Authority})
			}
		default:
			for _, c := range a.candidates {
				if c.counted > 0 {
					o.evidence = append(o.evidence, c)
				}
			}
		}
	}
	return o
}

// counted returns the envelopes of all votes that count here, without the votes.
func (m *agreement) counted() (envs []*directory.Envelope) {
	for i := range m.network.Authorities {
		for _, c := range m.authors[m.network.Authorities[i].ID].candidates {
			if c.counted > 0 {
				envs = append(envs, c.env.Bare())
			}
		}
	}
	return envs
}

// document returns the document of a vote, nil if it is not in hand.
func (m *agreement) document(id keys.RelayID, d directory.Digest) []byte {
	if a := m.authors[id]; a != nil {
		if c := a.candidate(d); c != nil && c.vote != nil {
			return c.env.Vote
		}
	}
	return nil
}
