package hybrid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"github.com/flynn/noise"
)

// suite is the Noise cipher suite 25519_AESGCM_SHA256 for one handshake. It
// keeps the private keys parsed (flynn/noise's own suite parses one at every
// use, which costs as much as using it), and hands Noise slot numbers in place
// of their bytes.
type suite struct {
	static    *ecdh.PrivateKey // nil at the initiator
	ephemeral *ecdh.PrivateKey // nil until the handshake makes it
}

// forget drops the private keys: a session's ciphers keep the suite for as long as
// they live, and nobody may find with them how the session began.
func (s *suite) forget() {
	if s != nil {
		s.static, s.ephemeral = nil, nil
	}
}

// The slots: what stands in noise.DHKey.Private.
const (
	slotStatic    = 0
	slotEphemeral = 1
)

var (
	errSlot = errors.New("no such private key")

	suiteName = []byte("25519_AESGCM_SHA256")
)

func (*suite) Name() []byte       { return suiteName }
func (*suite) DHName() string     { return "25519" }
func (*suite) CipherName() string { return "AESGCM" }
func (*suite) HashName() string   { return "SHA256" }
func (*suite) DHLen() int         { return keySize }
func (*suite) Hash() hash.Hash    { return sha256.New() }

// GenerateKeypair makes the ephemeral key. Keys come from crypto/rand alone.
func (s *suite) GenerateKeypair(io.Reader) (noise.DHKey, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return noise.DHKey{}, err
	}
	s.ephemeral = key
	return noise.DHKey{Private: []byte{slotEphemeral}, Public: key.PublicKey().Bytes()}, nil
}

// DH refuses public keys of small order: crypto/ecdh refuses a result of zeros.
func (s *suite) DH(slot, public []byte) ([]byte, error) {
	if len(slot) != 1 || slot[0] > slotEphemeral {
		return nil, errSlot
	}
	key := s.static
	if slot[0] == slotEphemeral {
		key = s.ephemeral
	}
	if key == nil {
		return nil, errSlot
	}
	peer, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return key.ECDH(peer)
}

// Cipher makes no AES key before it is used: a handshake derives five keys and
// uses two.
func (*suite) Cipher(k [32]byte) noise.Cipher { return &aead{key: k} }

// aead is AES-256-GCM with Noise's nonces. It serves one goroutine.
type aead struct {
	gcm   cipher.AEAD // nil until the first use
	nonce [12]byte    // here, so that no record allocates one
	key   [32]byte    // zeros after the first use
}

func (a *aead) prepare(n uint64) {
	if a.gcm == nil {
		block, err := aes.NewCipher(a.key[:])
		if err != nil { // 32 bytes are always a key
			panic("hybrid: " + err.Error())
		}
		a.gcm, err = cipher.NewGCM(block)
		if err != nil { // AES has GCM's block size
			panic("hybrid: " + err.Error())
		}
		clear(a.key[:])
	}
	binary.BigEndian.PutUint64(a.nonce[4:], n)
}

func (a *aead) Encrypt(out []byte, n uint64, ad, plaintext []byte) []byte {
	a.prepare(n)
	return a.gcm.Seal(out, a.nonce[:], plaintext, ad)
}

func (a *aead) Decrypt(out []byte, n uint64, ad, ciphertext []byte) ([]byte, error) {
	a.prepare(n)
	return a.gcm.Open(out, a.nonce[:], ciphertext, ad)
}
