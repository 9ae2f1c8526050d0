package cell

import "fmt"

// DirNonceSize is the length in bytes of the random part that CREATE_DIR and
// CREATED_DIR carry.
const DirNonceSize = 32

// A DirNonce is what one side contributes to the keys of a one-hop circuit for
// the directory.
type DirNonce [DirNonceSize]byte

// ParseDirNonce decodes the body of a CREATE_DIR or CREATED_DIR cell: the nonce
// 32, the rest ignored.
func ParseDirNonce(body []byte) (DirNonce, error) {
	if len(body) != BodySize {
		return DirNonce{}, fmt.Errorf("CREATE_DIR with a body of %d bytes: %w", len(body), ErrMalformed)
	}
	return DirNonce(body[:DirNonceSize]), nil
}

// PutDirNonce writes the body of a CREATE_DIR or CREATED_DIR cell to body, which
// has [BodySize] bytes: the nonce, then zeros.
func PutDirNonce(body []byte, n *DirNonce) {
	body = body[:BodySize]
	clear(body[copy(body, n[:]):])
}
