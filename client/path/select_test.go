package path

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

// together is the rules between two relays, by an obvious route of their own.
func together(c *directory.Consensus, a, b *directory.Relay, sameSubnet bool) bool {
	if a.ID == b.ID {
		return false
	}
	if a.AS != 0 && a.AS == b.AS && len(c.Relaxed) == 0 {
		return false
	}
	tied := func(x, y directory.Digest, f, g []directory.Digest) bool {
		none := directory.Digest{}
		return x != none && (x == y || slices.Contains(g, x)) || y != none && slices.Contains(f, y)
	}
	if tied(a.Group, b.Group, a.Family, b.Family) || tied(rootOf(c, a.Voucher, 0), rootOf(c, b.Voucher, 0), a.Family, b.Family) {
		return false
	}
	for _, f := range a.Family {
		if slices.Contains(b.Family, f) {
			return false
		}
	}
	if sameSubnet {
		return true
	}
	for _, x := range a.Addrs {
		bits := 32
		if x.Addr().Is4() {
			bits = 16
		}
		net, err := x.Addr().Prefix(bits)
		if err != nil {
			panic(err)
		}
		for _, y := range b.Addrs {
			if net.Contains(y.Addr()) {
				return false
			}
		}
	}
	return true
}

// rootOf follows vouchers up to a family that has a relay nobody vouched for.
func rootOf(c *directory.Consensus, f directory.Digest, depth int) directory.Digest {
	up := directory.Digest{}
	for i := range c.Relays {
		r := &c.Relays[i]
		if !slices.Contains(r.Family, f) {
			continue
		}
		if r.Voucher == (directory.Digest{}) {
			return f
		}
		if up == (directory.Digest{}) || slices.Compare(r.Voucher[:], up[:]) < 0 {
			up = r.Voucher
		}
	}
	if up == (directory.Digest{}) || depth == maxVouchers {
		return f
	}
	return rootOf(c, up, depth+1)
}

// paths calls yield with every path that the rules allow with this guard.
func paths(c *directory.Consensus, guard *directory.Relay, n Need, sameSubnet bool) func(func(Path) bool) {
	up := directory.Running | directory.Valid
	return func(yield func(Path) bool) {
		if !guard.Flags.Has(up|directory.Guard) || guard.Shares[0] == 0 {
			return
		}
		for i := range c.Relays {
			exit := &c.Relays[i]
			if !exit.Flags.Has(up) || exit.Shares[2] == 0 || !together(c, guard, exit, sameSubnet) || !serves(exit, destination{n.Port, n.Family}) || slices.Contains(n.NotExit, exit.ID) {
				continue
			}
			for j := range c.Relays {
				middle := &c.Relays[j]
				if middle.Flags.Has(up) && middle.Shares[1] > 0 && together(c, guard, middle, sameSubnet) && together(c, exit, middle, sameSubnet) && !yield(Path{guard, middle, exit}) {
					return
				}
			}
		}
	}
}

func possible(c *directory.Consensus, guard *directory.Relay, n Need, sameSubnet bool) bool {
	for range paths(c, guard, n, sameSubnet) {
		return true
	}
	return false
}

// anyConsensus draws small networks in which every rule bites often.
func anyConsensus(t *rapid.T, tb testing.TB) *directory.Consensus {
	summaries := []string{"-", "-", "80,443", "25", "*"}
	var c directory.Consensus
	for i := range rapid.IntRange(0, 9).Draw(t, "relays") {
		name := fmt.Sprint("r", i)
		r := directory.Relay{ID: idOf(name), Nickname: name, Weight: rapid.SampledFrom([]uint64{0, 1, 50, 100_000}).Draw(t, "weight")}
		r.Flags = directory.Flags(rapid.Uint16().Draw(t, "flags")) & directory.AllFlags
		if rapid.IntRange(0, 9).Draw(t, "up") > 0 {
			r.Flags |= directory.Running | directory.Valid
		}
		net := byte(rapid.IntRange(0, 5).Draw(t, "net"))
		r.Addrs = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, net, 0, byte(i)}), 1)}
		if net6 := byte(rapid.IntRange(0, 3).Draw(t, "net6")); net6 > 0 {
			r.Addrs = append(r.Addrs, netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0, net6, 15: byte(i)}), 1))
		}
		if f := rapid.IntRange(0, 3).Draw(t, "family"); f > 0 {
			r.Family = []directory.Digest{{byte(f)}}
		}
		r.AS = uint32(rapid.IntRange(0, 4).Draw(t, "as"))
		r.Group[0] = byte(max(0, rapid.IntRange(-6, 3).Draw(t, "group")))
		r.Voucher[0] = byte(max(0, rapid.IntRange(-6, 4).Draw(t, "voucher")))
		r.Ports = ports(tb, rapid.SampledFrom(summaries).Draw(t, "ports"))
		r.Ports6 = ports(tb, rapid.SampledFrom(summaries).Draw(t, "ports6"))
		c.Relays = append(c.Relays, r)
	}
	if rapid.Bool().Draw(t, "weights") {
		c.Weights = directory.WeightsOf(c.Relays)
	}
	sortRelays(c.Relays)
	share(&c)
	c.Relaxed = rapid.SampledFrom([][]string{nil, {rules.Small}, {rules.Test}}).Draw(t, "relaxed")
	return &c
}

