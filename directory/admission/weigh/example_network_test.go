package weigh_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/admission/weigh"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// wide are the rules without caps.
func wide() *rules.Rules {
	r := old()
	r.BaseCaps = [rules.Dimensions]int{}
	for d := range r.Caps {
		r.Caps[d] = [3]int{1000, 1000, 1000}
	}
	return r
}

// aged returns a relay of that age that has been listed for as long.
func aged(i, age int, flags directory.Flags, weight uint64) admission.Relay {
	return admission.Relay{
		ID: keys.RelayID{byte(i), byte(i >> 8)}, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{byte(20 + i>>8), byte(i), 0, 1})},
		First: max(1, today-age), Age: age, Flags: usual | flags, Exits: flags.Has(directory.Exit), Weight: weight,
	}
}

// The sums 400, 200, 400 and 100 of guards, others, exits and both are a vector
// of the position weights: Wgg 8334, Wmg 1666, Wee 8333, Wme 1667, Wxd 3333. The
// sums begin at 1.
func TestAgeSplitsWeightBetweenPositions(t *testing.T) {
	const both = directory.Guard | directory.Exit
	relays := []admission.Relay{
		aged(0, 1000, directory.Guard, 399), aged(1, 1000, 0, 199), aged(2, 1000, directory.Exit, 399), aged(3, 1000, both, 99),
	}
	shares, pw := weigh.Weigh(relays, wide(), today)
	if want := directory.Weights(400, 200, 400, 100); pw != want {
		t.Fatalf("position weights %+v, want %+v", pw, want)
	}
	for i, want := range []directory.Shares{
		{399 * 1000 * 8334 / 10_000, 399 * 1000 * 1666 / 10_000, 0},
		{0, 199_000, 0},
		{0, 399 * 1000 * 1667 / 10_000, 399 * 1000 * 8333 / 10_000},
		{99 * 3333 / 10, 99 * 3333 / 10, 99 * 3333 / 10},
	} {
		if shares[i] != want {
			t.Errorf("relay %d: %v, want %v", i, shares[i], want)
		}
	}

	// On day 60 a guard carries half of it as guard, and the rest as a middle.
	// The sums, and so the weights, are the same.
	relays[0].Age = 60
	shares, _ = weigh.Weigh(relays, wide(), today)
	guard, left := uint64(399*1000*8334/10_000), uint64(399*1000*8334/20_000)
	if want := (directory.Shares{left, 399*1000*1666/10_000 + guard - left, 0}); shares[0] != want {
		t.Errorf("guard of 60 days: %v, want %v", shares[0], want)
	}

	// A voucher makes 45 days count as 90.
	relays[0].Age, relays[0].Voucher = 45, digest(1)
	shares, _ = weigh.Weigh(relays, wide(), today)
	if shares[0][directory.AsGuard] != guard {
		t.Errorf("guard of 45 days that was vouched for: %v, want %d", shares[0], guard)
	}

	// In quarantine it is a middle with a tenth, whatever its flags.
	relays[0] = aged(0, 1000, both, 400)
	relays[0].Quarantined = true
	shares, _ = weigh.Weigh(relays, wide(), today)
	if want := (directory.Shares{0, 40_000, 0}); shares[0] != want {
		t.Errorf("in quarantine: %v, want %v", shares[0], want)
	}
}

func TestRelaysThatAreNotRunningOrValidHaveNoShare(t *testing.T) {
	relays := []admission.Relay{aged(0, 1000, directory.Guard, 10), aged(1, 1000, directory.Guard, 10), aged(2, 1000, directory.Guard, 10)}
	relays[0].Flags &^= directory.Running
	relays[1].Flags &^= directory.Valid
	shares, _ := weigh.Weigh(relays, wide(), today)
	if shares[0] != (directory.Shares{}) || shares[1] != (directory.Shares{}) || shares[2] == (directory.Shares{}) {
		t.Errorf("%v", shares)
	}
	if shares, pw := weigh.Weigh(nil, wide(), today); len(shares) != 0 || pw.IsZero() {
		t.Errorf("of nobody: %v, %+v", shares, pw)
	}
}

