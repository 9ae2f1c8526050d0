package linktest

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"

	"tunic/cell"
	"tunic/cell/hybrid"
)

// A Cell is one cell as it travels. A body shorter than 512 bytes is filled up with
// zeros.
type Cell struct {
	ID      cell.CircuitID
	Command cell.Command
	Body    []byte
}

func (c Cell) String() string { return fmt.Sprintf("%v on %#x", c.Command, uint32(c.ID)) }

// direction is the record layer of one direction, written plainly.
type direction struct {
	cipher  *hybrid.Cipher
	lengths cipher.Stream
	count   int
}

func newDirection(c *hybrid.Cipher) *direction {
	block, err := aes.NewCipher(c.Export("tunic link length v1", 16))
	if err != nil {
		panic(err)
	}
	return &direction{cipher: c, lengths: cipher.NewCTR(block, make([]byte, 16))}
}

func (d *direction) counted() {
	if d.count++; d.count%4096 == 0 {
		d.cipher.Rekey()
	}
}

// seal makes a record: the masked length, then the sealed cells.
func (d *direction) seal(plain []byte) []byte {
	sealed, err := d.cipher.Seal(nil, plain)
	if err != nil {
		panic(err)
	}
	d.counted()
	return append(d.maskedLength(len(sealed)), sealed...)
}

func (d *direction) maskedLength(n int) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(n))
	d.lengths.XORKeyStream(b, b)
	return b
}

// open reads a record and returns its plaintext.
func (d *direction) open(r io.Reader) ([]byte, error) {
	b := make([]byte, 2)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	d.lengths.XORKeyStream(b, b)
	sealed := make([]byte, binary.BigEndian.Uint16(b))
	if len(sealed) < 533 || (len(sealed)-16)%517 != 0 || len(sealed) > 31*517+16 {
		return nil, fmt.Errorf("a record of %d bytes", len(sealed))
	}
	if _, err := io.ReadFull(r, sealed); err != nil {
		return nil, err
	}
	plain, err := d.cipher.Open(nil, sealed)
	d.counted()
	return plain, err
}

// cells splits a record's plaintext.
func cells(plain []byte) []Cell {
	var all []Cell
	for ; len(plain) > 0; plain = plain[517:] {
		all = append(all, Cell{cell.CircuitID(binary.BigEndian.Uint32(plain)), cell.Command(plain[4]), plain[5:517:517]})
	}
	return all
}

// plain joins cells to a record's plaintext.
func plain(all []Cell) []byte {
	var b []byte
	for _, c := range all {
		b = binary.BigEndian.AppendUint32(b, uint32(c.ID))
		b = append(b, byte(c.Command))
		b = append(b, c.Body...)
		b = append(b, make([]byte, 512-len(c.Body))...)
	}
	return b
}
