package admission_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// family is the n-th operator's.
func family(n int) directory.Digest { return directory.Digest{1, byte(n >> 8), byte(n)} }

// member is a relay of that family and age, listed for as long.
func member(i, fam, age int) admission.Relay {
	r := relay(i, today-age, "192.0.2.1")
	if fam > 0 {
		r.Family = []directory.Digest{family(fam)}
	}
	return r
}

func id(i int) keys.RelayID { return relay(i, 1, "192.0.2.1").ID }

// by is a voucher given that many days ago.
func by(fam, relay, daysAgo int) admission.Voucher {
	return admission.Voucher{By: family(fam), For: id(relay), Day: today - daysAgo}
}

func TestVouched(t *testing.T) {
	found := func(key directory.Digest, daysAgo int) map[directory.Digest]int {
		return map[directory.Digest]int{key: today - daysAgo}
	}
	eldest := member(1, 1, 1000)
	for _, tc := range []struct {
		what     string
		relays   []admission.Relay
		vouchers []admission.Voucher
		findings map[directory.Digest]int
		want     []int // relays let in
	}{
		{"one", []admission.Relay{eldest, member(2, 0, 5)}, []admission.Voucher{by(1, 2, 5)}, nil, []int{2}},
		{"too young an operator", []admission.Relay{member(1, 1, 179), member(2, 0, 5)}, []admission.Voucher{by(1, 2, 0)}, nil, nil},
		{"an operator on its first day", []admission.Relay{member(1, 1, 180), member(2, 0, 5)}, []admission.Voucher{by(1, 2, 0)}, nil, []int{2}},
		{"before it might", []admission.Relay{member(1, 1, 200), member(2, 0, 30)}, []admission.Voucher{by(1, 2, 21)}, nil, nil},
		{"on the day it might", []admission.Relay{member(1, 1, 200), member(2, 0, 30)}, []admission.Voucher{by(1, 2, 20)}, nil, []int{2}},
		{"nobody's family", []admission.Relay{member(2, 0, 5)}, []admission.Voucher{by(9, 2, 0)}, nil, nil},
		{"an unknown relay", []admission.Relay{eldest}, []admission.Voucher{by(1, 2, 0)}, nil, nil},
		{"itself", []admission.Relay{eldest, member(2, 1, 5)}, []admission.Voucher{by(1, 2, 0)}, nil, nil},
		{"from tomorrow", []admission.Relay{eldest, member(2, 0, 5)}, []admission.Voucher{by(1, 2, -1)}, nil, nil},
		{"three at once, two tokens", []admission.Relay{eldest, member(2, 0, 5), member(3, 0, 5), member(4, 0, 5)},
			[]admission.Voucher{by(1, 4, 5), by(1, 3, 5), by(1, 2, 5)}, nil, []int{2, 3}},
		{"the third when a token was earned", []admission.Relay{eldest, member(2, 0, 95), member(3, 0, 95), member(4, 0, 95)},
			[]admission.Voucher{by(1, 2, 95), by(1, 3, 95), by(1, 4, 5)}, nil, []int{2, 3, 4}},
		{"a day before that", []admission.Relay{eldest, member(2, 0, 95), member(3, 0, 95), member(4, 0, 95)},
			[]admission.Voucher{by(1, 2, 95), by(1, 3, 95), by(1, 4, 6)}, nil, []int{2, 3}},
		{"one token in the first 90 days", []admission.Relay{member(1, 1, 269), member(2, 0, 5), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 5), by(1, 3, 5)}, nil, []int{2}},
		{"one token in the first 90 days, however late they are judged", []admission.Relay{member(1, 1, 280), member(2, 0, 100), member(3, 0, 100)},
			[]admission.Voucher{by(1, 2, 100), by(1, 3, 100)}, nil, []int{2}},
		{"one token for 90 days served", []admission.Relay{{ID: id(1), Family: []directory.Digest{family(1)}, First: 1, Age: 269}, member(2, 0, 5), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 5), by(1, 3, 5)}, nil, []int{2}},
		{"a child of long standing that did not serve", []admission.Relay{eldest, {ID: id(2), Family: []directory.Digest{family(2)}, First: today - 300, Age: 179}, member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 300), by(2, 3, 5)}, nil, []int{2}},
		{"two keys are one operator", []admission.Relay{eldest, {ID: id(7), Family: []directory.Digest{family(1), family(2)}, First: 1, Age: 1000}, member(2, 0, 5), member(3, 0, 5), member(4, 0, 5)},
			[]admission.Voucher{by(1, 2, 5), by(2, 3, 5), by(2, 4, 5)}, nil, []int{2, 3}},
		{"twice for one costs one", []admission.Relay{eldest, member(2, 0, 5), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 6), by(1, 2, 5), by(1, 3, 4)}, nil, []int{2, 3}},
		{"a child of age", []admission.Relay{eldest, member(2, 2, 300), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 300), by(2, 3, 5)}, nil, []int{2, 3}},
		{"a child whose voucher is young", []admission.Relay{eldest, member(2, 2, 300), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 100), by(2, 3, 5)}, nil, []int{2}},
		{"who carries a void voucher is no root", []admission.Relay{member(2, 2, 300), member(3, 0, 5)},
			[]admission.Voucher{by(9, 2, 300), by(2, 3, 5)}, nil, nil},
		{"a chain of four", []admission.Relay{member(1, 1, 3000), member(2, 2, 900), member(3, 3, 700), member(4, 4, 500), member(5, 5, 300)},
			[]admission.Voucher{by(1, 2, 900), by(2, 3, 700), by(3, 4, 500), by(4, 5, 300)}, nil, []int{2, 3, 4}},
		{"a circle", []admission.Relay{member(2, 2, 900), member(3, 3, 900)}, []admission.Voucher{by(2, 3, 300), by(3, 2, 300)}, nil, nil},
		{"a finding against a child", []admission.Relay{eldest, member(2, 2, 50), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 50), by(1, 3, 5)}, found(directory.Digest(id(2)), 10), []int{2}},
		{"against its family", []admission.Relay{eldest, member(2, 2, 50), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 50), by(1, 3, 5)}, found(family(2), 10), []int{2}},
		{"after the voucher", []admission.Relay{eldest, member(2, 2, 50), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 50), by(1, 3, 5)}, found(family(2), 4), []int{2, 3}},
		{"a year ago", []admission.Relay{eldest, member(2, 2, 500), member(3, 0, 5)},
			[]admission.Voucher{by(1, 2, 500), by(1, 3, 5)}, found(family(2), 370), []int{2, 3}},
		{"against the operator", []admission.Relay{eldest, member(2, 0, 5)}, []admission.Voucher{by(1, 2, 5)}, found(family(1), 10), nil},
		{"against its relay", []admission.Relay{eldest, member(2, 0, 5)}, []admission.Voucher{by(1, 2, 5)}, found(directory.Digest(id(1)), 10), nil},
	} {
		got := admission.Vouched(tc.relays, tc.vouchers, today, tc.findings, old())
		want := map[keys.RelayID]bool{}
		for _, i := range tc.want {
			want[id(i)] = true
		}
		if len(got) != len(want) || !maps.EqualFunc(want, got, func(bool, directory.Digest) bool { return true }) {
			t.Errorf("%s: %d let in, want %v: %v", tc.what, len(got), tc.want, got)
		}
	}
}

