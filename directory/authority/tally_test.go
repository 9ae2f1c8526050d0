package authority

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/directorytest"
	"tunic/directory/keys"
)

// ballotOf returns the vote of authority i over the entries, signed.
func ballotOf(tb interface{ Fatal(...any) }, n *directorytest.Network, i int, relays []directory.Relay, change ...func(*directory.Vote)) *directory.Vote {
	v := n.Vote(i, 0, slices.Clone(relays))
	for _, f := range change {
		f(v)
	}
	if _, err := v.Sign(n.SigningKey(i)); err != nil {
		tb.Fatal(err)
	}
	return v
}

// tally returns the consensus of round 0.
func tally(tb interface{ Fatal(...any) }, n *directorytest.Network, votes ...*directory.Vote) *directory.Consensus {
	r, err := Tally(n.Network, n.Round(0), votes)
	if err != nil {
		tb.Fatal(err)
	}
	return r.Consensus
}

func TestRelayIsListedWhenMoreThanHalfOfAllListIt(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 5, 7} {
		n := directorytest.New(size)
		relays := n.Relays(1)
		for by := range size + 1 {
			var votes []*directory.Vote
			for i := range size {
				if i < by {
					votes = append(votes, ballotOf(t, n, i, relays))
				} else {
					votes = append(votes, ballotOf(t, n, i, nil))
				}
			}
			if got, want := len(tally(t, n, votes...).Relays) == 1, 2*by > size; got != want {
				t.Errorf("listed by %d of %d: in the consensus %v", by, size, got)
			}
		}
	}
}

func TestTallyNeedsMoreThanHalfOfTheAuthorities(t *testing.T) {
	n := directorytest.New(4)
	votes := []*directory.Vote{ballotOf(t, n, 0, nil), ballotOf(t, n, 1, nil)}
	if _, err := Tally(n.Network, n.Round(0), votes); !errors.Is(err, ErrFewVotes) {
		t.Errorf("two of four: %v", err)
	}
	if _, err := Tally(n.Network, n.Round(0), append(votes, votes[1], votes[0])); err == nil {
		t.Error("an author counted twice")
	}
	if _, err := Tally(n.Network, n.Round(1), append(votes, ballotOf(t, n, 2, nil))); !errors.Is(err, directory.ErrOtherPeriod) {
		t.Errorf("votes of another period: %v", err)
	}
	other := directorytest.New(4)
	if _, err := Tally(other.Network, n.Round(0), append(votes, ballotOf(t, n, 2, nil))); !errors.Is(err, directory.ErrOtherNetwork) {
		t.Errorf("votes of another network: %v", err)
	}
}

