package cell

import "fmt"

// An ExtendRequest is what the fragments of EXTEND make up: the identity of the
// relay to extend to 32, the handshake for it 1416.
type ExtendRequest struct {
	Identity  [IdentitySize]byte
	Handshake []byte
}

// ParseExtend decodes what an [Assembler] for EXTEND has put together. The
// result aliases b.
func ParseExtend(b []byte) (ExtendRequest, error) {
	if len(b) != extendSize {
		return ExtendRequest{}, fmt.Errorf("EXTEND of %d bytes: %w", len(b), ErrMalformed)
	}
	return ExtendRequest{Identity: [IdentitySize]byte(b), Handshake: b[IdentitySize:extendSize:extendSize]}, nil
}

// AppendBinary encodes r behind b. It refuses a handshake of another length.
func (r ExtendRequest) AppendBinary(b []byte) ([]byte, error) {
	if len(r.Handshake) != HandshakeSize {
		return b, fmt.Errorf("EXTEND with a handshake of %d bytes: %w", len(r.Handshake), ErrMalformed)
	}
	return append(append(b, r.Identity[:]...), r.Handshake...), nil
}