func anyNeed(t *rapid.T, c *directory.Consensus) Need {
	n := Need{Port: rapid.SampledFrom([]uint16{0, 25, 80, 443, 6000}).Draw(t, "port"),
		Family: Family(rapid.IntRange(0, 2).Draw(t, "family"))}
	for i := range c.Relays {
		if rapid.IntRange(0, 4).Draw(t, "avoid") == 0 {
			n.NotExit = append(n.NotExit, c.Relays[i].ID)
		}
	}
	return n
}

// Every path obeys the rules; one is found exactly where there is one; and its
// guard is the first by rank that has one.
func TestSelectObeysEveryRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := anyConsensus(rt, t)
		same := rapid.Bool().Draw(rt, "same subnet")
		v, g, rng := NewView(c, Options{SameSubnet: same}), NewGuards("test"), seeded(rapid.Uint64().Draw(rt, "seed"))
		g.Update(v, start, rng)
		for range 4 {
			n := anyNeed(rt, c)
			var want *directory.Relay
			for s := range g.ranked {
				if r := &c.Relays[s.node]; want == nil && possible(c, r, n, same) {
					want = r
				}
			}
			p, a, err := v.Select(g, n, start, rng)
			if want == nil {
				checkNoPath(rt, c, n, err)
				continue
			}
			if err != nil {
				rt.Fatalf("no path through %s: %v", want.Nickname, err)
			}
			if p[Guard] != want || a.Guard() != want.ID {
				rt.Fatalf("guard %s, want %s", p[Guard].Nickname, want.Nickname)
			}
			found := false
			for q := range paths(c, want, n, same) {
				found = found || q == p
			}
			if !found {
				rt.Fatalf("path %s %s %s breaks a rule", p[Guard].Nickname, p[Middle].Nickname, p[Exit].Nickname)
			}
		}
	})
}

// checkNoPath holds the error against the consensus: the counts fall, the last
// is 0, and only it.
func checkNoPath(t *rapid.T, c *directory.Consensus, n Need, err error) {
	var e *NoPathError
	if !errors.As(err, &e) {
		t.Fatalf("no path exists, Select says %v", err)
	}
	for i, count := range e.Left {
		if last := i == len(e.Left)-1; last != (count.Relays == 0) || i > 0 && count.Relays > e.Left[i-1].Relays {
			t.Fatalf("counts of %v", e)
		}
	}
	if len(e.Left) == 0 || e.Left[0].Rule != RuleRunning {
		t.Fatalf("counts of %v do not begin with what is running", e)
	}
}

