package path

import (
	"fmt"
	"strings"
)

// A Rule is one of the conditions on the relays of a path.
type Rule uint8

// The rules, in the order in which they are applied.
const (
	RuleRunning Rule = iota // listed as running and valid
	RuleFlag                // has the flag of the position, as an exit: any policy
	RuleShare               // has a share of the position
	RuleLayer               // is of the second layer, where a path needs that
	RulePort                // serves the destination's port
	RuleAvoid               // is not one of the exits to avoid
	RuleSame                // is not in the path already
	RuleFamily              // is of no family that is in the path already
	RuleGroup               // nor of one that was inferred
	RuleVoucher             // was not let in by the vouchers of an operator that is in the path already
	RuleSubnet              // is in no /16 (IPv6: /32) that is in the path already
	RuleAS                  // is in no autonomous system that is in the path already
)

// apartRules are those that hold between relays of one path.
var apartRules = []Rule{RuleSame, RuleFamily, RuleGroup, RuleVoucher, RuleSubnet, RuleAS}

var ruleNames = [...]string{"running", "with the flag", "with a share", "of the second layer", "serving the port", "not to be avoided",
	"not in the path already", "of another family", "of another inferred group", "of other vouchers", "in another /16",
	"in another AS"}

func (r Rule) String() string { return ruleNames[r] }

// A Count is how many relays are left after a rule and all before it.
type Count struct {
	Rule   Rule
	Relays int
}

// A NoPathError says why no path can be formed: which hop finds no relay, and
// how many relays each rule leaves for it. Its text names no destination.
type NoPathError struct {
	Position Position
	Left     []Count // in the order of application, up to the rule that leaves none
}

// Rule returns the rule that leaves no relay.
func (e *NoPathError) Rule() Rule {
	if len(e.Left) == 0 {
		return RuleRunning
	}
	return e.Left[len(e.Left)-1].Rule
}

func (e *NoPathError) Error() string {
	parts := make([]string, len(e.Left))
	for i, c := range e.Left {
		parts[i] = fmt.Sprintf("%d %v", c.Relays, c.Rule)
	}
	return fmt.Sprintf("no path: no relay for the %v: %s", e.Position, strings.Join(parts, ", "))
}
