package authority

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/directorytest"
)

// standing gives relays what an authority says of them beside facts and flags.
func standing(relays []directory.Relay) {
	for i := range relays {
		r := &relays[i]
		r.FirstListed = directory.Day(epoch).AddDate(0, 0, -100-i)
		r.Age, r.AS, r.Country = 90+i, uint32(64500+i%2), "DE"
		if i == 1 {
			r.Group = directory.Digest{9}
			r.Quarantine = directory.Quarantine{Code: "batch", Until: epoch.Add(48 * time.Hour)}
		}
	}
}

// lieAbout has a liar say anything about all relays, and anything beside.
func lieAbout(t *rapid.T, v *directory.Vote) {
	for i := range v.Entries {
		e := &v.Entries[i]
		e.Flags &= directory.Flags(rapid.IntRange(0, int(directory.AllFlags)).Draw(t, "flags")) | directory.Running
		e.FirstListed = time.Time{}
		if ago := rapid.IntRange(-1, 9000).Draw(t, "listed days ago"); ago >= 0 {
			e.FirstListed = directory.Day(epoch).AddDate(0, 0, -ago)
		}
		e.Age = rapid.SampledFrom([]int{0, 1, 50, 500, directory.MaxAge}).Draw(t, "age")
		e.AS = rapid.SampledFrom([]uint32{0, 64500, 64501, 1}).Draw(t, "as")
		e.Country = rapid.SampledFrom([]string{"", "DE", "FR"}).Draw(t, "country")
		e.Group = directory.Digest{byte(rapid.SampledFrom([]int{0, 8, 9}).Draw(t, "group"))}
		e.Quarantine = directory.Quarantine{}
		if code := rapid.SampledFrom([]string{"", "a", "batch", "manual"}).Draw(t, "code"); code != "" {
			e.Quarantine = directory.Quarantine{Code: code, Until: epoch.Add(time.Duration(rapid.IntRange(-100, 9000).Draw(t, "until")) * time.Hour)}
		}
		if rapid.Bool().Draw(t, "refused") {
			e.Refused = "range24"
			e.Flags &^= directory.Valid
		}
		e.Vouch = directory.Vouch{By: directory.Digest{7}, Day: directory.Day(epoch)}
	}
	v.Findings = []directory.Finding{{Against: directory.Digest{1}, Day: directory.Day(epoch)}}
	v.Draw = directory.Draw{Day: directory.Day(epoch), Value: directory.Digest{byte(rapid.IntRange(0, 3).Draw(t, "random"))}}
}

// Of 2f+1 authorities f may say what they like about ages, origins, quarantine,
// refusals, vouchers and randomness, or nothing: no relay's entry changes.
func TestLiarsChangeNoRelaysStanding(t *testing.T) {
	for _, size := range []int{3, 5, 7} {
		n := directorytest.New(size)
		relays := n.Relays(4)
		standing(relays)
		votes := make([]*directory.Vote, size)
		for i := range votes {
			votes[i] = ballotOf(t, n, i, relays)
		}
		honest := tally(t, n, votes...)
		if len(honest.Relays) != 4 || honest.Relays[1].Quarantine.Code != "batch" || honest.Relays[1].Flags&bereft != 0 ||
			honest.Relays[2].Age != 92 || honest.Relays[2].AS != 64500 {
			t.Fatalf("what honest ones say comes out as %+v", honest.Relays)
		}
		rapid.Check(t, func(rt *rapid.T) {
			votes := slices.Clone(votes)
			for i := range (size - 1) / 2 {
				if rapid.IntRange(0, 9).Draw(rt, "silent") == 0 {
					votes[i] = nil
					continue
				}
				votes[i] = ballotOf(rt, n, i, relays, func(v *directory.Vote) { lieAbout(rt, v) })
			}
			votes = slices.DeleteFunc(votes, func(v *directory.Vote) bool { return v == nil })
			got := tally(rt, n, votes...)
			got.Votes = honest.Votes
			if !bytes.Equal(encoded(rt, got), encoded(rt, honest)) {
				rt.Fatalf("%d of %d lie:\n%s\nwithout:\n%s", (size-1)/2, size, encoded(rt, got), encoded(rt, honest))
			}
		})
	}
}