// In a network of newcomers everybody counts by weight, and it says so.
func TestNewcomersAloneCarryANetwork(t *testing.T) {
	var relays []admission.Relay
	for i, f := range []directory.Flags{directory.Guard, 0, directory.Exit, directory.Guard | directory.Exit} {
		relays = append(relays, aged(i, 0, f, uint64(100*i)))
	}
	res := weigh.Explain(relays, old(), today)
	if res.Uncapped != [3]bool{true, true, true} {
		t.Errorf("uncapped: %v", res.Uncapped)
	}
	if want := directory.Weights(1, 101, 201, 301); res.Weights != want { // plain sums, each from 1
		t.Errorf("position weights %+v, want %+v", res.Weights, want)
	}
	for p, who := range []int{3, 1, 2} { // of both, of none, an exit
		if res.Shares[who][p] == 0 {
			t.Errorf("position %d: relay %d has nothing: %v", p, who, res.Shares)
		}
	}
	for i := range relays {
		relays[i].Weight = 0
	}
	for p, share := range weigh.Explain(relays, old(), today).Shares[3] {
		if share == 0 {
			t.Errorf("position %d: a relay of weight 0 is nothing though all are", p)
		}
	}
}

// peace is a network of n old relays at n addresses, a quarter of them exits.
func peace(n int) []admission.Relay {
	relays := make([]admission.Relay, n)
	for i := range relays {
		flags := directory.Guard
		if i%4 == 0 {
			flags = directory.Exit
		}
		relays[i] = aged(i, 200+i*2, flags, 1000)
		relays[i].AS = uint32(1 + i%100)
		relays[i].Country = string([]byte{'A', 'A' + byte(i%9)})
	}
	return relays
}

// share returns what part of a position the last n relays have, in permille.
func share(shares []directory.Shares, n int, p directory.Position) uint64 {
	var own, total uint64
	for i, s := range shares {
		total += s[p]
		if i >= len(shares)-n {
			own += s[p]
		}
	}
	return own * 1000 / max(1, total)
}

// However much an attacker brings, each way of being one has its cap.
func TestOneAttackerIsUnderTheCapOfEachDimension(t *testing.T) {
	const n = 200
	for name, tc := range map[string]struct {
		mark func(i int, x *admission.Relay)
		d    rules.Dimension
		text string // of the cut in the position of guards
	}{
		"one /16": {func(i int, x *admission.Relay) { x.Addrs[0] = netip.AddrFrom4([4]byte{9, 9, byte(i), 1}) }, rules.BySlash16, "9.9.0.0/16"},
		"one IPv6 /32": {func(i int, x *admission.Relay) {
			x.Addrs = append(x.Addrs, netip.AddrFrom16([16]byte{0x20, 1, 4: byte(i)}))
		}, rules.BySlash16, "2001::/32"},
		"one AS":            {func(_ int, x *admission.Relay) { x.AS = 7777 }, rules.ByAS, "AS7777"},
		"one country":       {func(_ int, x *admission.Relay) { x.Country = "XX" }, rules.ByCountry, "XX"},
		"one family":        {func(_ int, x *admission.Relay) { x.Family = []directory.Digest{digest(5)} }, rules.ByFamily, digest(5).String()},
		"families in chain": {func(i int, x *admission.Relay) { x.Family = []directory.Digest{digest(i + 1), digest(i + 2)} }, rules.ByFamily, least(n + 1).String()},
		"inferred":          {func(_ int, x *admission.Relay) { x.Group = digest(5) }, rules.ByGroup, digest(5).String()},
		"one wave":          {func(_ int, x *admission.Relay) { x.First, x.Age = today-300, 290 }, rules.ByCohort, "2023-12-04"},
		"young":             {func(i int, x *admission.Relay) { x.First, x.Age = today-i, 89 }, rules.ByYoung, "less than 180 days"},
	} {
		relays := peace(600)
		for i := range n {
			x := aged(10_000+i, 800, directory.Guard|directory.Exit*directory.Flags(i%2), 20_000)
			x.AS = uint32(1000 + i)
			tc.mark(i, &x)
			relays = append(relays, x)
		}
		r := old()
		res := weigh.Explain(relays, r, today)
		for p := range directory.Position(3) {
			if got, most := share(res.Shares, n, p), uint64(r.Caps[tc.d][p]); got > most {
				t.Errorf("%s: %d permille of position %d, cap %d", name, got, p, most)
			}
		}
		found := false
		for _, c := range res.Cuts {
			found = found || c.Position == directory.AsGuard && c.Dimension == tc.d && c.Group == tc.text && c.To < c.From
		}
		if !found {
			t.Errorf("%s: no cut of %v %s among %+v", name, tc.d, tc.text, res.Cuts)
		}
		if res.Unsettled != [3]bool{} {
			t.Errorf("%s: caps contradict each other: %v", name, res.Unsettled)
		}
	}
}

