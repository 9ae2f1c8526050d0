package mirror

import (
	"math/rand/v2"
	"time"

	"tunic/directory"
)

// A Role says how a fetch is spread.
type Role uint8

// The roles.
const (
	AsClient Role = iota // late in the consensus's freshness, so that mirrors have the next
	AsMirror             // soon after the next is due
)

// A Schedule says when to fetch the consensus next. It keeps the number and the
// delay of failures in a row; the zero value is ready. It does no I/O.
type Schedule struct{ last time.Duration }

// Next returns when to fetch next, given the consensus held (nil if none), and
// never before now.
func (s *Schedule) Next(n *directory.Network, have *directory.Consensus, role Role, now time.Time, rng *rand.Rand) time.Time {
	panic("unwritten")
}

// Failed notes a fetch that brought nothing newer.
func (s *Schedule) Failed(n *directory.Network, now time.Time, rng *rand.Rand) { panic("unwritten") }

// Succeeded forgets failures.
func (s *Schedule) Succeeded() { s.last = 0 }
