package admission_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/keys"
	"tunic/directory/rules"
)

const today = 20_000

func old() *rules.Rules { return rules.Of(nil, nil, 0, 10*365*24*time.Hour) }

// relay is the i-th of a test, running since the day first at these addresses.
func relay(i, first int, addrs ...string) admission.Relay {
	r := admission.Relay{
		ID: keys.RelayID{byte(i), byte(i >> 8), byte(i >> 16)}, First: first, Age: today - first,
		Flags: directory.Running, Weight: 1000,
	}
	for _, a := range addrs {
		r.Addrs = append(r.Addrs, netip.MustParseAddr(a))
	}
	return r
}

func admitted(refusals []string) (n int) {
	for _, why := range refusals {
		if why == "" {
			n++
		}
	}
	return n
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		limit string
		addr  func(i int) string
		as    uint32
		want  int // of 200
	}{
		{"address", func(int) string { return "192.0.2.1" }, 0, 2},
		{"range24", func(i int) string { return fmt.Sprintf("192.0.2.%d", i) }, 0, 8},
		{"range16", func(i int) string { return fmt.Sprintf("198.51.%d.1", i) }, 0, 128},
		{"", func(i int) string { return fmt.Sprintf("10.%d.0.1", i) }, 0, 200},
		{"net64", func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }, 0, 8},
		{"range24", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) }, 0, 8},
		{"range16", func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, 0, 128},
		{"", func(i int) string { return fmt.Sprintf("2001:%x::1", i) }, 0, 200},
		{"address", func(int) string { return "::ffff:192.0.2.1" }, 0, 2},
		{"as", func(i int) string { return fmt.Sprintf("10.%d.0.1", i) }, 64496, 40},
	} {
		var relays []admission.Relay
		for i := range 200 {
			x := relay(i, 1000+31*i, tc.addr(i))
			x.AS = tc.as
			relays = append(relays, x)
		}
		got := admission.Refusals(relays, old(), directory.Digest{})
		if admitted(got) != tc.want {
			t.Errorf("%s, %s: admitted %d, want %d", tc.limit, tc.addr(1), admitted(got), tc.want)
		}
		for i, why := range got {
			if i < tc.want && why != "" || i >= tc.want && why != tc.limit { // the eldest stay
				t.Fatalf("relay %d: %q, want %q", i, why, tc.limit)
			}
		}
	}
}

// The limit of an AS grows with the network, and not with relays that other
// limits refuse or that do not run.
func TestLimitOfAnASIsAPartOfWhatIsAdmitted(t *testing.T) {
	network := func(others int, addr func(i int) string, flags directory.Flags) []admission.Relay {
		var relays []admission.Relay
		for i := range 200 {
			x := relay(i, 1000+31*i, fmt.Sprintf("10.%d.0.1", i))
			x.AS = 64496
			relays = append(relays, x)
		}
		for i := range others {
			x := relay(1000+i, 9000, addr(i))
			x.Flags = flags
			relays = append(relays, x)
		}
		return relays
	}
	everywhere := func(i int) string { return fmt.Sprintf("%d.%d.0.1", 20+i/256, i%256) }
	one := func(int) string { return "192.0.2.1" }
	for _, tc := range []struct {
		what  string
		addr  func(i int) string
		flags directory.Flags
		want  int
	}{
		{"elsewhere", everywhere, directory.Running, 110}, // 50 permille of 200 + 2000
		{"at one address", one, directory.Running, 32},
		{"not running", everywhere, 0, 32},
	} {
		r := old()
		r.Limits.ASPermille = 50
		got := admission.Refusals(network(2000, tc.addr, tc.flags), r, directory.Digest{})
		if n := admitted(got[:200]); n != tc.want {
			t.Errorf("with 2000 others %s %d of the AS are admitted, want %d", tc.what, n, tc.want)
		}
	}
}

func TestKeepOrder(t *testing.T) {
	base := relay(1, 5000, "192.0.2.1")
	down, later, lessServed, unlisted := base, base, base, base
	down.Flags = directory.Valid
	later.First = 5031
	lessServed.Age--
	unlisted.First = 0
	for name, worse := range map[string]admission.Relay{"down": down, "later": later, "served less": lessServed, "never listed": unlisted} {
		r := old()
		r.LiftAddresses()
		r.Limits.PerAddress = 1
		worse.ID = keys.RelayID{}
		worse.Weight = 1_000_000
		for range 2 {
			relays := []admission.Relay{worse, base}
			if got := admission.Refusals(relays, r, directory.Digest{}); got[0] != "address" || got[1] != "" {
				t.Errorf("%s: %q", name, got)
			}
			base.ID, worse.ID = worse.ID, base.ID
		}
	}
}

