package handshake

import (
	"encoding/binary"
	"fmt"
)

// Features is a set of protocol features, one bit each. No bit has a meaning
// in version 1: who grants a bit that was not asked breaks the protocol.
type Features uint64

// Extensions is what a client asks of a hop, or a hop grants. The zero value
// asks for nothing.
type Extensions struct {
	// SendmeInc is the number of DATA cells that one SENDME acknowledges; 0
	// leaves it unsaid.
	SendmeInc uint8
	Features  Features
}

const ( // fixed by docs/protocol.md, "Handshake with a hop": types of extensions
	extEnd       = 0 // zeros up to the payload's end
	extSendmeInc = 1 // one byte, not 0
	extFeatures  = 2 // 8 bytes, not 0

	extHeader = 1 + 1 // type, length of the value
)

// put writes e to b, which has room for all extensions, and zeros behind it.
func (e Extensions) put(b []byte) {
	clear(b)
	if e.SendmeInc != 0 {
		b[0], b[1], b[2] = extSendmeInc, 1, e.SendmeInc
		b = b[extHeader+1:]
	}
	if e.Features != 0 {
		b[0], b[1] = extFeatures, 8
		binary.BigEndian.PutUint64(b[extHeader:], uint64(e.Features))
	}
}

// parseExtensions decodes a padded payload: types ascending, each at most once,
// then zeros to the end. Types that it does not know it skips and counts: a
// relay ignores what it does not know, a client gets none that it did not ask.
func parseExtensions(b []byte) (e Extensions, unknown int, err error) {
	last := byte(extEnd)
	for len(b) > 0 && b[0] != extEnd {
		if len(b) < extHeader || int(b[1]) > len(b)-extHeader {
			return Extensions{}, 0, fmt.Errorf("%w: extension beyond the payload", ErrMalformed)
		}
		kind, value := b[0], b[extHeader:extHeader+int(b[1])]
		if kind <= last {
			return Extensions{}, 0, fmt.Errorf("%w: extension %d out of order", ErrMalformed, kind)
		}
		last = kind
		b = b[extHeader+len(value):]
		switch kind {
		case extSendmeInc:
			if len(value) != 1 || value[0] == 0 {
				return Extensions{}, 0, fmt.Errorf("%w: extension %d", ErrMalformed, kind)
			}
			e.SendmeInc = value[0]
		case extFeatures:
			if len(value) != 8 || binary.BigEndian.Uint64(value) == 0 {
				return Extensions{}, 0, fmt.Errorf("%w: extension %d", ErrMalformed, kind)
			}
			e.Features = Features(binary.BigEndian.Uint64(value))
		default:
			unknown++
		}
	}
	for _, c := range b {
		if c != 0 {
			return Extensions{}, 0, fmt.Errorf("%w: padding that is not zeros", ErrMalformed)
		}
	}
	return e, unknown, nil
}

// within reports whether granted holds nothing that asked does not. The value
// of SendmeInc is the relay's to choose, where the client named one.
func (granted Extensions) within(asked Extensions) bool {
	return granted.Features&^asked.Features == 0 && (granted.SendmeInc == 0 || asked.SendmeInc != 0)
}
