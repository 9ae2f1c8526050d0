// Package detect finds groups of relays that arrive together or behave as one:
// arrivals beyond what the usual rate explains, and relays that have more in
// common than chance gives two strangers. What it finds is a suspicion, and its
// consequence is mild: quarantine. It knows no clock and no disk; the authority
// and the simulator run the same code.
//
// Specification: docs/protocol.md, "Detection".
package detect
