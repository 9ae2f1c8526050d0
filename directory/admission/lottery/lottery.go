// Package lottery makes one random value a day that no authority can choose:
// each commits to a number on one half of the day and reveals it on the other.
// It is a pure function of what votes carry.
//
// Specification: docs/protocol.md, "Shared randomness".
package lottery
