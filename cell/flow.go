package cell

import (
	"encoding/binary"
	"fmt"
)

// A SendmeTag is the data of SENDME: the tag of the last of the cells that it
// acknowledges, as the layer cipher gave it. Compare it in constant time.
type SendmeTag [TagSize]byte

// ParseSendme decodes the data of SENDME.
func ParseSendme(b []byte) (SendmeTag, error) {
	if len(b) != TagSize {
		return SendmeTag{}, fmt.Errorf("SENDME of %d bytes: %w", len(b), ErrMalformed)
	}
	return SendmeTag(b), nil
}

// AppendBinary encodes the data of SENDME behind b. The error is always nil.
func (t SendmeTag) AppendBinary(b []byte) ([]byte, error) { return append(b, t[:]...), nil }

// An XOnRate is the data of XON: how fast the peer's application reads, in units
// of 1,000 bytes per second; 0 is no limit.
type XOnRate uint32

const xonSize = 4 // bytes

// ParseXOn decodes the data of XON.
func ParseXOn(b []byte) (XOnRate, error) {
	if len(b) != xonSize {
		return 0, fmt.Errorf("XON of %d bytes: %w", len(b), ErrMalformed)
	}
	return XOnRate(binary.BigEndian.Uint32(b)), nil
}

// AppendBinary encodes the data of XON behind b. The error is always nil.
func (r XOnRate) AppendBinary(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint32(b, uint32(r)), nil
}
