package authority

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

// signerOf returns what the i-th authority signs votes with.
func signerOf(n *directorytest.Network, i int) signer {
	return signer{cert: n.Keys[i].SigningCert, key: n.Keys[i].Signing}
}

// testVote is a signed vote.
type testVote struct {
	doc []byte
	v   *directory.Vote
}

// newVote returns the i-th authority's vote for round 0; variant tells its
// different votes apart.
func newVote(tb interface{ Fatal(...any) }, n *directorytest.Network, i, variant int) testVote {
	v := n.Vote(i, 0, nil)
	v.Params = []directory.Param{{Name: "variant", Value: int64(variant)}}
	doc, err := v.Sign(n.SigningKey(i))
	if err != nil {
		tb.Fatal(err)
	}
	return testVote{doc, v}
}

// envelope returns the vote with the signatures of the given authorities.
func (t testVote) envelope(tb interface{ Fatal(...any) }, n *directorytest.Network, by ...int) *directory.Envelope {
	env := directory.NewEnvelope(t.v, t.doc)
	for _, i := range by {
		s := signerOf(n, i)
		if err := env.Countersign(s.cert, s.key); err != nil {
			tb.Fatal(err)
		}
	}
	return env
}

// machineOf returns authority i's machine for round 0.
func machineOf(n *directorytest.Network, i int) *agreement {
	return newAgreement(n.Network, n.Round(0), signerOf(n, i))
}

