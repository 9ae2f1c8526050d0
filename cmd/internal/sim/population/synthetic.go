package population

import (
	"fmt"
	"math"
	"net/netip"

	"tunic/directory"
)

// The synthetic network of docs/sybil.md, "Populations".
const (
	synthDay       = 17_000 // 2016-07-18
	synthLogMean   = 3500   // kB/s, of which the logarithm is the mean
	synthSigma     = 1.5
	synthGuard     = 2000 // kB/s that a guard has at least
	synthGuards    = 0.8  // of those that could be guards
	synthExits     = 0.17 // of operators
	synthBigExits  = 0.35 // of operators with more than synthBig relays
	synthBig       = 5
	synthMany      = 0.18 // of operators have more than one relay,
	synthTail      = 0.85 // as many as a heavy tail of this exponent says,
	synthManyMost  = 250  // up to so many
	synthSameRange = 4    // relays of an operator in one /16, then the next
)

// Synthetic returns a network of n relays, as docs/sybil.md describes it:
// operators with heavy-tailed numbers of relays, lognormal weights, exponential
// ages, one operator in six an exit.
func Synthetic(n int, o Options) *Population {
	o = o.filled()
	rng := o.Seed.Rand(purposeSynthetic, uint64(n), 0)
	p := &Population{Name: fmt.Sprintf("synth-%d", n), Day: synthDay}
	all, _ := directory.ParsePortSummary("*")
	web, _ := directory.ParsePortSummary("53,80,443,993,995,8080")
	for operator := int32(0); len(p.Relays) < n; operator++ {
		count := 1
		if rng.Float64() < synthMany {
			count = min(int(math.Pow(1-rng.Float64(), -1/synthTail))+1, synthManyMost)
		}
		share := synthExits
		if count > synthBig {
			share = synthBigExits
		}
		var ports directory.PortSummary
		if rng.Float64() < share {
			if ports = web; rng.IntN(4) == 0 {
				ports = all
			}
		}
		declares := count > 1 && rng.IntN(4) > 0
		var prefix uint32
		for i := range min(count, n-len(p.Relays)) {
			if i%synthSameRange == 0 {
				prefix = (1 + rng.Uint32N(220)) << 24
				prefix |= rng.Uint32N(256) << 16
			}
			a := prefix | rng.Uint32N(1<<16)
			r := Relay{ID: identity(fmt.Sprintf("synthetic %d", len(p.Relays))), Nickname: fmt.Sprintf("n%d", len(p.Relays)),
				Version: "synthetic", Ports: ports, Family: -1, V2Dir: true,
				Addrs:  []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 9001)},
				Weight: uint64(math.Exp(math.Log(synthLogMean) + synthSigma*rng.NormFloat64())),
				Age:    exponential(rng, 0, maxAge, float64(o.MeanAge)),
				Flags:  directory.Running | directory.Valid | directory.Fast | directory.Stable}
			if declares {
				r.Family = operator
			}
			if !ports.Empty() {
				r.Flags |= directory.Exit
			}
			if r.Weight > synthGuard && r.Age > guardAge && rng.Float64() < synthGuards {
				r.Flags |= directory.Guard
			}
			p.Relays = append(p.Relays, r)
		}
	}
	p.finish(o)
	return p
}
