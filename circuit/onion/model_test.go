package onion

import (
	"crypto/aes"
	"encoding/binary"
)

// A slow textbook model of Counter Galois Onion. What differs between the
// published profile and tunic's is a value of type profile; the operations are
// the same code for both. The published vectors check the model in the published
// profile, and the model checks the shipped code in tunic's.

// A profile is what may differ between two versions of the cipher.
type profile struct {
	message int // bytes
	keys    int // bytes of key of one direction of one hop; the first 16 are the block cipher's

	// hash is UH over the tweak.
	hash func(keys []byte, chain [16]byte, ad byte, message []byte) [16]byte
	// stream returns the first n bytes of the stream of v.
	stream func(keys []byte, v [16]byte, n int) []byte

	// After each cell originated or recognised the nonce is renewed; after every
	// interval-th the keys. Both are bytes of that cell's stream.
	interval        int
	nonceAt, keysAt int
}

var published = &profile{
	message: 493,
	keys:    64, // KB, KU; K, B
	hash: func(k []byte, chain [16]byte, ad byte, message []byte) [16]byte {
		m := append(append(chain[:], ad), message...)
		return polyvalField.hash([16]byte(k[16:]), m)
	},
	stream: func(k []byte, v [16]byte, n int) []byte {
		counter := polyvalField.hash([16]byte(k[48:]), v[:])
		counter[15] &^= 63
		return blocks(k[32:48], n, func(i int) [16]byte {
			b := counter
			b[15] += byte(i) // does not carry: at most 37 blocks
			return b
		})
	},
	interval: 1,
	keysAt:   31 * 16,
	nonceAt:  31*16 + 64,
}

var tunic = &profile{
	message: 496,
	keys:    32, // KB, KS
	hash: func(k []byte, chain [16]byte, ad byte, message []byte) [16]byte {
		ks := k[16:]
		m := append(chain[:], message...)
		var lengths [16]byte
		binary.BigEndian.PutUint64(lengths[:], uint64(len(m))*8)
		sum := ghashField.hash(encrypt(ks, [16]byte{}), append(m, lengths[:]...))
		return xor(sum, encrypt(ks, firstCounter(ks, [16]byte{ad})))
	},
	stream: func(k []byte, v [16]byte, n int) []byte {
		ks := k[16:]
		first := firstCounter(ks, v)
		return blocks(ks, n, func(i int) [16]byte {
			b := first
			low := binary.BigEndian.Uint32(b[12:])
			binary.BigEndian.PutUint32(b[12:], low+1+uint32(i)) // wraps, and carries nowhere
			return b
		})
	},
	interval: 31,
	nonceAt:  496,
	keysAt:   512,
}

// firstCounter is GCM's J0 for a nonce of 16 bytes.
func firstCounter(ks []byte, nonce [16]byte) [16]byte {
	var lengths [16]byte
	binary.BigEndian.PutUint64(lengths[8:], 128)
	return ghashField.hash(encrypt(ks, [16]byte{}), append(nonce[:], lengths[:]...))
}

// blocks returns n bytes of the encrypted counter blocks 0, 1, 2, …
func blocks(key []byte, n int, counter func(i int) [16]byte) []byte {
	var out []byte
	for i := 0; len(out) < n; i++ {
		b := encrypt(key, counter(i))
		out = append(out, b[:]...)
	}
	return out[:n]
}

func encrypt(key []byte, in [16]byte) (out [16]byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	block.Encrypt(out[:], in[:])
	return out
}

func decrypt(key []byte, in [16]byte) (out [16]byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	block.Decrypt(out[:], in[:])
	return out
}

func xor(a, b [16]byte) (c [16]byte) {
	for i := range c {
		c[i] = a[i] ^ b[i]
	}
	return c
}

func xorBytes(a, b []byte) []byte {
	c := make([]byte, len(a))
	for i := range c {
		c[i] = a[i] ^ b[i]
	}
	return c
}

// A block is a body taken apart.
type block struct {
	tag     [16]byte
	message []byte
}

func (b block) bytes() []byte { return append(b.tag[:], b.message...) }

// A modelHop is one direction of one hop in the model.
type modelHop struct {
	p     *profile
	keys  []byte
	n     [16]byte
	chain [16]byte
	count int
}

func newModelHop(p *profile, k *Key) *modelHop {
	return &modelHop{p: p, keys: append([]byte(nil), k[:p.keys]...), n: [16]byte(k[p.keys:])}
}

// enc is ENC under the tweak chain ‖ ad.
func (h *modelHop) enc(ad byte, b block) block {
	sum := h.p.hash(h.keys, h.chain, ad, b.message)
	tag := xor(sum, encrypt(h.keys[:16], xor(b.tag, sum)))
	return block{tag, xorBytes(b.message, h.p.stream(h.keys, tag, h.p.message))}
}

// dec is DEC.
func (h *modelHop) dec(ad byte, b block) block {
	message := xorBytes(b.message, h.p.stream(h.keys, b.tag, h.p.message))
	sum := h.p.hash(h.keys, h.chain, ad, message)
	return block{xor(sum, decrypt(h.keys[:16], xor(b.tag, sum))), message}
}

// update is UPDATE with the value v, counted.
func (h *modelHop) update(v [16]byte) {
	n := h.p.stream(h.keys, v, h.p.nonceAt+16)[h.p.nonceAt:]
	if h.count++; h.count == h.p.interval {
		h.count = 0
		h.keys = h.p.stream(h.keys, v, h.p.keysAt+h.p.keys)[h.p.keysAt:]
	}
	h.n = [16]byte(n)
}

// The operations, as the specification's table has them.

func (h *modelHop) relayOutward(ad byte, b block) (out block, recognised bool, tag [16]byte) {
	tag = b.tag
	b = h.enc(ad, b)
	h.chain = b.tag
	if recognised = b.tag == h.n; recognised {
		h.update(h.n)
	}
	return b, recognised, tag
}

func (h *modelHop) relayInward(ad byte, b block) block {
	b = h.enc(ad, b)
	h.chain = b.tag
	return b
}

func (h *modelHop) relayOriginate(ad byte, b block) (out block, tag [16]byte) {
	b.tag = h.n
	b = h.enc(ad, b)
	h.chain = b.tag
	h.n = b.tag
	h.update(h.n)
	return b, b.tag
}

func (h *modelHop) clientOriginate(ad byte, b block) (out block, tag [16]byte) {
	b.tag = h.n
	b = h.dec(ad, b)
	h.chain = h.n
	h.update(h.n)
	return b, b.tag
}

func (h *modelHop) clientOutward(ad byte, b block) block {
	t := b.tag
	b = h.dec(ad, b)
	h.chain = t
	return b
}

func (h *modelHop) clientInward(ad byte, b block) (out block, recognised bool, tag [16]byte) {
	t := b.tag
	b = h.dec(ad, b)
	h.chain = t
	if recognised = b.tag == h.n; recognised {
		h.n = t
		h.update(h.n)
	}
	return b, recognised, t
}
