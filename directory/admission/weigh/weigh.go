// Package weigh says what share of each position of a path a relay gets: its
// weight times what its age lets it carry, times the position weights, cut where
// a group of relays would hold more of a position than its cap. All of it is
// integer arithmetic in a fixed order, so that anyone can replay it from the
// votes. It knows relays as package admission does, and nothing of how they got
// in.
//
// Specification: docs/protocol.md, "Shares".
package weigh
