package directory

import (
	"fmt"
	"time"
)

const ( // fixed by docs/protocol.md, "Timeline"
	validPeriods = 3  // a consensus is valid for 3 periods
	gracePeriods = 24 // and clients go on with it, with a warning, for 24 more

	maxInitialRounds = 1000
	minPhase         = 10 * time.Millisecond // of a vote round and of the signatures
	minPeriod        = 50 * time.Millisecond
	maxPeriod        = 7 * 24 * time.Hour
)

const ( // our choice: the timeline of a public network
	defaultPeriod    = time.Hour
	defaultVoteRound = 2 * time.Minute // 32 MiB to each authority at 1 MB/s, with room
	defaultSignTime  = 3 * time.Minute
	defaultNotice    = 30 * time.Minute // before the first consensus
)

const ( // our choice: the timeline of a test network, ready in seconds
	testNotice        = 1200 * time.Millisecond
	testInitialRounds = 10
	testInitialPeriod = time.Second
	testPeriod        = time.Minute
	testVoteRound     = 150 * time.Millisecond
	testSignTime      = 150 * time.Millisecond
)

// Timing is the timeline of a network's consensuses, fixed by the network file:
// the first becomes valid at Start, then InitialRounds ones at intervals of
// InitialPeriod, then one every Period. There is no state and no negotiation.
type Timing struct {
	Start         time.Time     // the first valid-after, whole milliseconds
	InitialRounds int           // how many periods last InitialPeriod, 0 if none
	InitialPeriod time.Duration // 0 if there are no initial rounds
	Period        time.Duration
	VoteRound     time.Duration // length of each of the f+1 vote rounds
	SignTime      time.Duration // length of the phase of signatures after them
}

// DefaultTiming returns the timeline of a public network made at now: a
// consensus an hour, from the first full hour on that leaves half an hour.
func DefaultTiming(now time.Time) Timing {
	return Timing{
		Start:     now.UTC().Add(defaultNotice + defaultPeriod - 1).Truncate(defaultPeriod),
		Period:    defaultPeriod,
		VoteRound: defaultVoteRound,
		SignTime:  defaultSignTime,
	}
}

// TestTiming returns the timeline of a test network whose file is written at
// now: first consensus after 1.2 s, ten rounds of a second, then one a minute.
func TestTiming(now time.Time) Timing {
	return Timing{
		Start:         Moment(now.Add(testNotice)),
		InitialRounds: testInitialRounds,
		InitialPeriod: testInitialPeriod,
		Period:        testPeriod,
		VoteRound:     testVoteRound,
		SignTime:      testSignTime,
	}
}

// check says what is wrong with a timeline of that many vote rounds.
func (t Timing) check(voteRounds int) error {
	making := time.Duration(voteRounds)*t.VoteRound + t.SignTime
	whole := func(d time.Duration) bool { return d%time.Millisecond == 0 }
	switch {
	case !validTime(t.Start) || !t.Start.Equal(Moment(t.Start)):
		return fmt.Errorf("%w: start is not a whole millisecond of the years %d to %d", ErrMalformed, minYear, maxYear)
	case t.InitialRounds < 0 || t.InitialRounds > maxInitialRounds:
		return fmt.Errorf("%w: initial_rounds is not 0 to %d", ErrMalformed, maxInitialRounds)
	case (t.InitialRounds == 0) != (t.InitialPeriod == 0):
		return fmt.Errorf("%w: initial_rounds and initial_period go together", ErrMalformed)
	case !whole(t.InitialPeriod) || !whole(t.Period) || !whole(t.VoteRound) || !whole(t.SignTime):
		return fmt.Errorf("%w: durations are whole milliseconds", ErrMalformed)
	case t.VoteRound < minPhase || t.VoteRound > maxPeriod || t.SignTime < minPhase || t.SignTime > maxPeriod:
		return fmt.Errorf("%w: vote_round and sign_time are %v to %v", ErrMalformed, minPhase, maxPeriod)
	case t.Period < minPeriod || t.Period > maxPeriod:
		return fmt.Errorf("%w: period is not %v to %v", ErrMalformed, minPeriod, maxPeriod)
	case t.InitialRounds > 0 && (t.InitialPeriod < minPeriod || t.InitialPeriod > t.Period):
		return fmt.Errorf("%w: initial_period is not %v to period", ErrMalformed, minPeriod)
	case making > t.Period || t.InitialRounds > 0 && making > t.InitialPeriod:
		return fmt.Errorf("%w: %d vote rounds and the signatures take %v, more than a period", ErrMalformed, voteRounds, making)
	}
	return nil
}

