package onion

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"testing"
)

// The model's arithmetic: GF(2^128) bit by bit, in the two notations that GHASH
// and POLYVAL use. Slow and plain; nothing here is shared with the shipped code.

// A poly is a polynomial over GF(2) of degree below 128: the coefficient of x^i
// is bit i of hi ‖ lo.
type poly struct{ hi, lo uint64 }

func (p poly) add(q poly) poly { return poly{p.hi ^ q.hi, p.lo ^ q.lo} }

func (p poly) bit(i int) bool {
	if i >= 64 {
		return p.hi>>(i-64)&1 == 1
	}
	return p.lo>>i&1 == 1
}

// A field is GF(2^128) and how a hash function writes its elements as 16 bytes.
type field struct {
	modulus  poly // without x^128
	factor   poly // of each product: POLYVAL's x^-128
	msbFirst bool // the coefficient of x^0 is the first byte's highest bit, not its lowest
}

var (
	ghashField = field{
		modulus:  poly{0, 1<<7 | 1<<2 | 1<<1 | 1},
		factor:   poly{0, 1},
		msbFirst: true,
	}
	polyvalField = field{
		modulus: poly{1<<(127-64) | 1<<(126-64) | 1<<(121-64), 1},
		factor:  poly{1<<(127-64) | 1<<(124-64) | 1<<(121-64) | 1<<(114-64), 1},
	}
)

func (f field) read(b [16]byte) poly {
	if f.msbFirst {
		for i := range b {
			b[i] = bits.Reverse8(b[i])
		}
	}
	return poly{hi: binary.LittleEndian.Uint64(b[8:]), lo: binary.LittleEndian.Uint64(b[:])}
}

func (f field) write(p poly) (b [16]byte) {
	binary.LittleEndian.PutUint64(b[:], p.lo)
	binary.LittleEndian.PutUint64(b[8:], p.hi)
	if f.msbFirst {
		for i := range b {
			b[i] = bits.Reverse8(b[i])
		}
	}
	return b
}

// mul multiplies without the factor.
func (f field) mul(a, b poly) (c poly) {
	for i := 127; i >= 0; i-- {
		carry := c.bit(127)
		c = poly{c.hi<<1 | c.lo>>63, c.lo << 1}
		if carry {
			c = c.add(f.modulus)
		}
		if b.bit(i) {
			c = c.add(a)
		}
	}
	return c
}

// hash is GHASH or POLYVAL of m, which is padded with zeros to whole blocks.
func (f field) hash(key [16]byte, m []byte) [16]byte {
	k := f.mul(f.read(key), f.factor)
	var sum poly
	for len(m) > 0 {
		var block [16]byte
		m = m[copy(block[:], m):]
		sum = f.mul(sum.add(f.read(block)), k)
	}
	return f.write(sum)
}

func TestFieldVectors(t *testing.T) {
	for _, tt := range []struct {
		name         string
		field        field
		key, m, want string
	}{
		{"POLYVAL, RFC 8452 appendix A", polyvalField, "25629347589242761d31f826ba4b757b",
			"4f4f95668c83dfb6401762bb2d01a262d1a24ddd2721d006bbe45f20d3c9f362", "f7a3b47b846119fae5b7866cf5e5b77e"},
		{"GHASH, case 2 of the GCM specification", ghashField, "66e94bd4ef8a2c3b884cfa59ca342b2e",
			"0388dace60b6a392f328c2b971b2fe7800000000000000000000000000000080", "f38cbb1ad69223dcc3457ae5b6b0f885"},
	} {
		key, _ := hex.DecodeString(tt.key)
		m, _ := hex.DecodeString(tt.m)
		got := tt.field.hash([16]byte(key), m)
		if hex.EncodeToString(got[:]) != tt.want {
			t.Errorf("%s: %x, want %s", tt.name, got, tt.want)
		}
	}
	one := poly{0, 1}
	x128 := polyvalField.modulus // x^128 reduced
	if got := polyvalField.mul(polyvalField.factor, x128); got != one {
		t.Errorf("x^-128 · x^128 = %v", got)
	}
}