// least is the smallest of the first n families.
func least(n int) directory.Digest {
	first := digest(1)
	for i := range n {
		if d := digest(i + 1); bytes.Compare(d[:], first[:]) < 0 {
			first = d
		}
	}
	return first
}

// The most that one bad operator can let in over three years, each with twenty
// times the weight of others: all of them share one cap, the root's.
func TestSubtreeOfAVoucherIsUnderItsCap(t *testing.T) {
	r, relays := old(), peace(600)
	relays[1].Family = []directory.Digest{digest(1)} // the root
	relays[1].First, relays[1].Age = today-1500, 1500
	vouchers, honest := []admission.Voucher(nil), len(relays)
	var vouch func(by, since, depth int) // since: days ago
	vouch = func(by, since, depth int) {
		for ; since >= 0 && depth < r.Vouch.Depth; since -= r.Vouch.Every {
			child := len(relays)
			x := aged(child, since, directory.Guard|directory.Exit*directory.Flags(child%2), 20_000)
			x.Family = []directory.Digest{digest(child)}
			relays = append(relays, x)
			vouchers = append(vouchers, admission.Voucher{By: digest(by), For: x.ID, Day: today - since})
			vouch(child, since-r.Vouch.Age, depth+1)
		}
	}
	vouch(1, 3*365, 0)
	letIn := admission.Vouched(relays, vouchers, today, nil, r)
	for i := range relays {
		relays[i].Voucher = letIn[relays[i].ID]
	}
	bad := len(relays) - honest
	if len(letIn) != bad || bad < 200 {
		t.Fatalf("%d of %d are let in", len(letIn), bad)
	}
	res := weigh.Explain(relays, r, today)
	for p := range directory.Position(3) {
		if got, most := share(res.Shares, bad, p), uint64(r.Caps[rules.ByVoucher][p]); got > most || got < most/2 {
			t.Errorf("%d permille of position %d, cap %d", got, p, most)
		}
	}
}

func TestGreatestNetworkDoesNotOverflow(t *testing.T) {
	relays := make([]admission.Relay, directory.MaxRelays)
	for i := range relays {
		relays[i] = aged(i, 5000, directory.Guard, directory.MaxWeight)
	}
	r := old()
	r.Caps[rules.BySlash16] = [3]int{1, 1, 1}
	res := weigh.Explain(relays, r, today)
	for i := range relays {
		if s := res.Shares[i]; s[0] == 0 || s[0] != res.Shares[0][0] || s[0]+s[1] > directory.MaxWeight*1000 {
			t.Fatalf("relay %d has %v, relay 0 %v", i, s, res.Shares[0])
		}
	}
}

