package admission

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// A Voucher says that an operator, known by a family, vouches for a relay.
type Voucher struct {
	By  directory.Digest
	For keys.RelayID
	Day int // on which the authorities first saw it, whatever its signer claims
}

// Vouched returns for each relay that a voucher lets in sooner the family that
// vouched for it.
//
// An operator of depth 0 has a relay that served Vouch.Age days and that nobody
// vouched for; one whose only such relays were let in by others is one deeper
// than they. Operators of depth Vouch.Depth vouch for nobody, and nobody does
// before the day on which it can first have served so long: since it was first
// listed, or else since it was let in. Each spends tokens ([purse]); vouchers are taken in
// the order of depth, then Day, By and For. One for a relay that is let in
// already, or for one's own, lets nobody in and costs nothing.
//
// findings has the day of the latest finding against a family or against a
// relay, whose key is its identity. It freezes the tokens of the operator found
// against and of whoever vouched for it.
func Vouched(relays []Relay, vouchers []Voucher, today int, findings map[directory.Digest]int, r *rules.Rules) map[keys.RelayID]directory.Digest {
	v := newVouching(relays, vouchers, today, findings, r)
	for depth := range r.Vouch.Depth {
		if !v.level(depth) {
			break
		}
	}
	return v.letIn
}

// vouching is the work of one call.
type vouching struct {
	relays   []Relay
	vouchers []Voucher // ascending by Day, By, For
	today    int
	rules    *rules.Rules
	ops      *operators
	byID     map[keys.RelayID]int
	purses   []purse // by operator
	depth    []int   // by operator, unreached: not known yet
	letIn    map[keys.RelayID]directory.Digest
}

const unreached = math.MaxInt

func newVouching(relays []Relay, vouchers []Voucher, today int, findings map[directory.Digest]int, r *rules.Rules) *vouching {
	v := &vouching{
		relays: relays, vouchers: slices.Clone(vouchers), today: today, rules: r,
		ops:   operatorsOf(relays),
		byID:  make(map[keys.RelayID]int, len(relays)),
		letIn: map[keys.RelayID]directory.Digest{},
	}
	slices.SortFunc(v.vouchers, compareVoucher)
	for i := range relays {
		v.byID[relays[i].ID] = i
	}
	v.purses, v.depth = make([]purse, v.ops.n), make([]int, v.ops.n)
	for o := range v.depth {
		v.depth[o] = unreached
	}
	v.seed()
	v.freeze(findings)
	return v
}

func compareVoucher(a, b Voucher) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), bytes.Compare(a.By[:], b.By[:]), bytes.Compare(a.For[:], b.For[:]))
}

// seed finds the operators of depth 0. A relay that carries a voucher, good or
// not, makes nobody one: it asked to be let in by others.
func (v *vouching) seed() {
	carries := map[keys.RelayID]bool{}
	for i := range v.vouchers {
		carries[v.vouchers[i].For] = true
	}
	for i := range v.relays {
		o := v.ops.of[i]
		if o == none || carries[v.relays[i].ID] {
			continue
		}
		first := v.relays[i].First
		if first <= 0 {
			first = v.today - v.relays[i].Age
		}
		v.stand(o, 0, v.relays[i].Age, first)
	}
}

// stand notes that an operator has served so many days at that depth. Only those
// since a day count.
func (v *vouching) stand(o int32, depth, served, since int) {
	if served < v.rules.Vouch.Age || v.depth[o] < depth {
		return
	}
	p := &v.purses[o]
	if v.depth[o] == unreached {
		p.from = math.MaxInt
	}
	v.depth[o] = depth
	p.served = max(p.served, served)
	p.from = min(p.from, since+v.rules.Vouch.Age)
}

// freeze notes on which days which purses were frozen.
func (v *vouching) freeze(findings map[directory.Digest]int) {
	if len(findings) == 0 {
		return
	}
	against := func(o int32, day int) {
		if o != none {
			v.purses[o].frozen = append(v.purses[o].frozen, day)
		}
	}
	for i := range v.relays {
		if day, ok := findings[directory.Digest(v.relays[i].ID)]; ok {
			against(v.ops.of[i], day)
		}
	}
	for family, day := range findings {
		against(v.ops.byFamily(family), day)
	}
	for _, x := range v.vouchers {
		i, ok := v.byID[x.For]
		if !ok {
			continue
		}
		by := v.ops.byFamily(x.By)
		for _, key := range append([]directory.Digest{directory.Digest(x.For)}, v.relays[i].Family...) {
			if day, ok := findings[key]; ok {
				against(by, day)
			}
		}
	}
	for o := range v.purses {
		slices.Sort(v.purses[o].frozen)
		v.purses[o].frozen = slices.Compact(v.purses[o].frozen)
	}
}

// level takes the vouchers of the operators of one depth, and reports whether
// they let anybody in.
func (v *vouching) level(depth int) bool {
	var taken []Voucher
	for _, x := range v.vouchers {
		o := v.ops.byFamily(x.By)
		if o == none || v.depth[o] != depth || x.Day > v.today {
			continue
		}
		i, known := v.byID[x.For]
		if _, already := v.letIn[x.For]; already || !known || v.ops.of[i] == o {
			continue
		}
		if v.purses[o].spend(x.Day, v.rules) {
			v.letIn[x.For] = x.By
			taken = append(taken, x)
		}
	}
	for _, x := range taken {
		i := v.byID[x.For]
		if o := v.ops.of[i]; o != none {
			v.stand(o, depth+1, v.relays[i].Age, x.Day)
		}
	}
	return len(taken) > 0
}
