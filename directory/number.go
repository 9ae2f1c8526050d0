package directory

import "fmt"

// parseUint reads a decimal number of at most max in its one form: no sign, no
// leading zero.
func parseUint(s string, max uint64) (uint64, error) {
	if s == "" || len(s) > 20 || s[0] == '0' && len(s) > 1 {
		return 0, fmt.Errorf("%w: number", ErrMalformed)
	}
	var n uint64
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if d > 9 || n > (max-min(d, max))/10 {
			return 0, fmt.Errorf("%w: number", ErrMalformed)
		}
		n = n*10 + d
	}
	if n > max {
		return 0, fmt.Errorf("%w: number", ErrMalformed)
	}
	return n, nil
}