// TestOneLiarOfThreeChangesNothing compares the consensus of two honest votes
// and a liar's with that of three honest ones, for every lie about one relay.
func TestOneLiarOfThreeChangesNothing(t *testing.T) {
	n := directorytest.New(3)
	relays := n.Relays(5)
	honest := []*directory.Vote{ballotOf(t, n, 0, relays), ballotOf(t, n, 1, relays), ballotOf(t, n, 2, relays)}
	want := tally(t, n, honest...)
	invented := n.Relays(1)[0]
	for name, lie := range map[string]func(v *directory.Vote){
		"another link key":    func(v *directory.Vote) { v.Entries[2].LinkKey = keys.GenerateLink().Public() },
		"another circuit key": func(v *directory.Vote) { v.Entries[2].CircuitKey = keys.GenerateCircuit().Public() },
		"another address":     func(v *directory.Vote) { v.Entries[2].Addrs = []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:9")} },
		"another family":      func(v *directory.Vote) { v.Entries[2].Family = []directory.Digest{{1}} },
		"other ports":         func(v *directory.Vote) { v.Entries[2].Ports, _ = directory.ParsePortSummary("25") },
		"a newer descriptor": func(v *directory.Vote) {
			v.Entries[2].Published = v.Entries[2].Published.Add(time.Hour)
			v.Entries[2].LinkKey = keys.GenerateLink().Public()
		},
		"no flags":          func(v *directory.Vote) { v.Entries[2].Flags = 0 },
		"all flags":         func(v *directory.Vote) { v.Entries[1].Flags = directory.AllFlags },
		"not listed":        func(v *directory.Vote) { v.Entries = slices.Delete(v.Entries, 2, 3) },
		"weight of zero":    func(v *directory.Vote) { v.Entries[2].Weight = 0 },
		"weight beyond all": func(v *directory.Vote) { v.Entries[2].Weight = directory.MaxWeight },
		"measured":          func(v *directory.Vote) { v.Entries[2].Measured = directory.MaxWeight },
		"listed for ever": func(v *directory.Vote) {
			v.Entries[2].FirstListed = directory.Day(directorytest.Epoch.AddDate(-20, 0, 0))
		},
		"an invented relay": func(v *directory.Vote) {
			v.Entries = append(v.Entries, directory.VoteEntry{Relay: invented, Published: directorytest.Epoch})
			slices.SortFunc(v.Entries, func(a, b directory.VoteEntry) int { return directory.CompareID(a.ID, b.ID) })
		},
		"a parameter":     func(v *directory.Vote) { v.Params = []directory.Param{{Name: "x", Value: 1}} },
		"another method":  func(v *directory.Vote) { v.Methods = directory.VersionsOf(31) },
		"no common flags": func(v *directory.Vote) { clearFlags(v); v.Known = directory.Guard },
	} {
		t.Run(name, func(t *testing.T) {
			for liar := range 3 {
				votes := slices.Clone(honest)
				votes[liar] = ballotOf(t, n, liar, relays, lie)
				got := tally(t, n, votes...)
				got.Votes = want.Votes // the liar's vote has another digest: that is all
				if !bytes.Equal(encoded(t, got), encoded(t, want)) {
					t.Errorf("authority %d changed the consensus:\n%s\nwant\n%s", liar, encoded(t, got), encoded(t, want))
				}
			}
		})
	}
}

func clearFlags(v *directory.Vote) {
	for i := range v.Entries {
		v.Entries[i].Flags = 0
	}
}

func encoded(tb interface{ Fatal(...any) }, c *directory.Consensus) []byte {
	b, err := c.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestFlagNeedsMoreThanHalfOfThoseWithAnOpinion(t *testing.T) {
	n := directorytest.New(5) // two may lie
	relays := n.Relays(1)
	const yes, no, none, mute = 'y', 'n', '-', 'm' // mute: does not vote on the flag at all
	for votes, want := range map[string]bool{
		"yyyyy": true, "yyynn": true, "yynnn": false, "yyy--": true, "yy---": false,
		"yyyn-": true, "yynn-": false, "yyymm": true, "yyyyn": true, "mmmmm": false, "y----": false, "yymmm": false,
	} {
		var list []*directory.Vote
		for i, what := range votes {
			list = append(list, ballotOf(t, n, i, relays, func(v *directory.Vote) {
				e := &v.Entries[0]
				e.Flags = directory.Running | directory.Valid
				switch what {
				case yes:
					e.Flags |= directory.Guard
				case none:
					e.Unknown = directory.Guard
				case mute:
					v.Known &^= directory.Guard
				}
			}))
		}
		if got := tally(t, n, list...).Relays[0].Flags.Has(directory.Guard); got != want {
			t.Errorf("%s: flag is %v", votes, got)
		}
	}
}

func TestRelayThatDoesNotRunIsLeftOut(t *testing.T) {
	n := directorytest.New(3)
	relays := n.Relays(4)
	relays[1].Flags &^= directory.Running
	relays[2].Flags &^= directory.Valid
	var votes []*directory.Vote
	for i := range 3 {
		votes = append(votes, ballotOf(t, n, i, relays))
	}
	c := tally(t, n, votes...)
	if len(c.Relays) != 2 || c.Relay(relays[1].ID) != nil || c.Relay(relays[2].ID) != nil {
		t.Errorf("%d relays", len(c.Relays))
	}
}

func TestNumbersAreLowMedians(t *testing.T) {
	n := directorytest.New(4)
	relays := n.Relays(1)
	day := directory.Day(directorytest.Epoch)
	for _, tt := range []struct {
		weights, measured []uint64
		days              []int
		weight            uint64
		day               int
	}{
		{weights: []uint64{9, 1, 5, 7}, days: []int{3, 1, 2, 0}, weight: 5, day: 1},
		{weights: []uint64{9, 9, 9, 1}, measured: []uint64{0, 0, 50, 60}, days: []int{0, 0, 0, 9}, weight: 9, day: 0},
		{weights: []uint64{9, 9, 9, 9}, measured: []uint64{0, 70, 50, 60}, days: []int{5, 5, 5, 5}, weight: 60, day: 5},
		{weights: []uint64{0, 0, 0, 9}, days: []int{5, 5, 5, 5}, weight: 1, day: 5},
	} {
		var votes []*directory.Vote
		for i := range 4 {
			votes = append(votes, ballotOf(t, n, i, relays, func(v *directory.Vote) {
				e := &v.Entries[0]
				e.Weight, e.FirstListed = tt.weights[i], day.AddDate(0, 0, -tt.days[3-i])
				if tt.measured != nil {
					e.Measured = tt.measured[i]
				}
				v.Params = []directory.Param{{Name: "p", Value: int64(tt.weights[i])}}
				if i == 0 {
					v.Params = append(v.Params, directory.Param{Name: "q", Value: 1})
				}
			}))
		}
		got := tally(t, n, votes...)
		if r := got.Relays[0]; r.Weight != tt.weight {
			t.Errorf("weights %v, measured %v: %d, want %d", tt.weights, tt.measured, r.Weight, tt.weight)
		}
		listed := slices.Clone(tt.days)
		slices.Sort(listed)
		if r := got.Relays[0]; !r.FirstListed.Equal(day.AddDate(0, 0, -listed[2])) {
			t.Errorf("days ago %v: listed %v", tt.days, r.FirstListed)
		}
		want := slices.Clone(tt.weights)
		slices.Sort(want)
		if len(got.Params) != 1 || got.Params[0] != (directory.Param{Name: "p", Value: int64(want[1])}) {
			t.Errorf("parameters of %v: %v", tt.weights, got.Params)
		}
	}
}

func TestMethodIsTheHighestThatMoreThanHalfSupport(t *testing.T) {
	n := directorytest.New(3)
	for _, tt := range []struct {
		methods [3]directory.Versions
		want    uint8 // 0: none that this version computes
	}{
		{[3]directory.Versions{Methods, Methods, Methods}, 2},
		{[3]directory.Versions{Methods, directory.VersionsOf(2, 3), Methods}, 2},
		{[3]directory.Versions{Methods, directory.VersionsOf(2, 3), directory.VersionsOf(2, 3)}, 0},
		{[3]directory.Versions{directory.VersionsOf(3), directory.VersionsOf(4), Methods}, 0},
	} {
		var votes []*directory.Vote
		for i := range 3 {
			votes = append(votes, ballotOf(t, n, i, nil, func(v *directory.Vote) { v.Methods = tt.methods[i] }))
		}
		r, err := Tally(n.Network, n.Round(0), votes)
		if tt.want == 0 && !errors.Is(err, ErrMethod) || tt.want != 0 && (err != nil || r.Consensus.Method != tt.want) {
			t.Errorf("%v: %v", tt.methods, err)
		}
	}
}

func TestPreviousIsTheNewestCheckpointThatAMajoritySigned(t *testing.T) {
	n := directorytest.New(3)
	var h *directory.History
	var all []*directory.History
	for i := range int64(3) {
		_, h = n.Sign(t, n.Consensus(i, nil), h)
		all = append(all, h)
	}
	_, _, forged := n.Endorse(t, n.Consensus(3, nil), h, 2) // signed by one alone
	damaged := *all[2]
	damaged.Peaks = slices.Clone(damaged.Peaks)
	damaged.Peaks[0][0] ^= 1
	vote := func(i int, h *directory.History) *directory.Vote {
		v := n.Vote(i, 4, nil)
		v.Previous = h
		if _, err := v.Sign(n.SigningKey(i)); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, tt := range map[string]struct {
		given [3]*directory.History
		want  *directory.History
	}{
		"none":    {},
		"one has": {given: [3]*directory.History{nil, all[1], nil}, want: all[1]},
		"newest":  {given: [3]*directory.History{all[0], all[2], all[1]}, want: all[2]},
		"forged":  {given: [3]*directory.History{all[0], all[1], forged}, want: all[1]},
		"damaged": {given: [3]*directory.History{all[0], nil, &damaged}, want: all[0]},
	} {
		r, err := Tally(n.Network, n.Round(4), []*directory.Vote{vote(0, tt.given[0]), vote(1, tt.given[1]), vote(2, tt.given[2])})
		if err != nil {
			t.Fatal(err)
		}
		var want directory.Digest
		if tt.want != nil {
			want = tt.want.Signed.Checkpoint.Digest
		}
		if r.Previous != tt.want || r.Consensus.Previous != want {
			t.Errorf("%s: previous is %v, want %v", name, r.Consensus.Previous, want)
		}
	}
	if r, _ := Tally(n.Network, n.Round(0), []*directory.Vote{ballotOf(t, n, 0, nil, func(v *directory.Vote) { v.Previous = all[2] }), ballotOf(t, n, 1, nil)}); r.Previous != nil {
		t.Error("a checkpoint of a later period is previous")
	}
}

// TestSameVotesGiveTheSameConsensus shuffles drawn votes.
func TestSameVotesGiveTheSameConsensus(t *testing.T) {
	n := directorytest.New(5)
	all := n.Relays(12)
	rapid.Check(t, func(t *rapid.T) {
		var votes []*directory.Vote
		for i := range rapid.IntRange(3, 5).Draw(t, "votes") {
			var seen []directory.Relay
			for _, r := range all {
				if rapid.IntRange(0, 3).Draw(t, "lists") == 0 {
					continue
				}
				r.Flags = directory.Flags(rapid.IntRange(0, int(directory.AllFlags)).Draw(t, "flags"))
				r.Weight = rapid.Uint64Range(0, 3).Draw(t, "weight")
				if rapid.IntRange(0, 5).Draw(t, "moved") == 0 {
					r.Nickname = "other"
				}
				seen = append(seen, r)
			}
			votes = append(votes, ballotOf(t, n, i, seen))
		}
		want := encoded(t, tally(t, n, votes...))
		shuffled := slices.Clone(votes)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		got := encoded(t, tally(t, n, shuffled...))
		if !bytes.Equal(got, want) {
			t.Fatal("the order of votes matters")
		}
		if _, err := directory.ParseConsensus(got); err != nil {
			t.Fatalf("consensus does not parse: %v", err)
		}
	})
}

func TestMoreRelaysThanFitLoseTheLightest(t *testing.T) {
	n := directorytest.New(1)
	relays := n.Relays(6)
	for i, w := range []uint64{5, 1, 4, 4, 4, 9} {
		relays[i].Weight = w
	}
	got := heaviest(slices.Clone(relays), 4)
	for i, want := range []int{0, 2, 3, 5} {
		if got[i].ID != relays[want].ID {
			t.Errorf("place %d has another relay than %d", i, want)
		}
	}
}

func TestVoteThatIsTooLargeListsFewerRelays(t *testing.T) {
	n := directorytest.New(1)
	v := n.Vote(0, 0, n.Relays(17))
	v.Entries[3].Flags = 0
	v.Entries[5].Weight = 1
	running := fewer(v.Entries)
	if len(running) != 16 || slices.ContainsFunc(running, func(e directory.VoteEntry) bool { return e.Flags == 0 }) {
		t.Fatalf("%d relays left of 17, one of which does not run", len(running))
	}
	kept := fewer(running)
	if len(kept) != 14 || slices.ContainsFunc(kept, func(e directory.VoteEntry) bool { return e.Weight == 1 }) ||
		!slices.IsSortedFunc(kept, func(a, b directory.VoteEntry) int { return directory.CompareID(a.ID, b.ID) }) {
		t.Errorf("%d relays left of 16", len(kept))
	}
	for len(kept) > 0 { // it ends
		kept = fewer(kept)
	}
}
