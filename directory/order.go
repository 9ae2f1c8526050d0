package directory

import (
	"bytes"

	"tunic/directory/keys"
)

// CompareID orders identities as documents do.
func CompareID(a, b keys.RelayID) int { return bytes.Compare(a[:], b[:]) }

func compareDigest(a, b Digest) int { return bytes.Compare(a[:], b[:]) }

// strictly reports whether the list ascends strictly: in order, none twice.
func strictly[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}
