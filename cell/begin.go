package cell

import (
	"encoding/binary"
	"fmt"
)

// BeginFlags say which address families a BEGIN may use.
type BeginFlags uint8

// The flags of BEGIN. All other bits are 0, and the first two are never set
// together.
const (
	BeginNoIPv6     BeginFlags = 1 << 0 // IPv6 is not wanted
	BeginNoIPv4     BeginFlags = 1 << 1 // IPv4 is not wanted
	BeginPreferIPv6 BeginFlags = 1 << 2 // where the name has both, IPv6 first

	beginFlags  = BeginNoIPv6 | BeginNoIPv4 | BeginPreferIPv6
	beginNoAddr = BeginNoIPv6 | BeginNoIPv4
)

// Valid reports whether f is a combination that BEGIN may carry.
func (f BeginFlags) Valid() bool {
	return f&^beginFlags == 0 && f&beginNoAddr != beginNoAddr
}

// A BeginRequest is the data of BEGIN: flags 1, port 2, host length 1, host.
// Host is a name or an address in text (IPv6 without brackets), in lower case.
type BeginRequest struct {
	Flags BeginFlags
	Host  string
	Port  uint16
}

const beginFixed = 1 + 2 // flags, port

// ParseBegin decodes the data of BEGIN. The result does not alias b.
func ParseBegin(b []byte) (BeginRequest, error) {
	if len(b) < beginFixed {
		return BeginRequest{}, fmt.Errorf("BEGIN of %d bytes: %w", len(b), ErrMalformed)
	}
	r := BeginRequest{Flags: BeginFlags(b[0]), Port: binary.BigEndian.Uint16(b[1:])}
	host, rest, err := takeHost(b[beginFixed:])
	if err != nil {
		return BeginRequest{}, fmt.Errorf("BEGIN: %w", err)
	}
	if len(rest) != 0 {
		return BeginRequest{}, fmt.Errorf("BEGIN with %d bytes too many: %w", len(rest), ErrMalformed)
	}
	r.Host = host
	if err := r.check(); err != nil {
		return BeginRequest{}, err
	}
	return r, nil
}

func (r BeginRequest) check() error {
	if !r.Flags.Valid() {
		return fmt.Errorf("BEGIN with flags %#02x: %w", uint8(r.Flags), ErrMalformed)
	}
	if r.Port == 0 {
		return fmt.Errorf("BEGIN without a port: %w", ErrMalformed)
	}
	return nil
}

// AppendBinary encodes r behind b. It refuses what [ParseBegin] would refuse.
func (r BeginRequest) AppendBinary(b []byte) ([]byte, error) {
	if err := checkHost(r.Host); err != nil {
		return b, fmt.Errorf("BEGIN: %w", err)
	}
	if err := r.check(); err != nil {
		return b, err
	}
	b = append(b, byte(r.Flags))
	b = binary.BigEndian.AppendUint16(b, r.Port)
	return appendHost(b, r.Host), nil
}