// Among relays of one day and age each shared random value draws anew, and
// about evenly.
func TestDrawFollowsTheRandomValue(t *testing.T) {
	r := old()
	r.LiftAddresses()
	r.Limits.PerAddress = 1
	relays := []admission.Relay{relay(1, 5000, "192.0.2.1"), relay(2, 5000, "192.0.2.1"), relay(3, 5000, "192.0.2.1"), relay(4, 5000, "192.0.2.1")}
	won := [4]int{}
	for day := range 400 {
		got := admission.Refusals(relays, r, directory.Digest{byte(day), byte(day >> 8)})
		won[slices.Index(got, "")]++
	}
	for i, n := range won {
		if n < 60 || n > 140 {
			t.Errorf("relay %d won %d of 400 draws", i, n)
		}
	}
}

// Two relays fill an address; one with that address and a free one is refused
// for it, and its second address stays free.
func TestRefusedRelayTakesNoPlace(t *testing.T) {
	relays := []admission.Relay{
		relay(1, 5000, "192.0.2.1"), relay(2, 5031, "192.0.2.1"),
		relay(3, 5062, "192.0.2.1", "2001:db8::1"),
		relay(4, 5093, "198.51.100.1", "2001:db8::2"), relay(5, 5124, "203.0.113.1", "2001:db8::3"),
		relay(6, 5155, "203.0.112.1", "2001:db8::4"),
	}
	r := old()
	r.Limits.Per64 = 2
	got := admission.Refusals(relays, r, directory.Digest{})
	if want := []string{"", "", "address", "", "", "net64"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// At most two identities of an address are new within 30 days, those that are
// gone among them; on the 30th day after the first the next one is let in.
func TestNewIdentitiesOfAnAddress(t *testing.T) {
	gone := func(i, first int) admission.Relay {
		x := relay(i, first, "192.0.2.1")
		x.Flags = 0
		return x
	}
	for _, tc := range []struct {
		day  int
		want string
	}{{19_960, "new-on-address"}, {19_979, "new-on-address"}, {19_980, ""}} {
		relays := []admission.Relay{gone(1, 19_950), gone(2, 19_955), relay(3, tc.day, "192.0.2.1"), relay(4, tc.day, "198.51.100.1")}
		got := admission.Refusals(relays, old(), directory.Digest{})
		if got[2] != tc.want || got[3] != "" {
			t.Errorf("on day %d: %q, want %q", tc.day, got, tc.want)
		}
	}
}

// Those whose first day nobody knows are new together, and not with others.
func TestIdentitiesOfNoKnownDay(t *testing.T) {
	r := old()
	r.Limits.PerAddress = 10
	relays := []admission.Relay{relay(1, 19_990, "192.0.2.1"), relay(2, 19_990, "192.0.2.1")}
	for i := range 3 {
		relays = append(relays, relay(3+i, 0, "192.0.2.1"))
	}
	got := admission.Refusals(relays, r, directory.Digest{})
	if got[0] != "" || got[1] != "" || admitted(got) != 4 {
		t.Errorf("%q", got)
	}
}

// drawRelays draws many in few ranges.
func drawRelays(t *rapid.T) []admission.Relay {
	relays := make([]admission.Relay, rapid.IntRange(0, 60).Draw(t, "relays"))
	for i := range relays {
		b := func(what string, most int) int { return rapid.IntRange(0, most).Draw(t, what) }
		x := relay(i, today-b("listed", 90), fmt.Sprintf("10.%d.%d.%d", b("16", 1), b("24", 2), b("host", 5)))
		if b("v6", 1) == 0 {
			x.Addrs = append(x.Addrs, netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::%x", b("48", 1), b("64", 1), i)))
		}
		x.AS, x.Age = uint32(b("as", 2)), b("age", 3)
		if b("down", 4) == 0 {
			x.Flags = 0
		}
		relays[i] = x
	}
	return relays
}

func drawRules(t *rapid.T) *rules.Rules {
	r := old()
	l := &r.Limits
	for _, limit := range []*int{&l.PerAddress, &l.Per64, &l.Per24, &l.Per16, &l.PerAS, &l.NewPerAddr} {
		*limit = rapid.IntRange(1, 12).Draw(t, "limit")
	}
	l.ASPermille = rapid.IntRange(1, 1000).Draw(t, "permille")
	return r
}

// No limit is exceeded, every refusal has its reason among those admitted, and
// the order in which relays are listed means nothing.
func TestRefusalsKeepTheirPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		relays, r := drawRelays(t), drawRules(t)
		random := directory.Digest{byte(rapid.IntRange(0, 255).Draw(t, "random"))}
		got := admission.Refusals(relays, r, random)
		taken := map[string]int{}
		for i, x := range relays {
			if got[i] == "" {
				for _, place := range places(x) {
					taken[place.name]++
				}
			}
		}
		for i, x := range relays {
			full := false
			for _, place := range places(x) {
				n, most := taken[place.name], place.most(r)
				if n > most {
					t.Fatalf("%s has %d, limit %d", place.name, n, most)
				}
				full = full || n == most && place.limit == got[i]
			}
			if got[i] != "" && got[i] != "new-on-address" && got[i] != "as" && !full {
				t.Fatalf("relay %d is refused for %q, where there is room", i, got[i])
			}
		}
		order := rapid.Permutation(relays).Draw(t, "order")
		again := admission.Refusals(order, r, random)
		for i, x := range order {
			if k := slices.IndexFunc(relays, func(y admission.Relay) bool { return y.ID == x.ID }); again[i] != got[k] {
				t.Fatalf("relay %d: %q, in another order %q", k, got[k], again[i])
			}
		}
	})
}

