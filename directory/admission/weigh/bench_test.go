package weigh_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"tunic/directory"
	"tunic/directory/admission"
	"tunic/directory/admission/weigh"
	"tunic/directory/keys"
)

// network makes one of n relays: weights over three decades, a fifth of them in
// families of up to 20, 900 autonomous systems of which a few are large, ages up
// to 3000 days.
func network(n int) []admission.Relay {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	relays := make([]admission.Relay, n)
	for i := range relays {
		x := &relays[i]
		age := int(rng.ExpFloat64()*700) % 3000
		*x = admission.Relay{
			ID:      keys.RelayID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)},
			Addrs:   []netip.Addr{netip.AddrFrom4([4]byte{byte(1 + rng.IntN(200)), byte(rng.IntN(64)), byte(rng.IntN(256)), byte(rng.IntN(256))})},
			AS:      uint32(1 + int(rng.ExpFloat64()*60)%900),
			Country: fmt.Sprintf("%c%c", 'A'+rng.IntN(3), 'A'+rng.IntN(8)),
			First:   today - age - rng.IntN(100),
			Age:     age,
			Flags:   usual,
			Weight:  uint64(50 + rng.ExpFloat64()*5000),
		}
		if x.First < 1 {
			x.First = 1
		}
		if rng.IntN(3) == 0 {
			x.Addrs = append(x.Addrs, netip.AddrFrom16([16]byte{0x2a, byte(rng.IntN(16)), byte(rng.IntN(256)), byte(rng.IntN(4)), 4: byte(rng.IntN(256)), 15: 1}))
		}
		if x.Age > 30 && x.Weight > 2000 {
			x.Flags |= directory.Guard
		}
		if rng.IntN(8) == 0 {
			x.Flags, x.Exits = x.Flags|directory.Exit, true
		}
		if rng.IntN(5) == 0 {
			x.Family = []directory.Digest{digest(rng.IntN(1 + n/50))}
		}
	}
	return relays
}

func BenchmarkWeigh(b *testing.B) {
	for _, n := range []int{2_000, 10_000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			relays, r := network(n), old()
			b.ReportAllocs()
			for b.Loop() {
				weigh.Weigh(relays, r, today)
			}
		})
	}
}
