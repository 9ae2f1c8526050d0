package weigh_test

import (
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/directory/admission/weigh"
)

// The first two vectors are published with the algorithm; the others follow from
// its text by hand.
func TestFillVectors(t *testing.T) {
	const none = -1
	for _, tc := range []struct {
		what   string
		shares []uint64
		of     []int32
		p, q   uint64
		want   []uint64
	}{
		{"1/4 of six", []uint64{500, 300, 100, 50, 30, 20}, []int32{0, 1, 2, 3, 4, 5}, 1, 4, []uint64{100, 100, 100, 50, 30, 20}},
		{"1/5 and two in a seventh", []uint64{500, 300, 100, 50, 30, 20, 400, 400}, []int32{0, 1, 2, 3, 4, 5, 6, 6}, 1, 5, []uint64{100, 100, 100, 50, 30, 20, 50, 50}},
		{"a pool against the rest", []uint64{300, 300, 400}, []int32{0, 0, none}, 200, 1000, []uint64{50, 50, 400}},
		{"a pool of everybody", []uint64{300, 300, 400}, []int32{0, 0, 0}, 200, 1000, []uint64{300, 300, 400}},
		{"nobody would be left", []uint64{900, 50, 30, 20}, []int32{0, 1, 2, 3}, 10, 1000, []uint64{900, 50, 30, 20}},
		{"one group and one in none", []uint64{900, 100}, []int32{0, none}, 100, 1000, []uint64{11, 100}},
		{"nothing exceeds", []uint64{1, 2, 3}, []int32{0, 1, 2}, 999, 1000, []uint64{1, 2, 3}},
		{"cap of all", []uint64{7, 0}, []int32{0, none}, 1, 1, []uint64{7, 0}},
		{"nobody", []uint64{0, 0}, []int32{0, none}, 1, 4, []uint64{0, 0}},
		{"level 0", []uint64{50, 1}, []int32{0, none}, 1, 4, []uint64{50, 1}},
		{"no relays", nil, nil, 1, 4, nil},
	} {
		got := slices.Clone(tc.shares)
		changed := weigh.Fill(got, tc.of, 7, tc.p, tc.q)
		if !slices.Equal(got, tc.want) || changed == slices.Equal(got, tc.shares) {
			t.Errorf("%s: %v (changed %v), want %v", tc.what, got, changed, tc.want)
		}
	}
}

// drawFill draws shares, their groups, and a cap.
func drawFill(t *rapid.T) (shares []uint64, of []int32, groups int, p, q uint64) {
	groups = rapid.IntRange(1, 12).Draw(t, "groups")
	shares = rapid.SliceOfN(rapid.OneOf(rapid.Uint64Range(0, 100), rapid.Uint64Range(0, 1e12)), 1, 60).Draw(t, "shares")
	of = rapid.SliceOfN(rapid.Int32Range(-1, int32(groups-1)), len(shares), len(shares)).Draw(t, "of")
	return shares, of, groups, rapid.Uint64Range(1, 999).Draw(t, "p"), 1000
}

// sums adds shares up by group; the last is what is in none.
func sums(shares []uint64, of []int32, groups int) []uint64 {
	s := make([]uint64, groups+1)
	for i, x := range shares {
		g := int(of[i])
		if g < 0 {
			g = groups
		}
		s[g] += x
	}
	return s
}

// part is x·p/q.
func part(x, p, q uint64) uint64 {
	hi, lo := bits.Mul64(x, p)
	n, _ := bits.Div64(hi, lo, q)
	return n
}

// Shares only fall; who is in no group, or in one that is not cut, keeps all;
// inside a group proportions stay; and no group is above the cap afterwards.
func TestFillKeepsItsPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares, of, groups, p, q := drawFill(t)
		got := slices.Clone(shares)
		changed := weigh.Fill(got, of, groups, p, q)
		before, after := sums(shares, of, groups), sums(got, of, groups)
		total := uint64(0)
		for _, s := range after {
			total += s
		}
		for i := range got {
			g := of[i]
			if got[i] > shares[i] || g < 0 && got[i] != shares[i] {
				t.Fatalf("share %d in group %d: %d, then %d", i, g, shares[i], got[i])
			}
			if g >= 0 && got[i] != shares[i] { // L·share/before, where the group has at most 60 less than L
				least, most := part(shares[i], after[g], before[g]), part(shares[i], after[g]+60, before[g])
				if got[i] < least || got[i] > most {
					t.Fatalf("share %d of %d is out of proportion: %d of %d", i, shares[i], got[i], after[g])
				}
			}
		}
		if !changed {
			return
		}
		for g, s := range after[:groups] { // each of 60 shares is less by at most 1, in each of 12 groups
			if cap := (total + 60) * p / q; s > cap+cap>>19+60 {
				t.Fatalf("group %d holds %d of %d, cap %d/%d", g, s, total, p, q)
			}
		}
	})
}

// The order of shares and the names of groups mean nothing.
func TestFillDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares, of, groups, p, q := drawFill(t)
		straight := slices.Clone(shares)
		weigh.Fill(straight, of, groups, p, q)
		back, backOf := slices.Clone(shares), slices.Clone(of)
		slices.Reverse(back)
		slices.Reverse(backOf)
		for i, g := range backOf {
			if g >= 0 {
				backOf[i] = int32(groups) - 1 - g
			}
		}
		weigh.Fill(back, backOf, groups, p, q)
		slices.Reverse(back)
		if !slices.Equal(straight, back) {
			t.Fatalf("%v, in the other order %v", straight, back)
		}
	})
}

// The sums of the greatest network are far below where they would overflow.
func TestFillTakesTheGreatestSums(t *testing.T) {
	const n = 50_000
	shares, of := make([]uint64, n), make([]int32, n)
	for i := range shares {
		shares[i], of[i] = 1e12, int32(i%7)-1
	}
	if !weigh.Fill(shares, of, 6, 20, 1000) {
		t.Fatal("six groups of a seventh each pass under a cap of 20 permille")
	}
	s := sums(shares, of, 6)
	total := uint64(0)
	for _, x := range s {
		total += x
	}
	for g, x := range s[:6] {
		if x == 0 || x > total/50+n {
			t.Errorf("group %d holds %d of %d", g, x, total)
		}
	}
}
