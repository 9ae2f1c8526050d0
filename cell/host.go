package cell

import (
	"fmt"
	"net/netip"
)

const ( // fixed by docs/protocol.md, "Stream messages"; bytes
	maxHost = 253 // the longest name that DNS can carry, without the last dot
)

// checkHost says whether h may stand for a destination: 1 to 253 bytes of
// printable ASCII, no space, no upper case, no slash. Whether it is an address
// or a name, and whether the name makes sense, is the exit's to find out.
func checkHost(h string) error {
	if len(h) < 1 || len(h) > maxHost {
		return fmt.Errorf("host of %d bytes: %w", len(h), ErrMalformed)
	}
	for i := range len(h) {
		if c := h[i]; c <= ' ' || c > '~' || c == '/' || 'A' <= c && c <= 'Z' {
			return fmt.Errorf("host with the byte %#02x: %w", c, ErrMalformed)
		}
	}
	return nil
}

// takeHost decodes a host with its length byte from the front of b.
func takeHost(b []byte) (host string, rest []byte, err error) {
	if len(b) < 1 || int(b[0]) > len(b)-1 {
		return "", nil, fmt.Errorf("host beyond the message: %w", ErrMalformed)
	}
	n := int(b[0])
	host = string(b[1 : 1+n])
	if err := checkHost(host); err != nil {
		return "", nil, err
	}
	return host, b[1+n:], nil
}

// appendHost encodes a host, already checked, with its length byte.
func appendHost(b []byte, host string) []byte {
	b = append(b, byte(len(host)))
	return append(b, host...)
}

// checkAddr refuses the forms of an address that have no encoding of their own:
// with a zone, and IPv4 inside IPv6.
func checkAddr(a netip.Addr) error {
	if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
		return fmt.Errorf("address not in its shortest form: %w", ErrMalformed)
	}
	return nil
}