// A frozen year earns no tokens: after it there is what was left before.
func TestFrozenDaysEarnNothing(t *testing.T) {
	relays := []admission.Relay{member(1, 1, 1000)}
	for i := range 6 {
		relays = append(relays, member(2+i, 0, 400))
	}
	vouchers := []admission.Voucher{by(1, 2, 400), by(1, 3, 400), by(1, 4, 30), by(1, 5, 30)}
	if got := admission.Vouched(relays, vouchers, today, nil, old()); len(got) != 4 {
		t.Errorf("without a finding %d are let in, want 4", len(got))
	}
	findings := map[directory.Digest]int{directory.Digest(id(2)): today - 399}
	if got := admission.Vouched(relays, vouchers, today, findings, old()); len(got) != 2 {
		t.Errorf("after a frozen year %d are let in, want 2", len(got))
	}
}

// most is how many an operator that might vouch since t days lets in at most, it
// and those that it let in, by the text of the specification.
func most(r *rules.Rules, t, depth int) int {
	if t < 0 || depth == r.Vouch.Depth {
		return 0
	}
	n := 0
	for j := 1; j <= 1+t/r.Vouch.Every; j++ {
		n += 1 + most(r, t-(j-1)*r.Vouch.Every-r.Vouch.Age, depth+1)
	}
	return n
}

