package cell

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// A ConnectedReply is the data of CONNECTED: family 1 (0, 4, 6), address 0, 4 or
// 16, time to live 4. Addr is the address that the exit dialled; the zero Addr
// where there is none, as for a directory stream.
type ConnectedReply struct {
	Addr netip.Addr
	TTL  uint32 // seconds for which the name may be taken to have this address
}

// The families of CONNECTED.
const (
	familyNone = 0
	familyIPv4 = 4
	familyIPv6 = 6
)

const ttlSize = 4 // bytes

// ParseConnected decodes the data of CONNECTED.
func ParseConnected(b []byte) (ConnectedReply, error) {
	if len(b) < 1 {
		return ConnectedReply{}, fmt.Errorf("CONNECTED of 0 bytes: %w", ErrMalformed)
	}
	var size int
	switch b[0] {
	case familyNone:
	case familyIPv4:
		size = 4
	case familyIPv6:
		size = 16
	default:
		return ConnectedReply{}, fmt.Errorf("CONNECTED with address family %d: %w", b[0], ErrMalformed)
	}
	if len(b) != 1+size+ttlSize {
		return ConnectedReply{}, fmt.Errorf("CONNECTED of %d bytes: %w", len(b), ErrMalformed)
	}
	r := ConnectedReply{TTL: binary.BigEndian.Uint32(b[1+size:])}
	if size > 0 {
		r.Addr, _ = netip.AddrFromSlice(b[1 : 1+size])
		if err := checkAddr(r.Addr); err != nil {
			return ConnectedReply{}, fmt.Errorf("CONNECTED: %w", err)
		}
	}
	return r, nil
}

// AppendBinary encodes r behind b. It refuses an address with a zone and IPv4
// inside IPv6.
func (r ConnectedReply) AppendBinary(b []byte) ([]byte, error) {
	if !r.Addr.IsValid() {
		b = append(b, familyNone)
		return binary.BigEndian.AppendUint32(b, r.TTL), nil
	}
	if err := checkAddr(r.Addr); err != nil {
		return b, fmt.Errorf("CONNECTED: %w", err)
	}
	if r.Addr.Is4() {
		b = append(b, familyIPv4)
	} else {
		b = append(b, familyIPv6)
	}
	b = append(b, r.Addr.AsSlice()...)
	return binary.BigEndian.AppendUint32(b, r.TTL), nil
}