type place struct {
	name, limit string
	most        func(r *rules.Rules) int
}

// places are those that a relay needs, but that of its AS.
func places(x admission.Relay) []place {
	var all []place
	add := func(limit string, a netip.Addr, bits int, most func(l rules.Limits) int) {
		name := netip.PrefixFrom(a, bits).Masked().String()
		all = append(all, place{name, limit, func(r *rules.Rules) int { return most(r.Limits) }})
	}
	for _, a := range x.Addrs {
		bits := [3]int{64, 48, 32}
		if a.Is4() {
			bits = [3]int{32, 24, 16}
			add("address", a, bits[0], func(l rules.Limits) int { return l.PerAddress })
		} else {
			add("net64", a, bits[0], func(l rules.Limits) int { return l.Per64 })
		}
		add("range24", a, bits[1], func(l rules.Limits) int { return l.Per24 })
		add("range16", a, bits[2], func(l rules.Limits) int { return l.Per16 })
	}
	return all
}

// A newcomer never takes the place of an older relay that runs. (That a larger
// network has room for more of one AS may let in another older one.)
func TestNewcomersDisplaceNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		relays, r := drawRelays(t), drawRules(t)
		r.Limits.ASPermille = 1
		for i := range relays {
			relays[i].Flags = directory.Running
		}
		before := admission.Refusals(relays, r, directory.Digest{})
		crowd := slices.Clone(relays)
		for i, x := range drawRelays(t) {
			x.ID[5], x.First, x.Age, x.Weight = byte(i+1), today+1, 0, directory.MaxWeight
			crowd = append(crowd, x)
		}
		after := admission.Refusals(crowd, r, directory.Digest{})
		for i := range relays {
			if before[i] == "" && after[i] != "" {
				t.Fatalf("relay %d was admitted and is refused for %q when others come", i, after[i])
			}
		}
	})
}

func BenchmarkRefusals(b *testing.B) {
	for _, n := range []int{10_000, directory.MaxRelays} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			relays := make([]admission.Relay, n)
			for i := range relays {
				relays[i] = relay(i, 1+i*7919%today, fmt.Sprintf("%d.%d.%d.%d", 1+i%100, i/100%256, i%256, i%250), fmt.Sprintf("2001:%x:%x::1", i%4096, i))
				relays[i].AS = uint32(i % 900)
			}
			b.ReportAllocs()
			for b.Loop() {
				admission.Refusals(relays, old(), directory.Digest{})
			}
		})
	}
}
