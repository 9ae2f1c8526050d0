package cell

import "fmt"

const ( // fixed by docs/protocol.md, "Handshake fragments"; bytes
	// HandshakeSize is the length of a hop's handshake message, either way.
	HandshakeSize = 1416
	// IdentitySize is the length of the identity of the relay that EXTEND names.
	IdentitySize = 32
	// Fragments is how many cells or messages carry one handshake message.
	Fragments = 3

	fragmentIndexSize  = 1
	cellFragmentData   = BodySize - fragmentIndexSize // of a CREATE or CREATED cell
	extendFragmentData = MaxData - fragmentIndexSize  // of an EXTEND or EXTENDED message
	extendSize         = IdentitySize + HandshakeSize
)

// Three fragments are enough and two are not; does not compile otherwise.
const (
	_ = uint(Fragments*extendFragmentData - extendSize)
	_ = uint(HandshakeSize - (Fragments-1)*cellFragmentData - 1)
)

// A FragmentKind says which message fragments belong to, and so their lengths.
type FragmentKind uint8

// The kinds of fragments, with the number of data bytes in each of the three.
const (
	AssembleCreate   FragmentKind = iota // CREATE cells: 511, 511, 394
	AssembleCreated                      // CREATED cells: the same
	AssembleExtend                       // EXTEND messages: 490, 490, 468; identity 32, then the handshake
	AssembleExtended                     // EXTENDED messages: 490, 490, 436
)

// inCells reports whether the fragments fill the bodies of cells, not the data
// of relay messages.
func (k FragmentKind) inCells() bool { return k == AssembleCreate || k == AssembleCreated }

// Size returns the length in bytes of what the fragments make up together.
func (k FragmentKind) Size() int {
	if k == AssembleExtend {
		return extendSize
	}
	return HandshakeSize
}

// bounds returns where the data of fragment i lies in the whole.
func (k FragmentKind) bounds(i int) (from, to int) {
	step := extendFragmentData
	if k.inCells() {
		step = cellFragmentData
	}
	return i * step, min((i+1)*step, k.Size())
}

// A Fragment is one part of a handshake message: index 1, data. In a cell zeros
// follow up to the body's end.
type Fragment struct {
	Index uint8 // 0, 1, 2
	Data  []byte
}

// ParseFragment decodes b, the body of a CREATE or CREATED cell or the data of an
// EXTEND or EXTENDED message. The length must be exact, and what is left of a
// cell's body zero. The result aliases b.
func ParseFragment(k FragmentKind, b []byte) (Fragment, error) {
	if len(b) < fragmentIndexSize || b[0] >= Fragments {
		return Fragment{}, fmt.Errorf("fragment without its place: %w", ErrMalformed)
	}
	f := Fragment{Index: b[0]}
	from, to := k.bounds(int(f.Index))
	end := fragmentIndexSize + to - from
	switch {
	case k.inCells():
		if len(b) != BodySize || !allZero(b[end:]) {
			return Fragment{}, fmt.Errorf("fragment %d does not fill its cell as it must: %w", f.Index, ErrMalformed)
		}
	case len(b) != end:
		return Fragment{}, fmt.Errorf("fragment %d of %d bytes: %w", f.Index, len(b), ErrMalformed)
	}
	f.Data = b[fragmentIndexSize:end:end]
	return f, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// PutFragment writes fragment i (0, 1, 2) of whole to dst and returns its length:
// [BodySize], with zeros behind the data, for cells; up to [MaxData] for relay
// messages. It panics if whole has not exactly k.Size() bytes, if there is no
// fragment i, or if dst is too short.
func PutFragment(dst []byte, k FragmentKind, i int, whole []byte) int {
	if len(whole) != k.Size() || i < 0 || i >= Fragments {
		panic("cell: no such fragment")
	}
	from, to := k.bounds(i)
	n := fragmentIndexSize + to - from
	if k.inCells() {
		clear(dst[n:BodySize])
		n = BodySize
	}
	dst = dst[:n]
	dst[0] = byte(i)
	copy(dst[fragmentIndexSize:], whole[from:to])
	return n
}