func TestVoteCountsWithAsManySignaturesAsTheRoundSays(t *testing.T) {
	n := directorytest.New(5) // f = 2, three rounds
	r := n.Round(0)
	vote := newVote(t, n, 1, 0)
	for _, tt := range []struct {
		name string
		at   time.Time
		by   []int
		want bool
	}{
		{"before the first round", r.VotesLeave.Add(-time.Second), []int{1}, true},
		{"first round, the author", r.VotesLeave, []int{1}, true},
		{"first round, not the author", r.VotesLeave, []int{2, 3}, false},
		{"last instant of the first round", r.VoteEnd(1).Add(-1), []int{1}, true},
		{"first instant of the second", r.VoteEnd(1), []int{1}, false},
		{"second round, two", r.VoteEnd(1), []int{1, 3}, true},
		{"second round, two without the author", r.VoteEnd(1), []int{2, 3}, false},
		{"third round, two", r.VoteEnd(2), []int{1, 3}, false},
		{"last instant, three", r.Sign.Add(-1), []int{1, 3, 4}, true},
		{"after the last round, all", r.Sign, []int{1, 2, 3, 4}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machineOf(n, 0)
			_, err := m.receive(tt.at, n.Authorities[2].ID, vote.envelope(t, n, tt.by...), vote.v)
			if got := len(m.counted()) == 1; got != tt.want || (err == nil) != tt.want {
				t.Errorf("counted: %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

func TestCountedVoteIsSignedAndPassedOnToAllWhoLackIt(t *testing.T) {
	n := directorytest.New(5)
	m, vote := machineOf(n, 0), newVote(t, n, 1, 0)
	s, err := m.receive(n.Round(0).VotesLeave, n.Authorities[1].ID, vote.envelope(t, n, 1, 3), vote.v)
	if err != nil {
		t.Fatal(err)
	}
	var to []keys.RelayID
	for _, m := range s.sends {
		to = append(to, m.to)
		if m.env.Vote != nil || len(m.env.Signatures) != 3 || !signedBy(m.env, n.Authorities[0].ID) {
			t.Errorf("passed on with %d signatures and a vote of %d bytes", len(m.env.Signatures), len(m.env.Vote))
		}
	}
	if want := []keys.RelayID{n.Authorities[2].ID, n.Authorities[4].ID}; !slices.Equal(to, want) {
		t.Errorf("passed on to %v, want %v: authorities 1 and 3 have signed", to, want)
	}
	if s, err = m.receive(n.Round(0).VotesLeave, n.Authorities[3].ID, vote.envelope(t, n, 1, 3), vote.v); err != nil || len(s.sends) != 0 {
		t.Errorf("a repetition is passed on: %d messages, %v", len(s.sends), err)
	}
}

func TestVoteWithoutItsDocumentWaitsForIt(t *testing.T) {
	n := directorytest.New(5)
	r := n.Round(0)
	vote := newVote(t, n, 1, 0)
	bare := vote.envelope(t, n, 1).Bare()

	m := machineOf(n, 0)
	s, err := m.receive(r.VotesLeave, n.Authorities[2].ID, bare, nil)
	if err != nil || len(m.counted()) != 0 || len(s.wants) != 1 || s.wants[0].from != n.Authorities[2].ID {
		t.Fatalf("without its document: %d counted, wants %v (%v)", len(m.counted()), s.wants, err)
	}
	if s = m.body(r.VoteEnd(1).Add(-1), vote.v, vote.doc); len(m.counted()) != 1 || len(s.sends) != 3 {
		t.Errorf("document in the same round: %d counted, passed on to %d", len(m.counted()), len(s.sends))
	}

	m = machineOf(n, 0)
	if _, err := m.receive(r.VotesLeave, n.Authorities[2].ID, bare, nil); err != nil {
		t.Fatal(err)
	}
	if m.body(r.VoteEnd(1), vote.v, vote.doc); len(m.counted()) != 0 {
		t.Error("document a round late: counted, though others may not")
	}

	m = machineOf(n, 0) // f+1 signatures: an honest authority has it
	if _, err := m.receive(r.Sign.Add(-1), n.Authorities[2].ID, vote.envelope(t, n, 1, 2, 3).Bare(), nil); err != nil {
		t.Fatal(err)
	}
	if o := m.outcome(); len(o.votes) != 0 || len(o.missing) != 3 {
		t.Fatalf("last round without the document: %d votes, %d to ask", len(o.votes), len(o.missing))
	}
	m.body(r.Sign.Add(time.Second), vote.v, vote.doc)
	if o := m.outcome(); len(o.votes) != 1 || len(o.missing) != 0 {
		t.Errorf("document after the last round: %d votes, %d to ask", len(o.votes), len(o.missing))
	}
}

func TestAuthorOfTwoVotesIsLeftOutAndBothAreEvidence(t *testing.T) {
	n := directorytest.New(3)
	r := n.Round(0)
	first, second, third := newVote(t, n, 1, 1), newVote(t, n, 1, 2), newVote(t, n, 1, 3)
	m := machineOf(n, 0)
	mustTake := func(at time.Time, from int, env *directory.Envelope, v *directory.Vote) {
		t.Helper()
		if _, err := m.receive(at, n.Authorities[from].ID, env, v); err != nil {
			t.Fatal(err)
		}
	}
	mustTake(r.VotesLeave, 1, first.envelope(t, n, 1), first.v)
	mustTake(r.Sign.Add(-time.Millisecond), 2, second.envelope(t, n, 1, 2), second.v)
	mustTake(r.Sign.Add(-1), 2, third.envelope(t, n, 1, 2), third.v)
	o := m.outcome()
	if len(o.votes) != 0 || len(o.evidence) != 2 {
		t.Fatalf("%d votes, %d pieces of evidence", len(o.votes), len(o.evidence))
	}
	for i, want := range []testVote{first, second} {
		if o.evidence[i].env.Digest() != want.v.Digest() || o.evidence[i].env.Vote == nil {
			t.Errorf("evidence %d is not the vote", i)
		}
	}
	_, err := m.receive(r.VotesLeave, n.Authorities[2].ID, newVote(t, n, 1, 4).envelope(t, n, 1), nil)
	if !errors.Is(err, errManyVotes) {
		t.Errorf("a third vote of one author from one sender: %v", err)
	}
}

func TestVoteOfAnotherPeriodIsRefused(t *testing.T) {
	n := directorytest.New(3)
	v := n.Vote(1, 5, nil)
	doc, err := v.Sign(n.SigningKey(1))
	if err != nil {
		t.Fatal(err)
	}
	vote := testVote{doc, v}
	m := machineOf(n, 0)
	_, err = m.receive(n.Round(0).VotesLeave, n.Authorities[1].ID, vote.envelope(t, n, 1), v)
	if !errors.Is(err, directory.ErrOtherPeriod) || len(m.counted()) != 0 {
		t.Errorf("vote for round 5 in round 0: %v", err)
	}
}

func TestOwnVoteLeavesOnlyWhileItCanArrive(t *testing.T) {
	n := directorytest.New(3)
	r, own := n.Round(0), newVote(t, n, 0, 0)
	m := machineOf(n, 0)
	if _, err := m.propose(r.VotesLeave.Add(r.VoteRound/2), own.doc, own.v); !errors.Is(err, errTooLate) || len(m.counted()) != 0 {
		t.Errorf("half a round late: %v", err)
	}
	s, err := m.propose(r.VotesLeave, own.doc, own.v)
	if err != nil || len(s.sends) != 2 || s.sends[0].env.Vote == nil || len(m.counted()) != 1 {
		t.Errorf("in time: %d messages, %v", len(s.sends), err)
	}
}

// TestHonestAuthoritiesAgree lets some authorities do anything with their keys
// and with what they are sent, at any time, while messages between the others
// take any time below a round: the others agree, on a set that holds all of
// their own votes.
func TestHonestAuthoritiesAgree(t *testing.T) {
	networks := map[int]*directorytest.Network{}
	for _, size := range []int{2, 3, 4, 5, 7} {
		networks[size] = directorytest.New(size)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := networks[rapid.SampledFrom([]int{2, 3, 4, 5, 7}).Draw(t, "authorities")]
		liars := rapid.IntRange(0, (len(n.Authorities)-1)/2).Draw(t, "liars")
		newBroadcast(t, n, liars).run().check()
	})
}

// broadcast simulates the vote rounds of one period. The first authorities lie.
type broadcast struct {
	t        *rapid.T
	n        *directorytest.Network
	r        directory.Round
	liars    int
	machines []*agreement    // nil for liars
	skew     []time.Duration // how far each clock is ahead
	own      []testVote
	docs     map[directory.Digest]testVote
	events   eventQueue
	heard    []*directory.Envelope // what liars were sent
}

type event struct {
	at  time.Time
	seq int
	do  func(now time.Time)
}

type eventQueue struct {
	list []event
	seq  int
}

func (q *eventQueue) Len() int { return len(q.list) }
func (q *eventQueue) Less(i, j int) bool {
	if c := q.list[i].at.Compare(q.list[j].at); c != 0 {
		return c < 0
	}
	return q.list[i].seq < q.list[j].seq
}
func (q *eventQueue) Swap(i, j int) { q.list[i], q.list[j] = q.list[j], q.list[i] }
func (q *eventQueue) Push(x any)    { q.list = append(q.list, x.(event)) }
func (q *eventQueue) Pop() any {
	e := q.list[len(q.list)-1]
	q.list = q.list[:len(q.list)-1]
	return e
}

func (b *broadcast) at(when time.Time, do func(now time.Time)) {
	b.events.seq++
	heap.Push(&b.events, event{when, b.events.seq, do})
}

func newBroadcast(t *rapid.T, n *directorytest.Network, liars int) *broadcast {
	b := &broadcast{t: t, n: n, r: n.Round(0), liars: liars, docs: make(map[directory.Digest]testVote)}
	for i := range n.Authorities {
		skew := time.Duration(rapid.Int64Range(0, int64(b.r.VoteRound/5)-1).Draw(t, "skew"))
		b.skew = append(b.skew, skew)
		own := newVote(t, n, i, 0)
		b.own, b.docs[own.v.Digest()] = append(b.own, own), own
		if i < liars {
			b.machines = append(b.machines, nil)
			continue
		}
		m := machineOf(n, i)
		b.machines = append(b.machines, m)
		b.at(b.r.VotesLeave.Add(-skew), func(now time.Time) {
			s, err := m.propose(now.Add(skew), own.doc, own.v)
			if err != nil {
				t.Fatal(err)
			}
			b.take(i, s, now)
		})
	}
	for k := range rapid.IntRange(0, 12*min(liars, 1)).Draw(t, "lies") {
		b.lie(k)
	}
	return b
}

// instants are the times that matter most: the edges of rounds.
func (b *broadcast) instant(label string) time.Time {
	round := rapid.IntRange(0, b.r.VoteRounds).Draw(b.t, label+" round")
	return b.r.VoteEnd(round).Add(rapid.SampledFrom([]time.Duration{
		-time.Second, -time.Millisecond, -1, 0, 1, time.Millisecond, b.r.VoteRound / 3, b.r.VoteRound * 2 / 3,
	}).Draw(b.t, label+" offset"))
}

// lie plans one message of a liar: a vote of a liar, with signatures of liars
// and perhaps those heard of others, with or without the document.
func (b *broadcast) lie(k int) {
	label := fmt.Sprintf("lie %d", k)
	author := rapid.IntRange(0, b.liars-1).Draw(b.t, label+" author")
	variant := rapid.IntRange(0, 3).Draw(b.t, label+" variant")
	from := rapid.IntRange(0, b.liars-1).Draw(b.t, label+" from")
	to := rapid.IntRange(b.liars, len(b.machines)-1).Draw(b.t, label+" to")
	mask := rapid.IntRange(0, 1<<b.liars-1).Draw(b.t, label+" signers")
	bare := rapid.Bool().Draw(b.t, label+" bare")
	replay := rapid.Bool().Draw(b.t, label+" replay")
	vote := newVote(b.t, b.n, author, variant)
	if rapid.Bool().Draw(b.t, label+" shows its document") {
		b.docs[vote.v.Digest()] = vote
	}
	b.at(b.instant(label), func(now time.Time) {
		env := vote.envelope(b.t, b.n)
		for i := range b.liars {
			if mask&(1<<i) != 0 {
				_ = env.Countersign(signerOf(b.n, i).cert, signerOf(b.n, i).key)
			}
		}
		if replay {
			for _, h := range b.heard {
				if h.Digest() == env.Digest() {
					c := candidate{env: env}
					c.merge(h)
				}
			}
		}
		var v *directory.Vote
		if bare {
			env = env.Bare()
		} else {
			v = vote.v
		}
		b.deliver(from, to, env, v, now)
	})
}

// deliver hands an envelope to an honest authority.
func (b *broadcast) deliver(from, to int, env *directory.Envelope, v *directory.Vote, now time.Time) {
	s, err := b.machines[to].receive(now.Add(b.skew[to]), b.n.Authorities[from].ID, env, v)
	if err == nil {
		b.take(to, s, now)
	}
}

// delay draws a fifth of a round at most: a message, a question and an answer
// then take, by any two of the clocks, less than a round together.
func (b *broadcast) delay() time.Duration {
	return time.Duration(rapid.Int64Range(1, int64(b.r.VoteRound/5)-1).Draw(b.t, "delay"))
}

// take does what the machine of authority i asks for.
func (b *broadcast) take(i int, s step, now time.Time) {
	for _, m := range s.sends {
		to := b.index(m.to)
		if to < b.liars {
			b.heard = append(b.heard, m.env)
			continue
		}
		var v *directory.Vote
		if m.env.Vote != nil {
			v = b.docs[m.env.Digest()].v
		}
		b.at(now.Add(b.delay()), func(now time.Time) { b.deliver(i, to, m.env, v, now) })
	}
	for _, w := range s.wants {
		b.ask(i, w, now)
	}
}

// ask brings the document of a vote from whoever has it.
func (b *broadcast) ask(i int, w want, now time.Time) {
	from := b.index(w.from)
	b.at(now.Add(b.delay()), func(now time.Time) {
		var doc []byte
		if from >= b.liars {
			doc = b.machines[from].document(w.author, w.digest)
		} else if vote, ok := b.docs[w.digest]; ok {
			doc = vote.doc
		}
		if doc == nil {
			return
		}
		b.at(now.Add(b.delay()), func(now time.Time) {
			v, err := directory.ParseVote(doc, b.n.Network)
			if err != nil {
				b.t.Fatal(err)
			}
			b.take(i, b.machines[i].body(now.Add(b.skew[i]), v, doc), now)
		})
	})
}

func (b *broadcast) index(id keys.RelayID) int {
	return slices.IndexFunc(b.n.Authorities, func(a directory.Authority) bool { return a.ID == id })
}

// run plays all rounds, then lets everybody fetch what is missing.
func (b *broadcast) run() *broadcast {
	b.at(b.r.Sign, func(now time.Time) {
		for i := b.liars; i < len(b.machines); i++ {
			for _, w := range b.machines[i].outcome().missing {
				b.ask(i, w, now)
			}
		}
	})
	for b.events.Len() > 0 {
		e := heap.Pop(&b.events).(event)
		e.do(e.at)
	}
	return b
}

func (b *broadcast) check() {
	var first []directory.Digest
	for i := b.liars; i < len(b.machines); i++ {
		o := b.machines[i].outcome()
		if len(o.missing) > 0 {
			b.t.Fatalf("authority %d lacks documents of votes that count", i)
		}
		var got []directory.Digest
		for _, v := range o.votes {
			got = append(got, v.Digest())
		}
		if i == b.liars {
			first = got
		}
		if !slices.Equal(got, first) {
			b.t.Fatalf("authority %d counts %v, authority %d %v", i, got, b.liars, first)
		}
		for j := b.liars; j < len(b.machines); j++ {
			if !slices.Contains(got, b.own[j].v.Digest()) {
				b.t.Fatalf("authority %d does not count the vote of authority %d", i, j)
			}
		}
	}
}