// validAfter returns when the i-th consensus becomes valid, from 0.
func (t Timing) validAfter(i int64) time.Time {
	initial := min(i, int64(t.InitialRounds))
	return t.Start.Add(time.Duration(initial)*t.InitialPeriod + time.Duration(i-initial)*t.Period)
}

// index returns the last i with validAfter(i) not after now; -1 before Start.
func (t Timing) index(now time.Time) int64 {
	since := now.Sub(t.Start)
	if since < 0 {
		return -1
	}
	initial := time.Duration(t.InitialRounds) * t.InitialPeriod
	if since < initial {
		return int64(since / t.InitialPeriod)
	}
	return int64(t.InitialRounds) + int64((since-initial)/t.Period)
}

// A Round is one period of the timeline: how its consensus is made and how long
// it serves.
type Round struct {
	Number     int64     // from 0
	Initial    bool      // one of the initial rounds
	VotesLeave time.Time // start of the first vote round
	VoteRounds int       // f + 1
	VoteRound  time.Duration
	Sign       time.Time // end of the last vote round, start of the signatures
	ValidAfter time.Time
	FreshUntil time.Time // the next round's ValidAfter
	ValidUntil time.Time // ValidAfter + 3 periods
}

// VoteEnd returns when the i-th vote round ends, counted from 1.
func (r Round) VoteEnd(i int) time.Time {
	return r.VotesLeave.Add(time.Duration(i) * r.VoteRound)
}

// VoteRoundAt returns the number of the vote round that now lies in, counted
// from 1; 0 before the first and VoteRounds+1 after the last.
func (r Round) VoteRoundAt(now time.Time) int {
	if now.Before(r.VotesLeave) {
		return 0
	}
	return min(int(now.Sub(r.VotesLeave)/r.VoteRound), r.VoteRounds) + 1
}

// Round returns the i-th round of the timeline, from 0.
func (n *Network) Round(i int64) Round {
	t := n.Timing
	r := Round{
		Number:     i,
		Initial:    i < int64(t.InitialRounds),
		VoteRounds: n.VoteRounds(),
		VoteRound:  t.VoteRound,
		ValidAfter: t.validAfter(i),
		FreshUntil: t.validAfter(i + 1),
	}
	r.ValidUntil = r.ValidAfter.Add(validPeriods * t.Period)
	r.Sign = r.ValidAfter.Add(-t.SignTime)
	r.VotesLeave = r.Sign.Add(-time.Duration(r.VoteRounds) * t.VoteRound)
	return r
}

// RoundAt returns the round whose consensus is fresh at now: the last with
// ValidAfter not after now. There is none before Start.
func (n *Network) RoundAt(now time.Time) (Round, bool) {
	i := n.Timing.index(now)
	if i < 0 {
		return Round{}, false
	}
	return n.Round(i), true
}

// NextRound returns the first round whose ValidAfter is after now.
func (n *Network) NextRound(now time.Time) Round { return n.Round(n.Timing.index(now) + 1) }

// RoundOf returns the round that begins at exactly validAfter.
func (n *Network) RoundOf(validAfter time.Time) (Round, bool) {
	r, ok := n.RoundAt(validAfter)
	return r, ok && r.ValidAfter.Equal(validAfter)
}
