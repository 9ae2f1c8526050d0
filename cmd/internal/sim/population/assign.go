package population

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sort"

	"tunic/directory"
)

// guardAge is the least age in days of a relay that is a guard already: Tor
// gives the flag after eight days at the earliest.
const guardAge = 10

// ages says how long each relay has been listed. Older tables tell of one that
// they list that it is at least as old; how much older is drawn from an
// exponential distribution, which forgets what it has waited for. Of one that
// they do not list they tell little: relays that were down for that hour are
// missing as well, and far more are than can have arrived since. As many of them
// are new as the distribution has relays of that age; the others came back.
// prints are the fingerprints of p.Relays.
func (p *Population) ages(prints []string, siblings []sibling, o Options) {
	spans := make([]span, len(p.Relays))
	missing := 0
	for i := range p.Relays {
		spans[i] = p.known(prints[i], siblings)
		if spans[i].most < maxAge {
			missing++
		}
	}
	fresh := 0.0
	if missing > 0 {
		gap := float64(p.Day - siblings[0].day)
		fresh = float64(len(p.Relays)) * (1 - math.Exp(-gap/float64(o.MeanAge))) / float64(missing)
	}
	for i, s := range spans {
		r := &p.Relays[i]
		rng := o.Seed.Rand(purposeAge, binary.BigEndian.Uint64(r.ID[:]), 0)
		if s.most < maxAge && rng.Float64() >= fresh {
			s = span{s.most, maxAge}
		}
		if r.Flags.Has(directory.Guard) {
			s.least = max(s.least, guardAge)
		}
		r.Age = exponential(rng, s.least, max(s.most, s.least+1), float64(o.MeanAge))
	}
}

// A span of ages in days, without most.
type span struct{ least, most int }

// known is what older tables, the oldest first, seem to tell of a relay's age.
func (p *Population) known(print string, siblings []sibling) span {
	most := maxAge
	for _, s := range siblings {
		if s.listed[print] {
			return span{p.Day - s.day, most}
		}
		most = p.Day - s.day
	}
	return span{0, max(most, 1)}
}

// exponential draws a whole number from least to less than most, as an
// exponential distribution of that mean falls there.
func exponential(rng *rand.Rand, least, most int, mean float64) int {
	width := 1 - math.Exp(-float64(most-least)/mean)
	x := -mean * math.Log(1-rng.Float64()*width)
	return min(least+int(x), most-1)
}

// providers assigns each address range (/16) whose relays have no autonomous
// system to one of o.Providers, the k-th with a chance in proportion to
// k^-o.Zipf.
func (p *Population) providers(o Options) {
	z := newZipf(o.Providers, o.Zipf)
	for i := range p.Relays {
		r := &p.Relays[i]
		if r.AS == 0 {
			a := r.Addrs[0].Addr().As4()
			r.AS = z.of(o.Seed.Float(purposeProvider, uint64(a[0])<<8|uint64(a[1]), 0))
		}
	}
}

// A zipf turns even numbers from 0 to 1 into ranks, from 1.
type zipf []float64

func newZipf(n int, exponent float64) zipf {
	z := make(zipf, n)
	sum := 0.0
	for k := range z {
		sum += math.Pow(float64(k+1), -exponent)
		z[k] = sum
	}
	return z
}

func (z zipf) of(x float64) uint32 {
	return uint32(sort.SearchFloat64s(z, x*z[len(z)-1])) + 1
}