func TestSelectSaysWhichRuleLeavesNothing(t *testing.T) {
	for _, test := range []struct {
		name, drawing string
		need          Need
		position      Position
		rule          Rule
		text          string
	}{
		{"nothing listed", "a 10.1.0.1 1 down", Need{}, Guard, RuleRunning, "no relay for the guard: 0 running"},
		{"no guard flag", "a 10.1.0.1 1\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80", Need{Port: 80}, Guard, RuleFlag, "3 running, 0 with the flag"},
		{"no exit", "a 10.1.0.1 1 guard\nb 10.2.0.1 1\nc 10.3.0.1 1", Need{Port: 80}, Exit, RuleFlag, "no relay for the exit: 3 running, 0 with the flag"},
		{"port", "a 10.1.0.1 1 guard\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80", Need{Port: 25}, Exit, RulePort, "3 running, 1 with the flag, 1 with a share, 0 serving the port"},
		{"IPv6", "a 10.1.0.1 1 guard\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80", Need{Port: 80, Family: IPv6}, Exit, RulePort, "0 serving the port"},
		{"avoided", "a 10.1.0.1 1 guard\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80", Need{Port: 80, NotExit: []keys.RelayID{idOf("x")}}, Exit, RuleAvoid, "1 serving the port, 0 not to be avoided"},
		{"only guard is only exit", "a 10.1.0.1 1\nb 10.2.0.1 1\nx 10.3.0.1 1 guard ports=80", Need{Port: 80}, Exit, RuleSame, "0 not in the path already"},
		{"family", "a 10.1.0.1 1 guard family=f\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80 family=f", Need{Port: 80}, Exit, RuleFamily, "0 of another family"},
		{"subnet", "a 10.1.0.1 1 guard\nb 10.2.0.1 1\nx 10.1.9.9 1 ports=80", Need{Port: 80}, Exit, RuleSubnet, "1 of other vouchers, 0 in another /16"},
		{"IPv6 subnet", "a 10.1.0.1,2001:db8::1 1 guard\nb 10.2.0.1 1\nx 10.3.0.1,2001:db8:ff::1 1 ports=80", Need{Port: 80}, Exit, RuleSubnet, "0 in another /16"},
		{"group", "a 10.1.0.1 1 guard group=f\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80 group=f", Need{Port: 80}, Exit, RuleGroup, "1 of another family, 0 of another inferred group"},
		{"group of a family", "a 10.1.0.1 1 guard group=f\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80 family=f", Need{Port: 80}, Exit, RuleGroup, "0 of another inferred group"},
		{"one voucher", "a 10.1.0.1 1 guard voucher=f\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80 voucher=f", Need{Port: 80}, Exit, RuleVoucher, "0 of other vouchers"},
		{"voucher itself", "a 10.1.0.1 1 guard voucher=f\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80 family=f", Need{Port: 80}, Exit, RuleVoucher, "0 of other vouchers"},
		{"voucher's voucher", "a 10.1.0.1 1 guard voucher=f family=g\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80 voucher=g", Need{Port: 80}, Exit, RuleVoucher, "0 of other vouchers"},
		{"a chain of vouchers", "a 10.1.0.1 1 guard voucher=f\nb 10.2.0.1 1 voucher=g family=h\nc 10.5.0.1 1 down voucher=f family=g\nx 10.3.0.1 1 ports=80 voucher=h\nf 10.4.0.1 1 down family=f", Need{Port: 80}, Exit, RuleVoucher, "0 of other vouchers"},
		{"guard without a share", "a 10.1.0.1 0 guard\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80", Need{Port: 80}, Guard, RuleShare, "no relay for the guard: 3 running, 1 with the flag, 0 with a share"},
		{"exit without a share", "a 10.1.0.1 1 guard\nb 10.2.0.1 1\nx 10.3.0.1 0 ports=80", Need{Port: 80}, Exit, RuleShare, "3 running, 1 with the flag, 0 with a share"},
		{"middle without a share", "a 10.1.0.1 1 guard\nb 10.2.0.1 0\nx 10.3.0.1 1 ports=80", Need{Port: 80}, Middle, RuleSame, "3 running, 2 with a share, 0 not in the path already"},
		{"two relays", "a 10.1.0.1 1 guard\nx 10.3.0.1 1 ports=80", Need{Port: 80}, Middle, RuleSame, "no relay for the middle: 2 running, 2 with a share, 0 not in the path already"},
		{"middle's family", "a 10.1.0.1 1 guard\nb 10.2.0.1 1 family=f\nx 10.3.0.1 1 ports=80 family=f", Need{Port: 80}, Middle, RuleFamily, "1 not in the path already, 0 of another family"},
		{"middle's subnet", "a 10.1.0.1 1 guard\nb 10.1.2.1 1\nx 10.3.0.1 1 ports=80", Need{Port: 80}, Middle, RuleSubnet, "1 of other vouchers, 0 in another /16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, test.drawing)
			_, _, err := c.v.Select(c.g, test.need, c.now, c.rng)
			var e *NoPathError
			if !errors.As(err, &e) {
				t.Fatalf("Select: %v, want a NoPathError", err)
			}
			if e.Position != test.position || e.Rule() != test.rule || !strings.Contains(e.Error(), test.text) {
				t.Errorf("Select: %v (%v, %v), want %v, %v, %q", e, e.Position, e.Rule(), test.position, test.rule, test.text)
			}
		})
	}
}

