package weigh_test

import (
	"math/big"
	"net/netip"
	"slices"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// What follows is a slow model of docs/protocol.md, "Shares of positions":
// rational numbers of any size, maps of names, no code in common with what ships
// but the position weights. It works one relay and one group at a time.

type model struct {
	relays []admission.Relay
	r      *rules.Rules
	today  int
	names  map[rules.Dimension][]func(i, p int) string // a group's name, "" for none
}

func newModel(relays []admission.Relay, r *rules.Rules, today int) *model {
	m := &model{r: r, today: today}
	for _, x := range relays {
		if x.Flags&directory.Running != 0 && x.Flags&directory.Valid != 0 {
			m.relays = append(m.relays, x)
		}
	}
	ops, roots := make([]string, len(m.relays)), make([]string, len(m.relays))
	for i := range m.relays {
		ops[i], roots[i] = m.operator(m.relays[i].Family), m.root(&m.relays[i])
	}
	ranges := func(bits4, bits6 int) []func(i, p int) string {
		return []func(i, p int) string{
			func(i, _ int) string { return rangeOf(m.relays[i].Addrs, true, bits4) },
			func(i, _ int) string { return rangeOf(m.relays[i].Addrs, false, bits6) },
		}
	}
	one := func(f func(x *admission.Relay) string) []func(i, p int) string {
		return []func(i, p int) string{func(i, _ int) string { return f(&m.relays[i]) }}
	}
	m.names = map[rules.Dimension][]func(i, p int) string{
		rules.BySlash24: ranges(24, 48), rules.BySlash16: ranges(16, 32),
		rules.ByAS: one(func(x *admission.Relay) string {
			if x.AS == 0 {
				return ""
			}
			return big.NewInt(int64(x.AS)).String()
		}),
		rules.ByCountry: one(func(x *admission.Relay) string { return x.Country }),
		rules.ByFamily:  {func(i, _ int) string { return ops[i] }},
		rules.ByGroup:   one(func(x *admission.Relay) string { return nameOf(x.Group) }),
		rules.ByVoucher: {func(i, _ int) string { return roots[i] }},
		rules.ByYoung: {func(i, p int) string {
			if r.AgeOf(m.relays[i].Age) < r.YoungDays[p] {
				return "young"
			}
			return ""
		}},
		rules.ByCohort: one(m.cohort),
	}
	return m
}

func rangeOf(addrs []netip.Addr, four bool, bits int) string {
	for _, a := range addrs {
		if a.Is4() == four {
			return netip.PrefixFrom(a, bits).Masked().String()
		}
	}
	return ""
}

func nameOf(d directory.Digest) string {
	if d == (directory.Digest{}) {
		return ""
	}
	return string(d[:])
}

// operator is the smallest family that can be reached from these through relays.
func (m *model) operator(families []directory.Digest) string {
	reached := map[directory.Digest]bool{}
	for _, f := range families {
		reached[f] = true
	}
	for grew := true; grew; {
		grew = false
		for _, x := range m.relays {
			if slices.ContainsFunc(x.Family, func(f directory.Digest) bool { return reached[f] }) {
				for _, f := range x.Family {
					grew = grew || !reached[f]
					reached[f] = true
				}
			}
		}
	}
	least := ""
	for f := range reached {
		if n := nameOf(f); least == "" || n < least {
			least = n
		}
	}
	return least
}

func (m *model) root(x *admission.Relay) string {
	if x.Voucher == (directory.Digest{}) {
		return ""
	}
	op := m.operator([]directory.Digest{x.Voucher})
	for step := 0; ; step++ {
		above, stands := "", false
		for _, y := range m.relays {
			if len(y.Family) == 0 || m.operator(y.Family) != op {
				continue
			}
			if v := nameOf(y.Voucher); v == "" {
				stands = stands || y.Age >= m.r.Vouch.Age
			} else if above == "" || v < above {
				above = v
			}
		}
		if stands || above == "" {
			return op
		}
		if step == 15 {
			return m.operator([]directory.Digest{x.Voucher})
		}
		op = m.operator([]directory.Digest{directory.Digest([]byte(above))})
	}
}

func (m *model) cohort(x *admission.Relay) string {
	if m.r.AgeOf(x.Age) >= m.r.CohortAge {
		return ""
	}
	first := x.First
	if first < 1 || first > m.today {
		first = m.today
	}
	name := big.NewInt(int64(first / m.r.EpochDays)).String()
	if nameOf(x.Voucher) != "" {
		name += " vouched"
	}
	return name
}

func n(x int) *big.Int { return big.NewInt(int64(x)) }

// ratio is x·p/q, truncated.
func ratio(x, p, q *big.Int) *big.Int {
	y := new(big.Int).Mul(x, p)
	return y.Quo(y, q)
}

func (m *model) ramp(x *admission.Relay, p int) *big.Int {
	days := m.r.AgeOf(x.Age)
	if nameOf(x.Voucher) != "" {
		days = days * 1000 / m.r.Vouch.SpeedUp
	}
	at := func(p int) int {
		r := m.r.Ramps[p]
		switch {
		case days < r.From:
			return 0
		case days >= r.Full:
			return 1000
		}
		return r.Start + (1000-r.Start)*(days-r.From)/(r.Full-r.From)
	}
	return n(min(at(p), at(1)))
}

// cap cuts one dimension; unknown relays are together at most one group.
func (m *model) cap(w []*big.Int, name func(i int) string, permille int, unknown bool) bool {
	p, q := n(permille), n(1000)
	sums, total, loose := map[string]*big.Int{}, n(0), 0
	for i, x := range w {
		if x.Sign() == 0 {
			continue
		}
		total.Add(total, x)
		if name(i) == "" {
			loose++
			continue
		}
		if sums[name(i)] == nil {
			sums[name(i)] = n(0)
		}
		sums[name(i)].Add(sums[name(i)], x)
	}
	if unknown {
		loose = min(loose, 1)
	}
	if 2000 > permille*(len(sums)+loose) {
		p, q = n(2), n(len(sums)+loose)
	}
	if p.Cmp(q) >= 0 {
		return false
	}
	cut, rest := map[string]bool{}, new(big.Int).Set(total)
	for {
		divisor := new(big.Int).Sub(q, new(big.Int).Mul(n(len(cut)), p))
		level := ratio(rest, p, divisor)
		greatest := ""
		for g, s := range sums {
			if !cut[g] && (greatest == "" || s.Cmp(sums[greatest]) > 0) {
				greatest = g
			}
		}
		if greatest != "" {
			over := new(big.Int).Sub(sums[greatest], level)
			if over.Sign() > 0 && over.Cmp(new(big.Int).Rsh(level, 20)) > 0 {
				cut[greatest] = true
				rest.Sub(rest, sums[greatest])
				continue
			}
		}
		if rest.Sign() == 0 || level.Sign() == 0 {
			return false
		}
		for i := range w {
			if g := name(i); g != "" && cut[g] {
				w[i] = ratio(w[i], level, sums[g])
			}
		}
		return len(cut) > 0
	}
}

// caps applies those of all dimensions until nothing changes.
func (m *model) caps(w []*big.Int, p int, permille func(d rules.Dimension) int) {
	for range 32 {
		changed := false
		for d := range rules.Dimensions {
			if permille(d) == 0 {
				continue
			}
			for _, name := range m.names[d] {
				changed = m.cap(w, func(i int) string { return name(i, p) }, permille(d), d == rules.ByAS || d == rules.ByCountry) || changed
			}
		}
		if !changed {
			return
		}
	}
}

func (m *model) flags(x *admission.Relay) directory.Flags {
	if x.Quarantined {
		return 0
	}
	return x.Flags
}

func (m *model) weight(x *admission.Relay) *big.Int {
	if x.Quarantined {
		return n(int(x.Weight) * m.r.Detection.Weight)
	}
	return n(int(x.Weight) * 1000)
}

func (m *model) fit(x *admission.Relay, p int) bool {
	return p == 1 || !x.Quarantined && (p == 0 && x.Flags&directory.Guard != 0 || p == 2 && x.Exits)
}

func sumOf(w []*big.Int) *big.Int {
	total := n(0)
	for _, x := range w {
		total.Add(total, x)
	}
	return total
}

func (m *model) weights(base []*big.Int) directory.PositionWeights {
	var sums [4]uint64
	for i := range m.relays {
		f, class := m.flags(&m.relays[i]), 0
		if f&directory.Guard != 0 {
			class++
		}
		if f&directory.Exit != 0 {
			class += 2
		}
		sums[class] += base[i].Uint64()
	}
	return directory.Weights(sums[1]/1000+1, sums[0]/1000+1, sums[2]/1000+1, sums[3]/1000+1)
}

// weigh returns the shares by identity, none of 0.
func (m *model) weigh() (map[keys.RelayID]directory.Shares, directory.PositionWeights) {
	base := make([]*big.Int, len(m.relays))
	for i := range base {
		base[i] = ratio(m.weight(&m.relays[i]), m.ramp(&m.relays[i], 1), n(1000))
	}
	m.caps(base, 1, func(d rules.Dimension) int { return m.r.BaseCaps[d] })
	weighed := base
	if sumOf(base).Sign() == 0 {
		weighed = nil
		for i := range m.relays {
			weighed = append(weighed, m.weight(&m.relays[i]))
		}
	}
	pw := m.weights(weighed)
	all := map[keys.RelayID]directory.Shares{}
	for p := range 3 {
		for i, s := range m.position(base, pw, p) {
			if s.Sign() > 0 {
				shares := all[m.relays[i].ID]
				shares[p] = s.Uint64()
				all[m.relays[i].ID] = shares
			}
		}
	}
	return all, pw
}

func (m *model) position(base []*big.Int, pw directory.PositionWeights, p int) []*big.Int {
	w := make([]*big.Int, len(base))
	for i := range w {
		x := &m.relays[i]
		w[i] = n(0)
		part := func(p int, ramp *big.Int) *big.Int {
			if base[i].Sign() == 0 {
				return n(0)
			}
			over := new(big.Int).Mul(m.ramp(x, 1), n(10_000))
			return ratio(new(big.Int).Mul(base[i], ramp), n(int(pw.Of(directory.Position(p), m.flags(x)))), over)
		}
		if m.fit(x, p) {
			w[i] = part(p, m.ramp(x, p))
		}
		if p == 1 && m.fit(x, 0) {
			w[i].Add(w[i], part(0, m.ramp(x, 1)))
			w[i].Sub(w[i], part(0, m.ramp(x, 0)))
		}
	}
	if sumOf(w).Sign() > 0 {
		m.caps(w, p, func(d rules.Dimension) int { return m.r.Caps[d][p] })
		return w
	}
	for _, share := range []func(x *admission.Relay) *big.Int{
		func(x *admission.Relay) *big.Int {
			return ratio(m.weight(x), n(int(pw.Of(directory.Position(p), m.flags(x)))), n(10_000))
		},
		m.weight,
		func(*admission.Relay) *big.Int { return n(1000) },
	} {
		for i := range w {
			if x := &m.relays[i]; m.fit(x, p) {
				w[i] = share(x)
			}
		}
		if sumOf(w).Sign() > 0 {
			break
		}
	}
	return w
}
