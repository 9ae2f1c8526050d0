package detect_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"tunic/directory/admission"
	"tunic/directory/admission/detect"
)

// generated returns n relays as a large network has them: Zipf-like versions,
// ports, policies and providers, ages of 700 days on average.
func generated(n int, now time.Time, rng *rand.Rand) []detect.Subject {
	zipf := func(most uint64) uint64 { return rand.NewZipf(rng, 1.3, 2, most-1).Uint64() }
	list := make([]detect.Subject, n)
	for i := range list {
		var name [16]byte
		binary.BigEndian.PutUint64(name[:], rng.Uint64())
		place := zipf(4000)
		list[i] = detect.Subject{
			Relay: admission.Relay{
				ID: sha256.Sum256(name[:]), AS: uint32(1 + place/8), Weight: 100 + zipf(100_000),
				Addrs: []netip.Addr{netip.AddrFrom4([4]byte{byte(1 + place>>8), byte(place), byte(rng.IntN(256)), byte(rng.IntN(256))})},
			},
			Seen:     now.Add(-time.Duration(rng.ExpFloat64() * 700 * 24 * float64(time.Hour))).Truncate(time.Minute),
			Nickname: fmt.Sprintf("n%x", rng.Uint32()), Version: fmt.Sprint("tunic 1.", zipf(60)), Policy: fmt.Sprint("accept ", zipf(300)),
			Port: uint16(9001 + zipf(600)), Rate: 1000 * zipf(5000), Burst: 1000 * zipf(5000),
		}
	}
	return list
}

// BenchmarkRunDaily is a day of a network of 7,300 relays with 29 newcomers.
func BenchmarkRunDaily(b *testing.B) {
	now := start
	rng := rand.New(rand.NewPCG(1, 2))
	list := generated(7300, now, rng)
	d := detect.New(detect.Config{})
	d.Run(list, now, defaults())
	b.ReportAllocs()
	for b.Loop() {
		now = now.AddDate(0, 0, 1)
		fresh := generated(29, now, rng)
		for i := range fresh {
			fresh[i].Seen = now.Add(-time.Duration(rng.IntN(1440)) * time.Minute)
			list[rng.IntN(len(list))] = fresh[i]
		}
		d.Run(list, now, defaults())
	}
}

// BenchmarkRunFirst compares all of a network.
func BenchmarkRunFirst(b *testing.B) {
	for _, n := range []int{7300, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list := generated(n, start, rand.New(rand.NewPCG(1, 2)))
			b.ReportAllocs()
			for b.Loop() {
				detect.New(detect.Config{}).Run(list, start, defaults())
			}
		})
	}
}

// BenchmarkRunFlood is the first look at 50,000 relays of which many are alike.
func BenchmarkRunFlood(b *testing.B) {
	for _, makes := range []int{1, 20, 100, 1000} {
		b.Run(fmt.Sprint(makes), func(b *testing.B) {
			list := flood(50_000, makes)
			b.ReportAllocs()
			for b.Loop() {
				detect.New(detect.Config{Usable: start}).Run(list, start.AddDate(0, 0, 1), defaults())
			}
		})
	}
}

// flood returns n relays, those of one make as alike as they can be.
func flood(n, makes int) []detect.Subject {
	rng := rand.New(rand.NewPCG(3, 4))
	list := generated(n, start, rng)
	for i := range list {
		s, m := &list[i], i%makes
		s.Seen = start.Add(time.Duration(m) * time.Minute)
		s.Version, s.Policy, s.Contact = fmt.Sprint("tunic ", m), fmt.Sprint("accept ", m), fmt.Sprint("nobody ", m)
		s.Port, s.Rate, s.Burst = uint16(7000+m), uint64(77+m), 77
		s.Nickname = fmt.Sprint("flood", string(rune('a'+m%26)), string(rune('a'+m/26%26)), string(rune('a'+m/676)), i)
		s.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{byte(1 + i>>14), byte(i >> 6), byte(i >> 3), byte(i)})}
		s.Starts = []int64{start.Unix()/60 + 3000 + int64(3*m), start.Unix()/60 + 9000 + int64(3*m)}
	}
	return list
}
