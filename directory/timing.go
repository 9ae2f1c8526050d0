package directory

import "time"

// Timing is the timeline of a network's consensuses, fixed by the network file:
// the first becomes valid at Start, then InitialRounds ones at intervals of
// InitialPeriod, then one every Period. There is no state and no negotiation.
type Timing struct {
	Start         time.Time     // first valid-after
	InitialRounds int           // how many periods last InitialPeriod, 0 if none
	InitialPeriod time.Duration // 0 if there are no initial rounds
	Period        time.Duration
	VoteRound     time.Duration // length of each of the f+1 vote rounds
	SignTime      time.Duration // length of the phase of signatures after them
}

// DefaultTiming returns the timeline of a public network: a consensus an hour,
// from the first full hour after start on.
func DefaultTiming(start time.Time) Timing { panic("unwritten") }

// TestTiming returns the timeline of a test network whose file is written at
// now: first consensus after 1.2 s, ten rounds of a second, then one a minute.
func TestTiming(now time.Time) Timing { panic("unwritten") }

// A Round is one period of the timeline: how its consensus is made and how long
// it serves.
type Round struct {
	Number     int64     // from 0
	Initial    bool      // one of the initial rounds
	VotesLeave time.Time // start of vote round 1
	VoteRounds int       // f + 1
	VoteRound  time.Duration
	Sign       time.Time // end of the last vote round, start of the signatures
	ValidAfter time.Time
	FreshUntil time.Time // the next round's ValidAfter
	ValidUntil time.Time // ValidAfter + 3 periods
}

// VoteEnd returns when vote round r, counted from 1, ends.
func (r Round) VoteEnd(i int) time.Time {
	return r.VotesLeave.Add(time.Duration(i) * r.VoteRound)
}
