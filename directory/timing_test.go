package directory_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func testnet(authorities int) *directory.Network {
	return directorytest.NewWith(authorities, directory.Network{
		Name: "testnet", PrivateAddresses: true, Timing: directory.TestTiming(epoch),
	}).Network
}

func TestTestNetworkTimeline(t *testing.T) {
	n := testnet(3)
	if err := n.Check(); err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) time.Time { return epoch.Add(1200*time.Millisecond + d) }
	first := n.Round(0)
	want := directory.Round{
		Number: 0, Initial: true, VotesLeave: at(-450 * time.Millisecond), VoteRounds: 2, VoteRound: 150 * time.Millisecond,
		Sign: at(-150 * time.Millisecond), ValidAfter: at(0), FreshUntil: at(time.Second), ValidUntil: at(3 * time.Minute),
	}
	if first != want {
		t.Errorf("first round\n%+v, want\n%+v", first, want)
	}
	last, then := n.Round(9), n.Round(10)
	if !last.Initial || !last.ValidAfter.Equal(at(9*time.Second)) || !last.FreshUntil.Equal(at(10*time.Second)) {
		t.Errorf("last initial round %+v", last)
	}
	if then.Initial || !then.ValidAfter.Equal(at(10*time.Second)) || !then.FreshUntil.Equal(at(70*time.Second)) || !then.ValidUntil.Equal(at(190*time.Second)) {
		t.Errorf("round after the initial ones %+v", then)
	}
	if _, ok := n.RoundAt(at(-1)); ok {
		t.Error("there is a round before start")
	}
	if r := n.NextRound(epoch.Add(-24 * time.Hour)); r.Number != 0 {
		t.Errorf("next round a day before: %d", r.Number)
	}
}

func TestDefaultTimeline(t *testing.T) {
	for now, want := range map[string]string{
		"2026-05-01T10:00:00Z": "2026-05-01T11:00:00Z",
		"2026-05-01T10:30:00Z": "2026-05-01T11:00:00Z",
		"2026-05-01T10:30:01Z": "2026-05-01T12:00:00Z",
	} {
		at, _ := time.Parse(time.RFC3339, now)
		got := directory.DefaultTiming(at)
		if got.Start.Format(time.RFC3339) != want || got.Period != time.Hour {
			t.Errorf("made at %s: start %v, period %v", now, got.Start, got.Period)
		}
	}
	n := directorytest.New(9)
	if err := n.Check(); err != nil {
		t.Error(err)
	}
	if got := n.Round(5); got.VoteRounds != 5 || got.ValidUntil.Sub(got.ValidAfter) != 3*time.Hour {
		t.Errorf("%+v", got)
	}
}

func TestTimelineHasNoGapsAndNoOverlap(t *testing.T) {
	n := testnet(5)
	rapid.Check(t, func(t *rapid.T) {
		now := epoch.Add(time.Duration(rapid.Int64Range(0, int64(50*365*24*time.Hour)).Draw(t, "now")))
		next := n.NextRound(now)
		r, ok := n.RoundAt(now)
		if ok && (now.Before(r.ValidAfter) || !now.Before(r.FreshUntil) || !next.ValidAfter.Equal(r.FreshUntil) || next.Number != r.Number+1) {
			t.Fatalf("at %v: %+v, next %+v", now, r, next)
		}
		if !next.ValidAfter.After(now) || next.VotesLeave.Before(n.Round(max(0, next.Number-1)).ValidAfter) && next.Number > 0 {
			t.Fatalf("at %v: next %+v", now, next)
		}
		if back, ok := n.RoundOf(next.ValidAfter); !ok || back != next {
			t.Fatalf("RoundOf(%v) = %+v, %v", next.ValidAfter, back, ok)
		}
		if _, ok := n.RoundOf(next.ValidAfter.Add(time.Millisecond)); ok {
			t.Fatal("a time between two rounds is one")
		}
	})
}

func TestVoteRoundAt(t *testing.T) {
	r := testnet(3).Round(0)
	for d, want := range map[time.Duration]int{-1: 0, 0: 1, 149 * time.Millisecond: 1, 150 * time.Millisecond: 2, 299 * time.Millisecond: 2, 300 * time.Millisecond: 3, time.Hour: 3} {
		if got := r.VoteRoundAt(r.VotesLeave.Add(d)); got != want {
			t.Errorf("%v after votes leave: round %d, want %d", d, got, want)
		}
	}
	if !r.VoteEnd(2).Equal(r.Sign) {
		t.Errorf("last vote round ends at %v, signatures begin at %v", r.VoteEnd(2), r.Sign)
	}
}

func TestMajority(t *testing.T) {
	for n, want := range map[int][2]int{1: {1, 1}, 2: {2, 1}, 3: {2, 2}, 4: {3, 2}, 5: {3, 3}, 9: {5, 5}} {
		net := testnet(n)
		if net.Majority() != want[0] || net.VoteRounds() != want[1] {
			t.Errorf("%d authorities: majority %d, vote rounds %d; want %v", n, net.Majority(), net.VoteRounds(), want)
		}
	}
}
