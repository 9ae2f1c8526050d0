package link

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// errRecord is in the chain of what a record that is none causes.
var errRecord = errors.New("record")

// A lengthMask hides the lengths of one direction's records: each is XORed with
// the next two bytes of an AES-128-CTR stream that starts at zero, under a key
// derived from the direction's.
type lengthMask struct {
	stream cipher.Stream
	b      [lengthSize]byte // here, because what goes through the interface escapes
}

func newLengthMask(c *hybrid.Cipher) lengthMask {
	key := c.Export(keys.LabelLinkLength, lengthKey)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("link: " + err.Error()) // the key has the right length
	}
	clear(key)
	var iv [aes.BlockSize]byte
	return lengthMask{stream: cipher.NewCTR(block, iv[:])}
}

// next masks or unmasks the next length.
func (m *lengthMask) next(n uint16) uint16 {
	binary.BigEndian.PutUint16(m.b[:], n)
	m.stream.XORKeyStream(m.b[:], m.b[:])
	return binary.BigEndian.Uint16(m.b[:])
}

// A sealer makes the records of one direction.
type sealer struct {
	cipher *hybrid.Cipher
	mask   lengthMask
	count  int // records under this key
}

func newSealer(c *hybrid.Cipher) *sealer {
	return &sealer{cipher: c, mask: newLengthMask(c)}
}

// seal turns b, which holds room for the length and then whole cells, into a
// record, in place; b needs room for the tag behind it. It does not allocate.
func (s *sealer) seal(b []byte) ([]byte, error) {
	cells := b[lengthSize:]
	sealed, err := s.cipher.Seal(cells[:0], cells)
	if err != nil {
		return nil, fmt.Errorf("seal a record: %w", err)
	}
	binary.BigEndian.PutUint16(b, s.mask.next(uint16(len(sealed))))
	if s.count++; s.count == rekeyRecords {
		s.cipher.Rekey()
		s.count = 0
	}
	return b[:lengthSize+len(sealed)], nil
}

// An opener opens the records of the other direction.
type opener struct {
	cipher *hybrid.Cipher
	mask   lengthMask
	count  int
}

func newOpener(c *hybrid.Cipher) *opener {
	return &opener{cipher: c, mask: newLengthMask(c)}
}

// length unmasks the two bytes before a record and checks what they say. Each
// length may be asked for once.
func (o *opener) length(b []byte) (int, error) {
	n := int(o.mask.next(binary.BigEndian.Uint16(b)))
	if n > maxSealed || n < cell.Size+hybrid.TagSize || (n-hybrid.TagSize)%cell.Size != 0 {
		return 0, fmt.Errorf("%w of an impossible length: %w", errRecord, cell.ErrMalformed)
	}
	return n, nil
}

// open opens a record in place and returns its cells. It does not allocate.
func (o *opener) open(sealed []byte) ([]byte, error) {
	cells, err := o.cipher.Open(sealed[:0], sealed)
	if err != nil {
		return nil, fmt.Errorf("%w that does not open: %w", errRecord, cell.ErrMalformed)
	}
	if o.count++; o.count == rekeyRecords {
		o.cipher.Rekey()
		o.count = 0
	}
	return cells, nil
}
