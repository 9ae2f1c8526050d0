package keys

import (
	"crypto"
	"crypto/ed25519"
	"errors"
)

// SignatureSize is the size of every signature in bytes.
const SignatureSize = ed25519.SignatureSize

// ErrSignature says that a signature is not by the key that should have made
// it, or not over these bytes, or not in this context.
var ErrSignature = errors.New("wrong signature")

// sign makes an Ed25519ctx signature. An empty context would be plain Ed25519,
// which only a note key may make; it panics on one.
func (s *signer) sign(c Context, msg []byte) (sig [SignatureSize]byte) {
	if c == "" {
		panic("keys: signature without a context")
	}
	b, err := s.key.Sign(nil, msg, &ed25519.Options{Hash: crypto.Hash(0), Context: string(c)})
	if err != nil { // only for a context over 255 bytes
		panic("keys: " + err.Error())
	}
	copy(sig[:], b)
	return sig
}

// Sign signs msg in context c.
func (k *SigningKey) Sign(c Context, msg []byte) [SignatureSize]byte { return k.sign(c, msg) }

// Verify checks that sig is k's signature over msg in context c. The error is
// [ErrSignature]. Keys of small order, under which one signature fits many
// messages, are refused.
func Verify(k SigningPublic, c Context, msg, sig []byte) error {
	return verify((*[PublicSize]byte)(&k), c, msg, sig)
}

func verify(public *[PublicSize]byte, c Context, msg, sig []byte) error {
	if c == "" || len(sig) != SignatureSize || smallOrder(public) {
		return ErrSignature
	}
	err := ed25519.VerifyWithOptions(public[:], msg, sig, &ed25519.Options{Context: string(c)})
	if err != nil {
		return ErrSignature
	}
	return nil
}

// The y coordinates of the two points of order 8 that matter up to the sign of x,
// on Curve25519's Edwards form, little-endian.
var order8 = [2][PublicSize]byte{
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
}

// smallOrder reports whether public is a point of order 1, 2, 4 or 8, or has a
// y that is not reduced: no generated key is either.
func smallOrder(public *[PublicSize]byte) bool {
	y := *public
	y[31] &= 0x7f // the sign of x
	if y == order8[0] || y == order8[1] {
		return true
	}
	var low, high = true, y[31] == 0x7f
	for _, b := range y[1:] {
		low = low && b == 0
	}
	for _, b := range y[1:31] {
		high = high && b == 0xff
	}
	return low && y[0] <= 1 || high && y[0] >= 0xec // y is 0 or 1; y is -1, or p and above
}
