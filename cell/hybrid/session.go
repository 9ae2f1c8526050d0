package hybrid

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"

	"github.com/flynn/noise"
)

// A Session is the outcome of a handshake.
type Session struct {
	Send *Cipher  // what this end seals
	Recv *Cipher  // what this end opens
	Hash [32]byte // the handshake hash: the same at both ends, unique to the session
}

func newSession(state *noise.HandshakeState, send, recv *noise.CipherState) *Session {
	s := &Session{Send: &Cipher{state: send}, Recv: &Cipher{state: recv}}
	copy(s.Hash[:], state.ChannelBinding())
	return s
}

// ErrCipher says that a record was not what the peer sealed next. The cipher is
// of no use after it.
var ErrCipher = errors.New("record does not open")

// A Cipher seals or opens the records of one direction, in order. It serves one
// goroutine at a time; the two of a session are independent.
type Cipher struct {
	state  *noise.CipherState
	used   bool
	failed bool
}

// Seal appends plaintext, sealed, to dst: len(plaintext) + [TagSize] bytes. To
// seal in place, without allocation, pass plaintext[:0] with room for the tag.
func (c *Cipher) Seal(dst, plaintext []byte) ([]byte, error) {
	c.used = true
	return c.state.Encrypt(dst, nil, plaintext)
}

// Open appends the record's plaintext to dst; pass ciphertext[:0] to open in
// place, without allocation. After an error, [ErrCipher], it opens nothing any
// more.
func (c *Cipher) Open(dst, ciphertext []byte) ([]byte, error) {
	c.used = true
	if c.failed {
		return nil, ErrCipher
	}
	out, err := c.state.Decrypt(dst, nil, ciphertext)
	if err != nil {
		c.failed = true
		return nil, ErrCipher
	}
	return out, nil
}

// Rekey replaces the key by Noise's REKEY; the nonce counts on. Both ends call
// it after the same number of records.
func (c *Cipher) Rekey() {
	c.used = true
	c.state.Rekey()
}

// Export derives n bytes, at most 8,160, for a purpose of the caller's:
// HKDF-Expand-SHA256 of the direction's key as Noise's Split made it, with
// label as info. Both ends get the same bytes for one direction. It panics
// after the first Seal, Open or Rekey, so that nobody exports from a key that
// has moved on.
func (c *Cipher) Export(label string, n int) []byte {
	if c.used {
		panic("hybrid: export from a cipher in use")
	}
	key := c.state.UnsafeKey() // the one place where this is right: before the first record
	defer clear(key[:])
	out, err := hkdf.Expand(sha256.New, key[:], label, n)
	if err != nil { // only for an n over 255 hashes
		panic("hybrid: " + err.Error())
	}
	return out
}
