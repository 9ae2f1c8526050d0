package directory

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Versions is a set of small version numbers, 1 to 31: bit v stands for v.
type Versions uint32

// MaxVersion is the greatest number that a set of versions can hold.
const MaxVersion = 31 // fixed by docs/protocol.md, "Documents"

// VersionsOf returns the set of the given numbers; those out of range are left out.
func VersionsOf(list ...uint8) Versions {
	var v Versions
	for _, n := range list {
		if n >= 1 && n <= MaxVersion {
			v |= 1 << n
		}
	}
	return v
}

// Has reports whether n is in the set.
func (v Versions) Has(n uint8) bool { return n >= 1 && n <= MaxVersion && v&(1<<n) != 0 }

// List returns the numbers in the set, ascending.
func (v Versions) List() []uint8 {
	list := make([]uint8, 0, bits.OnesCount32(uint32(v)))
	for n := uint8(1); n <= MaxVersion; n++ {
		if v.Has(n) {
			list = append(list, n)
		}
	}
	return list
}

// String returns the numbers ascending, separated by commas.
func (v Versions) String() string { return string(v.appendTo(nil)) }

func (v Versions) appendTo(b []byte) []byte {
	for i, n := range v.List() {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	return b
}

// ParseVersions reads what String returns; the set is not empty.
func ParseVersions(s string) (Versions, error) {
	var v Versions
	for more := true; more; {
		var field string
		field, s, more = strings.Cut(s, ",")
		n, err := parseUint(field, MaxVersion)
		if err != nil || n == 0 || v>>n != 0 { // 0, or not ascending
			return 0, fmt.Errorf("%w: versions", ErrMalformed)
		}
		v |= 1 << n
	}
	return v, nil
}
