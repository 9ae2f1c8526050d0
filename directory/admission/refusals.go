package admission

import (
	"tunic/directory"
	"tunic/directory/rules"
)

// The names of the limits, as votes list them behind `refused`.
const (
	RefusedAddress      = "address"        // relays of one IPv4 address
	Refused64           = "net64"          // of one IPv6 /64
	Refused24           = "range24"        // of one IPv4 /24 or IPv6 /48
	Refused16           = "range16"        // of one IPv4 /16 or IPv6 /32
	RefusedAS           = "as"             // of one autonomous system
	RefusedNewOnAddress = "new-on-address" // identities that are new at one address
)

// Refusals says for each relay by which limit it is refused, "" if it is
// admitted. random is the shared random value that nobody could steer.
//
// Places are given away in the keep order ([compareKeep]): a relay takes one
// under each of its addresses, in each of their ranges and in its AS, or, where
// one of these is full, none anywhere: who is refused by one limit uses up no
// place of another.
//
// The limit of an AS grows with the network, whose size is the number of running
// relays that the other limits admit: identities that no address of their own
// stands behind raise it for nobody.
//
// Relays that are not running come last and so cost nobody a place; only for
// identities new at an address do they count, since to replace identities is to
// let the old ones go. First is the day voted for while a relay was never
// listed, so a relay refused as new is admitted when the window has passed.
func Refusals(relays []Relay, r *rules.Rules, random directory.Digest) []string {
	l := newLedger(relays, &r.Limits)
	order := keepOrder(relays, random)
	l.refuseNew(order)
	running := l.walk(order, 0)
	l.walk(order, max(r.Limits.PerAS, running*r.Limits.ASPermille/1000))
	return l.refused
}
