package weigh_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/admission/weigh"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

const (
	today = 20_000
	usual = directory.Running | directory.Valid
)

// old are the rules of a network that is not young and not small.
func old() *rules.Rules { return rules.Of(nil, nil, 0, 10*365*24*time.Hour) }

// digest is the n-th family.
func digest(n int) directory.Digest {
	return directory.Digest{31: byte(n), 30: byte(n >> 8), 0: byte(n * 37)}
}

// drawRelay draws one whose attributes are often those of others.
func drawRelay(t *rapid.T, i int) admission.Relay {
	small := func(what string, most int) int { return rapid.IntRange(0, most).Draw(t, what) }
	x := admission.Relay{
		ID:          keys.RelayID{0: byte(i), 1: byte(i >> 8)},
		Addrs:       []netip.Addr{netip.AddrFrom4([4]byte{10, byte(small("a", 5)), byte(small("b", 3)), byte(i)})},
		AS:          uint32(small("as", 6)),
		Country:     rapid.SampledFrom([]string{"", "DE", "FR", "NL"}).Draw(t, "country"),
		First:       today - rapid.OneOf(rapid.IntRange(-10, 100), rapid.IntRange(0, 3*today)).Draw(t, "listed"),
		Age:         rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, 3000)).Draw(t, "age"),
		Flags:       usual | directory.Flags(rapid.Uint16Range(0, uint16(directory.AllFlags)).Draw(t, "flags"))&^(directory.Flags(small("broken", 20))/20*directory.Valid),
		Exits:       rapid.Bool().Draw(t, "exits"),
		Weight:      rapid.OneOf(rapid.Uint64Range(0, 10), rapid.Uint64Range(0, 100_000), rapid.Uint64Range(0, directory.MaxWeight)).Draw(t, "weight"),
		Quarantined: small("quarantined", 9) == 0,
	}
	if rapid.Bool().Draw(t, "v6") {
		x.Addrs = append(x.Addrs, netip.AddrFrom16([16]byte{0x20, 1, 0, byte(small("c", 3)), 0, byte(small("d", 3)), 15: byte(i)}))
	}
	for _, f := range rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 0, 2, rapid.ID).Draw(t, "families") {
		x.Family = append(x.Family, digest(f))
	}
	if g := small("group", 8); g < 3 {
		x.Group = digest(100 + g)
	}
	if v := small("voucher", 20); v > 0 && v < 10 {
		x.Voucher = digest(v)
	}
	return x
}

// drawNetwork draws relays with rules.
func drawNetwork(t *rapid.T) ([]admission.Relay, *rules.Rules) {
	relays := make([]admission.Relay, rapid.IntRange(0, 40).Draw(t, "relays"))
	for i := range relays {
		relays[i] = drawRelay(t, i)
	}
	var relaxed []string
	for _, name := range []string{rules.Small, rules.Test, rules.Young} {
		if rapid.IntRange(0, 3).Draw(t, name) == 0 {
			relaxed = append(relaxed, name)
		}
	}
	r := rules.Of(nil, relaxed, 0, time.Duration(rapid.IntRange(0, 1000).Draw(t, "days"))*24*time.Hour)
	if rapid.Bool().Draw(t, "other caps") {
		for d := range r.Caps {
			for p := range r.Caps[d] {
				r.Caps[d][p] = rapid.IntRange(1, 1000).Draw(t, "cap")
			}
		}
	}
	return relays, r
}

func TestWeighIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		relays, r := drawNetwork(t)
		got, weights := weigh.Weigh(relays, r, today)
		want, wantWeights := newModel(relays, r, today).weigh()
		if weights != wantWeights {
			t.Fatalf("position weights %+v, want %+v", weights, wantWeights)
		}
		for i := range relays {
			if got[i] != want[relays[i].ID] {
				t.Fatalf("relay %d has %v, want %v\n%+v", i, got[i], want[relays[i].ID], relays[i])
			}
		}
	})
}

func TestWeighDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		relays, r := drawNetwork(t)
		straight := weigh.Explain(relays, r, today)
		order := rapid.Permutation(indices(len(relays))).Draw(t, "order")
		mixed := make([]admission.Relay, len(relays))
		for i, k := range order {
			mixed[i] = relays[k]
		}
		other := weigh.Explain(mixed, r, today)
		for i, k := range order {
			if other.Shares[i] != straight.Shares[k] {
				t.Fatalf("relay %d has %v, in another order %v", k, straight.Shares[k], other.Shares[i])
			}
		}
		if other.Weights != straight.Weights || !slices.Equal(other.Cuts, straight.Cuts) {
			t.Fatalf("%+v, in another order %+v", straight, other)
		}
	})
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// Whoever may stand in a position at all, a network has somebody there; and
// nobody stands where it may not.
func TestWeighLeavesNoPositionEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		relays, r := drawNetwork(t)
		shares, _ := weigh.Weigh(relays, r, today)
		var fit, has [3]bool
		for i, x := range relays {
			up := x.Flags.Has(usual)
			may := [3]bool{up && !x.Quarantined && x.Flags.Has(directory.Guard), up, up && !x.Quarantined && x.Exits}
			for p, share := range shares[i] {
				fit[p] = fit[p] || may[p] && (p != 1 || !x.Quarantined || r.Detection.Weight > 0)
				has[p] = has[p] || share > 0
				if share > 0 && !may[p] {
					t.Fatalf("relay %d has a share of position %d: %+v", i, p, x)
				}
			}
		}
		if fit != has {
			t.Fatalf("positions that somebody could take %v, with shares %v", fit, has)
		}
	})
}

// Caps only take away, and what they leave is under each of them, unless a
// fallback of the dimension applies.
func TestCapsOnlyTakeAwayAndHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		relays, r := drawNetwork(t)
		res := weigh.Explain(relays, r, today)
		shares := res.Shares
		wide := *r
		for d := range wide.Caps {
			wide.Caps[d] = [3]int{1000, 1000, 1000}
		}
		free := weigh.Explain(relays, &wide, today)
		m := newModel(relays, r, today)
		for p := range 3 {
			var own []uint64
			for i := range relays {
				if shares[i][p] > free.Shares[i][p] {
					t.Fatalf("relay %d has %d in position %d, without caps %d", i, shares[i][p], p, free.Shares[i][p])
				}
				if relays[i].Flags.Has(usual) {
					own = append(own, shares[i][p])
				}
			}
			if !res.Uncapped[p] && !res.Unsettled[p] {
				m.underCaps(t, own, p)
			}
		}
	})
}

// underCaps checks each group of each dimension.
func (m *model) underCaps(t *rapid.T, shares []uint64, p int) {
	for d := range rules.Dimensions {
		for _, name := range m.names[d] {
			sums, total, loose := map[string]uint64{}, uint64(0), uint64(0)
			for i, s := range shares {
				total += s
				if g := name(i, p); g == "" {
					loose += min(s, 1)
				} else if s > 0 {
					sums[g] += s
				}
			}
			most := part(total, uint64(m.r.Caps[d][p]), 1000)
			if d == rules.ByAS || d == rules.ByCountry {
				loose = min(loose, 1)
			}
			if n := uint64(len(sums)) + loose; n > 0 { // too few groups
				most = max(most, 2*total/n)
			}
			rest, above := total, ""
			for g, s := range sums {
				if s > most+most>>10+1000 { // a share may lose 1 in each round
					rest, above = rest-s, g
				}
			}
			// Where the rest is next to nothing, the level may be 0: nothing is cut to that.
			if above != "" && part(rest, uint64(m.r.Caps[d][p]), 1000) > 1000 {
				t.Fatalf("%v %q holds %d of %d in position %d, cap %d permille", d, above, sums[above], total, p, m.r.Caps[d][p])
			}
		}
	}
}
