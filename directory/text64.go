package directory

import (
	"encoding/base64"
	"fmt"
)

// encoding64 is the one form of binary fields: unpadded base64url, whose spare
// bits must be zero.
var encoding64 = base64.RawURLEncoding.Strict()

// decode64 reads exactly n bytes in their canonical form.
func decode64(s string, n int) ([]byte, error) {
	if len(s) != encoding64.EncodedLen(n) {
		return nil, fmt.Errorf("%w: base64 of %d characters for %d bytes", ErrMalformed, len(s), n)
	}
	b := make([]byte, n)
	for i := range len(s) { // the decoder would skip line ends
		if s[i] == '\n' || s[i] == '\r' {
			return nil, fmt.Errorf("%w: line end in base64", ErrMalformed)
		}
	}
	if m, err := encoding64.Decode(b, []byte(s)); err != nil || m != n {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	return b, nil
}
