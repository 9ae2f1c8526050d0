// Package path decides which relays a circuit goes through: the guards that a
// client keeps for months, and, for each circuit, a guard, a middle and an exit
// drawn by their shares among those that the rules allow. It makes decisions and
// nothing else: the consensus, the time and the randomness are arguments, there
// is no clock, no disk and no network, so that a simulation runs years of it.
//
// A [View] is one consensus prepared for drawing. [Guards] is the persistent
// choice of first hops (Tor's proposal 271: sampled, filtered, confirmed,
// primary), a state machine that is told what became of each [Attempt].
// [View.Select] brings the two together: the guard is taken first and the exit
// drawn among the others, so that no destination moves a client off its guard.
//
// Rules of a path: three different relays, no two of one family, proved or
// inferred, of one operator's vouchers, in one IPv4 /16 or IPv6 /32 (unless the
// network file says that all share one), or in one AS; the first a guard of this
// client, the last one that serves the port.
//
// What an attacker with many relays gains is bounded in three places: the shares,
// which the authorities cap; the sample of guards, which holds few of any group;
// and the draw budget, which says how many of the sample a client comes to use,
// whatever is done to the others. [View.Expose] computes what is left.
//
// Specification: docs/protocol.md, "Choosing a path".
package path

import (
	"tunic/directory"
	"tunic/directory/keys"
)

// A Position is a relay's place in a circuit.
type Position uint8

// The positions, in the order of the hops.
const (
	Guard Position = iota
	Middle
	Exit
)

// Hops is the length of a circuit.
const Hops = 3

func (p Position) String() string { return [...]string{"guard", "middle", "exit"}[p] }

// A Path is the relays of a circuit, the guard first. They belong to the
// consensus that they were drawn from.
type Path [Hops]*directory.Relay

// A Family says over which version of IP an exit has to reach a destination.
type Family uint8

// The families. The zero value is what a name needs whose addresses only the
// exit will learn.
const (
	Either Family = iota // IPv4 or IPv6
	IPv4
	IPv6
)

// A Need is what a circuit is wanted for.
type Need struct {
	Port    uint16         // the destination's port; 0: any exit, as for looking a name up
	Family  Family         // how the exit has to reach it
	NotExit []keys.RelayID // exits not to take, since they just refused or failed
	// NotMiddle are middles not to take, since they do not answer. An error counts
	// them as if they were taken.
	NotMiddle []keys.RelayID
}