// What those few lost who have a new file changes nothing either.
func TestTallyGrantsWhatMoreThanMayLieGrant(t *testing.T) {
	n := directorytest.New(5)
	relays := n.Relays(1)
	day := directory.Day(epoch)
	say := func(ago, age int) func(*directory.Vote) {
		return func(v *directory.Vote) {
			if ago >= 0 {
				v.Entries[0].FirstListed, v.Entries[0].Age = day.AddDate(0, 0, -ago), age
			}
		}
	}
	for name, tt := range map[string]struct {
		votes    []func(*directory.Vote)
		ago, age int
	}{
		"all say the same":      {[]func(*directory.Vote){say(9, 8), say(9, 8), say(9, 8), say(9, 8), say(9, 8)}, 9, 8},
		"median":                {[]func(*directory.Vote){say(1, 1), say(2, 2), say(3, 3), say(4, 4), say(5, 5)}, 3, 3},
		"two lost their file":   {[]func(*directory.Vote){say(-1, 0), say(-1, 0), say(9, 8), say(9, 8), say(9, 8)}, 9, 8},
		"and are seen as new":   {[]func(*directory.Vote){say(0, 0), say(0, 0), say(9, 8), say(9, 8), say(9, 8)}, 9, 8},
		"too few know anything": {[]func(*directory.Vote){say(-1, 0), say(-1, 0), say(-1, 0), say(9, 8), say(9, 8)}, 0, 0},
		"three vote, two lie":   {[]func(*directory.Vote){say(900, 800), say(900, 800), say(9, 8)}, 9, 8},
	} {
		var votes []*directory.Vote
		for i, f := range tt.votes {
			votes = append(votes, ballotOf(t, n, i, relays, f))
		}
		r := tally(t, n, votes...).Relays[0]
		if !r.FirstListed.Equal(day.AddDate(0, 0, -tt.ago)) || r.Age != tt.age {
			t.Errorf("%s: since %v, %d days; want %d days ago, %d", name, r.FirstListed, r.Age, tt.ago, tt.age)
		}
	}
}

func TestQuarantineNeedsAMajority(t *testing.T) {
	n := directorytest.New(5)
	relays := n.Relays(2)
	in := func(code string, hours int, group byte) func(*directory.Vote) {
		return func(v *directory.Vote) {
			v.Entries[0].Quarantine = directory.Quarantine{Code: code, Until: epoch.Add(time.Duration(hours) * time.Hour)}
			v.Entries[0].Group = directory.Digest{group}
		}
	}
	free := func(*directory.Vote) {}
	for name, tt := range map[string]struct {
		votes []func(*directory.Vote)
		want  directory.Quarantine
		group directory.Digest
	}{
		"nobody":           {[]func(*directory.Vote){free, free, free, free, free}, directory.Quarantine{}, directory.Digest{}},
		"two of five":      {[]func(*directory.Vote){in("batch", 5, 1), in("batch", 5, 1), free, free, free}, directory.Quarantine{}, directory.Digest{}},
		"two of three":     {[]func(*directory.Vote){in("batch", 5, 1), in("batch", 5, 1), free}, directory.Quarantine{}, directory.Digest{}},
		"three of five":    {[]func(*directory.Vote){in("batch", 5, 1), in("batch", 6, 1), in("batch", 7, 1), free, free}, directory.Quarantine{Code: "batch", Until: epoch.Add(6 * time.Hour)}, directory.Digest{1}},
		"other groups":     {[]func(*directory.Vote){in("batch", 5, 1), in("batch", 6, 2), in("batch", 7, 3), in("batch", 7, 3), free}, directory.Quarantine{Code: "batch", Until: epoch.Add(6 * time.Hour)}, directory.Digest{3}},
		"all other groups": {[]func(*directory.Vote){in("batch", 5, 4), in("batch", 6, 2), in("batch", 7, 3), free, free}, directory.Quarantine{Code: "batch", Until: epoch.Add(6 * time.Hour)}, directory.Digest{2}},
		"most say cluster": {[]func(*directory.Vote){in("batch", 5, 1), in("cluster", 6, 1), in("cluster", 7, 1), free, free}, directory.Quarantine{Code: "cluster", Until: epoch.Add(6 * time.Hour)}, directory.Digest{1}},
		"a tie":            {[]func(*directory.Vote){in("b", 5, 1), in("c", 6, 1), in("b", 7, 1), in("c", 8, 1), in("a", 9, 1)}, directory.Quarantine{Code: "b", Until: epoch.Add(7 * time.Hour)}, directory.Digest{1}},
	} {
		var votes []*directory.Vote
		for i, f := range tt.votes {
			votes = append(votes, ballotOf(t, n, i, relays, f))
		}
		r := tally(t, n, votes...).Relays[0]
		if r.Quarantine != tt.want || r.Group != tt.group {
			t.Errorf("%s: %v, group %v; want %v, %v", name, r.Quarantine, r.Group, tt.want, tt.group)
		}
		if q := tt.want.Code != ""; r.Flags.Has(directory.Guard) == q || q && (r.Shares[directory.AsGuard] != 0 || r.Shares[directory.AsExit] != 0) {
			t.Errorf("%s: flags %v, shares %v", name, r.Flags, r.Shares)
		}
	}
}

