package directory

// WeightScale is the unit of position weights: a relay whose position weight is
// WeightScale counts with all of its bandwidth.
const WeightScale = 10_000 // fixed by docs/protocol.md, "Position weights"

// PositionWeights say how much of the bandwidth of each class of relays serves
// each position, so that no position runs short: W, position, class. Classes
// are g (Guard only), e (Exit only), d (both), m (neither). The zero value is
// none: plain bandwidth counts.
type PositionWeights struct {
	Wgg, Wmg, Wee, Wme, Wgd, Wmd, Wed uint32
}

// A Position in a path.
type Position uint8

// The positions.
const (
	AsGuard Position = iota
	AsMiddle
	AsExit
)

// Weights computes position weights from the sums of bandwidth of the classes:
// Guard only, neither, Exit only, both. It returns the zero value when the
// weights do not add up.
func Weights(g, m, e, d uint64) PositionWeights { panic("unwritten") }

// WeightsOf computes position weights from relays; each sum starts at 1.
func WeightsOf(relays []Relay) PositionWeights { panic("unwritten") }

// Of returns the weight of a relay with these flags in position p.
func (w PositionWeights) Of(p Position, f Flags) uint64 { panic("unwritten") }
