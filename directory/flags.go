package directory

import (
	"fmt"
	"math/bits"
	"strings"
)

// Flags are what authorities say about a relay.
type Flags uint16

const ( // fixed by docs/protocol.md, "Flags": in the order of their names
	Exit    Flags = 1 << iota // allows both 80 and 443 to most of the internet
	Fast                      // bandwidth for more than light use
	Guard                     // fit to be the first hop of a client for months
	HSDir                     // fit to keep descriptors of onion services
	Running                   // a link to each of its addresses worked lately
	Stable                    // circuits with long-lived streams are safe on it
	Valid                     // admitted

	// AllFlags are the flags that this version knows.
	AllFlags = Exit | Fast | Guard | HSDir | Running | Stable | Valid
)

// flagNames has the name of each bit, from the lowest.
var flagNames = [...]string{"Exit", "Fast", "Guard", "HSDir", "Running", "Stable", "Valid"}

// Has reports whether all flags in want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// String returns the names of the flags set, in order, separated by spaces.
func (f Flags) String() string { return string(f.appendTo(nil)) }

func (f Flags) appendTo(b []byte) []byte {
	first := true
	for i, name := range flagNames {
		if f&(1<<i) == 0 {
			continue
		}
		if !first {
			b = append(b, ' ')
		}
		b, first = append(b, name...), false
	}
	return b
}

// ParseFlags reads what String returns: known names, each once, in order. The
// empty string is no flags.
func ParseFlags(s string) (Flags, error) {
	var f Flags
	for s != "" {
		name, rest, more := strings.Cut(s, " ")
		bit := flagBit(name)
		if bit == 0 || bit <= f || more && rest == "" {
			return 0, fmt.Errorf("%w: flags", ErrMalformed)
		}
		f, s = f|bit, rest
	}
	return f, nil
}

func flagBit(name string) Flags {
	for i, n := range flagNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// Len returns the number of flags set.
func (f Flags) Len() int { return bits.OnesCount16(uint16(f)) }