// Three relays in three /16s, one of them an exit, are the least.
func TestThreeRelaysAreEnough(t *testing.T) {
	relays := []string{"a 10.1.0.1 1 guard", "b 10.2.0.1 5 guard", "x 10.3.0.1 900 guard ports=80"}
	for seed := range uint64(20) {
		c := &client{t: t, g: NewGuards("test"), now: start, rng: seeded(seed)}
		c.update(draw(t, strings.Join(relays, "\n")))
		if p, _ := c.get(Need{Port: 80}); p[Exit].Nickname != "x" || p[Guard].Nickname == "x" {
			t.Fatalf("path %v", p)
		}
	}
	for i := range relays {
		c := newClient(t, strings.Join(slices.Delete(slices.Clone(relays), i, i+1), "\n"))
		if _, _, err := c.v.Select(c.g, Need{Port: 80}, c.now, c.rng); err == nil {
			t.Errorf("a path of %v", c.v.consensus.Relays)
		}
	}
}

func TestSameSubnetIsRelaxed(t *testing.T) {
	c := draw(t, "a 127.0.0.1 1 guard\nb 127.0.0.1 1\nx 127.0.0.1 1 ports=80")
	for _, relaxed := range []bool{false, true} {
		v, g := NewView(c, Options{SameSubnet: relaxed}), NewGuards("test")
		g.Update(v, start, seeded(1))
		if _, _, err := v.Select(g, Need{Port: 80}, start, seeded(1)); (err == nil) != relaxed {
			t.Errorf("SameSubnet %v: %v", relaxed, err)
		}
	}
}

// Relays of one AS are kept apart in a network of its own size only: a small one
// often stands with one provider.
func TestASesAreKeptApart(t *testing.T) {
	c := draw(t, "a 10.1.0.1 1 guard as=7\nb 10.2.0.1 1\nx 10.3.0.1 1 ports=80 as=7")
	for _, relaxed := range [][]string{nil, {rules.Young}, {rules.Small}, {rules.Test}} {
		c.Relaxed = relaxed
		v, g := NewView(c, Options{}), NewGuards("test")
		g.Update(v, start, seeded(1))
		_, _, err := v.Select(g, Need{Port: 80}, start, seeded(1))
		if slices.Contains(relaxed, rules.Small) || slices.Contains(relaxed, rules.Test) {
			if err != nil {
				t.Errorf("relaxed %v: %v", relaxed, err)
			}
			continue
		}
		if none, ok := errors.AsType[*NoPathError](err); !ok || none.Rule() != RuleAS {
			t.Errorf("relaxed %v: %v, want no other AS", relaxed, err)
		}
	}
}

// No destination moves a client off its guard, as long as another exit serves
// its port; where none does, the next guard steps in for that circuit alone.
func TestDestinationsDoNotMoveTheGuard(t *testing.T) {
	c := newClient(t, `
		x 10.1.0.1 1000000 guard ports=25,80
		y 10.2.0.1 1 ports=80
		a 10.3.0.1 1 guard
		b 10.4.0.1 1
		c 10.5.0.1 1`)
	if got := c.name(c.primary(0)); got != "x" {
		t.Fatalf("first guard %s, want x: the others weigh next to nothing", got)
	}
	for range 50 {
		if p, _ := c.reach(Need{Port: 80}); p[Guard].Nickname != "x" || p[Exit].Nickname != "y" {
			t.Fatalf("port 80: path %s %s %s, want guard x and exit y", p[0].Nickname, p[1].Nickname, p[2].Nickname)
		}
	}
	p, a := c.reach(Need{Port: 25})
	if p[Guard].Nickname != "a" || p[Exit].Nickname != "x" || !c.g.Usable(a, c.now) {
		t.Errorf("port 25: path %s %s %s, usable %v", p[0].Nickname, p[1].Nickname, p[2].Nickname, c.g.Usable(a, c.now))
	}
	if p, _ := c.get(Need{Port: 80}); p[Guard].Nickname != "x" {
		t.Errorf("after port 25 the guard is %s", p[Guard].Nickname)
	}
}

// Where even the next guards are not primary, the circuit need not wait for
// those that have no path for it.
func TestUnfitGuardsAreNotWaitedFor(t *testing.T) {
	c := newClient(t, `
		x 10.1.0.1 1000000 guard ports=80 family=f
		y 10.2.0.2 1000000 guard family=g
		z 10.3.0.3 1000000 guard family=h
		v 10.4.0.3 1 ports=80
		a 10.5.0.1 1 guard
		b 10.6.0.1 1 guard`)
	_, a := c.reach(Need{Port: 80, NotExit: []keys.RelayID{idOf("v")}})
	if a.guard == c.g.primary[0] && a.guard.id == idOf("x") {
		t.Fatal("the only exit is the guard")
	}
	if !c.g.Usable(a, c.now) {
		t.Error("the circuit waits for guards that cannot serve it")
	}
}
