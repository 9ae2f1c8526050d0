package cell

import "fmt"

// ParseDestroy decodes the body of a DESTROY cell: reason 1, the rest ignored.
// Every value is accepted; the reason is a claim.
func ParseDestroy(body []byte) (Reason, error) {
	if len(body) != BodySize {
		return 0, fmt.Errorf("DESTROY with a body of %d bytes: %w", len(body), ErrMalformed)
	}
	return Reason(body[0]), nil
}