// The position weights of a consensus of the live network of 2017 follow from its
// relays, as its authorities computed them.
func TestPositionWeightsOfARealConsensus(t *testing.T) {
	relays := population(t, "consensus-2017-03-10")
	_, pw := weigh.Weigh(relays, wide(), today)
	b, err := os.ReadFile(data + "consensus-2017-03-10.json")
	if err != nil {
		t.Skip(err)
	}
	var doc struct {
		Weights map[string]uint32 `json:"bandwidth-weights"`
	}
	if err := json.Unmarshal(b, &doc); err != nil || len(doc.Weights) == 0 {
		t.Fatalf("no weights: %v", err)
	}
	for name, got := range map[string]uint32{"Wgg": pw.Wgg, "Wmg": pw.Wmg, "Wee": pw.Wee, "Wme": pw.Wme, "Wgd": pw.Wgd, "Wmd": pw.Wmd, "Wed": pw.Wed} {
		if want, ok := doc.Weights[name]; !ok || got != want {
			t.Errorf("%s = %d, want %d", name, got, want)
		}
	}
}

const data = "../../../../shared/data/" // real populations, beside the checkout

// population reads relays of full age.
func population(t *testing.T, name string) []admission.Relay {
	t.Helper()
	var relays []admission.Relay
	for i, line := range readTable(t, data+name+".tsv.gz") {
		x := aged(i, 5000, 0, line.weight)
		for _, f := range strings.Split(line.flags, ",") {
			switch f {
			case "Guard":
				x.Flags |= directory.Guard
			case "Exit":
				x.Flags |= directory.Exit
			}
		}
		if strings.Contains(line.flags, "BadExit") {
			x.Flags &^= directory.Exit
		}
		x.Addrs = []netip.Addr{line.addr}
		x.Exits = x.Flags.Has(directory.Exit)
		relays = append(relays, x)
	}
	return relays
}

// Caps cost an honest network without an attacker little: all of it is placed,
// and they settle.
func TestCapsOnARealConsensus(t *testing.T) {
	relays := population(t, "consensus-2017-03-10")
	start := time.Now()
	free, capped := weigh.Explain(relays, wide(), today), weigh.Explain(relays, old(), today)
	t.Logf("%d relays twice in %v, %d groups cut", len(relays), time.Since(start), len(capped.Cuts))
	for p := range directory.Position(3) {
		var before, after uint64
		for i := range relays {
			before, after = before+free.Shares[i][p], after+capped.Shares[i][p]
		}
		if capped.Unsettled[p] || capped.Uncapped[p] || after*100 < before*85 {
			t.Errorf("position %d: %d of %d left (unsettled %v)", p, after, before, capped.Unsettled[p])
		}
	}
}

// Where an honest network is of few families and ranges, a relay of next to no
// weight that is outside of them gains nothing by it.
func TestBeingAloneIsNoLever(t *testing.T) {
	for name, mark := range map[string]func(i int, x *admission.Relay){
		"families": func(i int, x *admission.Relay) { x.Family = []directory.Digest{digest(1 + i%3)} },
		"ranges of IPv6": func(i int, x *admission.Relay) {
			x.Addrs = append(x.Addrs, netip.AddrFrom16([16]byte{0x20, 1, 3: byte(i % 3), 15: byte(i)}))
		},
		"known providers": func(i int, x *admission.Relay) { x.AS = uint32(1 + i%3) },
		"known countries": func(i int, x *admission.Relay) { x.Country = []string{"DE", "FR"}[i%2] },
		"newcomers":       func(_ int, x *admission.Relay) { x.First, x.Age = today-100, 89 },
	} {
		var relays []admission.Relay
		for i := range 12 {
			x := aged(i, 1000+40*i, directory.Guard|directory.Exit, 1000)
			mark(i, &x)
			relays = append(relays, x)
		}
		relays = append(relays, aged(50, 1000, directory.Guard|directory.Exit, 1))
		shares, _ := weigh.Weigh(relays, rules.Of(nil, []string{rules.Small}, 0, 10*365*24*time.Hour), today)
		for p := range directory.Position(3) {
			if got := share(shares, 1, p); got > 1 {
				t.Errorf("outside of all %s: a relay of 1 kB/s has %d permille of position %d", name, got, p)
			}
		}
	}
}
