// Package sim says what an attacker who poses as many relays gains over months:
// it runs the network's own admission, weights and path selection in virtual
// time over a population of relays, beside the rules of other networks.
package sim