// crowd returns relays that are all at addresses of one /24, in their order.
func crowd(n *directorytest.Network, count int) []directory.Relay {
	relays := n.Relays(count)
	for i := range relays {
		relays[i].Addrs = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{20, 1, 2, byte(i)}), 9001)}
	}
	return relays
}

func TestVoteRefusesWhoIsTooMany(t *testing.T) {
	n := directorytest.New(3)
	relays := crowd(n, 20)
	for _, i := range []int{3, 17} {
		relays[i].FirstListed = directory.Day(epoch).AddDate(0, 0, -50)
	}
	v := n.Vote(0, 0, relays)
	keepOut(n.Network, v)
	refused := 0
	for i := range v.Entries {
		e := &v.Entries[i]
		if (e.Refused != "") == e.Flags.Has(directory.Valid) {
			t.Errorf("refused %q, flags %v", e.Refused, e.Flags)
		}
		if e.Refused != "" {
			refused++
		}
		if (i == 3 || i == 17) && e.Refused != "" {
			t.Errorf("one that is long listed is refused by %q", e.Refused)
		}
	}
	if refused != 12 {
		t.Errorf("%d of 20 in one /24 refused, want 12", refused)
	}
	if _, err := v.Sign(n.SigningKey(0)); err != nil {
		t.Fatal(err)
	}
	again := Refusals(n.Network, v)
	for i := range v.Entries {
		if v.Entries[i].Refused != again[i] {
			t.Errorf("entry %d: refused by %q, recomputed %q", i, v.Entries[i].Refused, again[i])
		}
	}
}

// Authorities that know different relays let in different ones; no consensus
// lists more than the limits allow all the same.
func TestNoConsensusIsOverTheLimits(t *testing.T) {
	n := directorytest.New(3)
	relays := crowd(n, 20)
	rng := rand.New(rand.NewPCG(5, 6))
	votes := make([]*directory.Vote, 3)
	for i := range votes {
		some := slices.DeleteFunc(slices.Clone(relays), func(directory.Relay) bool { return rng.IntN(3) == 0 })
		votes[i] = ballotOf(t, n, i, some, func(v *directory.Vote) {
			v.Params = nil
			if i > 0 { // liars refuse nobody
				return
			}
			keepOut(n.Network, v)
		})
	}
	r, err := Tally(n.Network, n.Round(0), votes)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(r.Consensus.Relays); got != 8 || len(r.Over) == 0 {
		t.Errorf("%d relays of one /24, %d over the limit", got, len(r.Over))
	}
}
