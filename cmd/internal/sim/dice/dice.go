// Package dice is the randomness of a simulation: a generator for each seed,
// purpose and pair of counters, so that what one client meets on one day depends
// neither on the number of threads nor on what was drawn before. It is not for
// keys.
package dice

import "math/rand/v2"

// A Seed makes a whole run repeatable.
type Seed uint64

// A Purpose keeps apart what is drawn for different things.
type Purpose uint64

// Of returns the number that belongs to a purpose and two counters.
func (s Seed) Of(p Purpose, a, b uint64) uint64 {
	return mix(mix(mix(mix(uint64(s))^uint64(p))^a) ^ b)
}

// Float returns Of as a number from 0 to less than 1.
func (s Seed) Float(p Purpose, a, b uint64) float64 { return float64(s.Of(p, a, b)>>11) / (1 << 53) }

// mix is SplitMix64's step and finaliser: each bit of x changes half of the
// bits of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// A Dice is a generator that is set to a purpose and two counters again and
// again. One goroutine at a time may use it.
type Dice struct {
	*rand.Rand
	seed Seed
	pcg  rand.PCG
}

// New returns dice of that seed; [Dice.Set] comes before the first draw.
func New(s Seed) *Dice {
	d := &Dice{seed: s}
	d.Rand = rand.New(&d.pcg)
	return d
}

// Set begins the sequence that belongs to a purpose and two counters.
func (d *Dice) Set(p Purpose, a, b uint64) *rand.Rand {
	x := d.seed.Of(p, a, b)
	d.pcg.Seed(x, mix(x))
	return d.Rand
}

// Rand returns a generator of its own for a purpose.
func (s Seed) Rand(p Purpose, a, b uint64) *rand.Rand { return New(s).Set(p, a, b) }