// Whatever one bad operator and all whom it lets in sign, on whatever days, they
// let in a bounded number.
func TestOneBadVoucherLetsInABoundedNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := old()
		r.Vouch.Stock, r.Vouch.Depth = rapid.IntRange(1, 4).Draw(t, "stock"), rapid.IntRange(1, 4).Draw(t, "depth")
		r.Vouch.Age, r.Vouch.Every = rapid.IntRange(0, 200).Draw(t, "age"), rapid.IntRange(20, 200).Draw(t, "every")
		root := rapid.IntRange(r.Vouch.Age, 900).Draw(t, "root")
		relays := []admission.Relay{member(1, 1, root)}
		for i := range rapid.IntRange(1, 80).Draw(t, "newcomers") {
			x := member(2+i, 2+i, rapid.IntRange(0, 2000).Draw(t, "newcomer"))
			relays = append(relays, x)
		}
		var vouchers []admission.Voucher
		for i := range relays { // all carry a voucher but the root: else they would be roots by themselves
			if i == 0 {
				continue
			}
			from := rapid.IntRange(1, i).Draw(t, "by")
			vouchers = append(vouchers, by(from, 2+i-1, rapid.IntRange(0, root).Draw(t, "ago")))
		}
		for range rapid.IntRange(0, 200).Draw(t, "more") {
			vouchers = append(vouchers, by(rapid.IntRange(1, len(relays)).Draw(t, "by"), rapid.IntRange(2, len(relays)).Draw(t, "for"), rapid.IntRange(0, root).Draw(t, "ago")))
		}
		got := admission.Vouched(relays, vouchers, today, nil, r)
		if bound := most(r, root-r.Vouch.Age, 0); len(got) > bound {
			t.Fatalf("%d are let in, at most %d may be", len(got), bound)
		}
		mixed := rapid.Permutation(vouchers).Draw(t, "order")
		slices.Reverse(relays)
		if again := admission.Vouched(relays, mixed, today, nil, r); !maps.Equal(got, again) {
			t.Fatalf("%v, in another order %v", got, again)
		}
	})
}

// Who uses all tokens on the first day possible comes up to the bound: so many
// relays in one, two and three years, with the default parameters.
func TestBoundOfOneBadVoucherIsReached(t *testing.T) {
	r := old()
	for _, tc := range []struct{ years, want int }{{1, 12}, {2, 72}, {3, 244}} {
		days := 365 * tc.years
		relays, vouchers := []admission.Relay{member(1, 1, days+r.Vouch.Age)}, []admission.Voucher(nil)
		next := 1
		var vouch func(fam, since, depth int) // since: days ago
		vouch = func(fam, since, depth int) {
			for j := 0; since-j*r.Vouch.Every >= 0 && depth < r.Vouch.Depth; j++ {
				next++
				child, ago := next, since-j*r.Vouch.Every
				relays = append(relays, member(child, child, ago))
				vouchers = append(vouchers, by(fam, child, ago))
				vouch(child, ago-r.Vouch.Age, depth+1)
			}
		}
		vouch(1, days, 0)
		got := len(admission.Vouched(relays, vouchers, today, nil, r))
		if bound := most(r, days, 0); got != tc.want || got != bound {
			t.Errorf("in %d years %d are let in, want %d, bound %d", tc.years, got, tc.want, bound)
		}
	}
}

func TestRootsFollowTheChain(t *testing.T) {
	vouched := func(x admission.Relay, by int) admission.Relay {
		x.Voucher = family(by)
		return x
	}
	relays := []admission.Relay{
		member(1, 1, 1000),
		vouched(member(2, 2, 300), 1), vouched(member(3, 3, 100), 2), vouched(member(4, 0, 5), 3),
		vouched(member(5, 0, 5), 99),                             // by nobody known
		vouched(member(6, 6, 5), 7), vouched(member(7, 7, 5), 6), // a circle
		vouched(member(8, 8, 5), 1), member(9, 8, 400), // one of its own of age
		vouched(member(10, 0, 5), 8),                      // so this is its own tree
		vouched(member(11, 11, 5), 1), member(12, 11, 20), // its own one is too young
		vouched(member(13, 0, 5), 11),
	}
	got := admission.Roots(relays, old())
	for i, want := range []int{0, 1, 1, 1, 99, 7, 6, 1, 0, 8, 1, 0, 1} {
		if want == 0 && !got[i].IsZero() || want != 0 && got[i] != family(want) {
			t.Errorf("relay %d has the root %v, want family %d", i+1, got[i], want)
		}
	}
}
