package cell

import "fmt"

// ParseEnd decodes the data of END: exactly one byte, not 0. A reason that this
// version does not know is accepted.
func ParseEnd(b []byte) (EndReason, error) {
	if len(b) != 1 {
		return 0, fmt.Errorf("END of %d bytes: %w", len(b), ErrMalformed)
	}
	if b[0] == 0 {
		return 0, fmt.Errorf("END with reason 0: %w", ErrMalformed)
	}
	return EndReason(b[0]), nil
}

// AppendBinary encodes the data of END behind b. It refuses 0.
func (r EndReason) AppendBinary(b []byte) ([]byte, error) {
	if r == 0 {
		return b, fmt.Errorf("END with reason 0: %w", ErrMalformed)
	}
	return append(b, byte(r)), nil
}

// ParseEmpty checks the data of a message that carries none: BEGIN_DIR, XOFF.
func ParseEmpty(b []byte) error {
	if len(b) != 0 {
		return fmt.Errorf("%d bytes where none belong: %w", len(b), ErrMalformed)
	}
	return nil
}
