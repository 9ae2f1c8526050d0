package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// An identity under a passphrase is a key file with these lines behind its
// public key; the sealed bytes are the private key under XChaCha20-Poly1305,
// with all lines before as additional data:
//
//	argon2id 3 65536 4   passes, KiB of memory, lanes
//	salt dzRl…           22 characters: 16 bytes
//	nonce 9QsG…          32 characters: 24 bytes
//	sealed Ej1v…         64 characters: 48 bytes

// What is wrong with a passphrase.
var (
	// ErrLocked says that the identity is under a passphrase.
	ErrLocked = errors.New("identity key is locked by a passphrase")
	// ErrPassphrase says that a passphrase does not open the identity, or that
	// the file was changed.
	ErrPassphrase = errors.New("wrong passphrase")
)

// A cost is what argon2id is asked to spend.
type cost struct{ passes, memory, lanes uint64 } // memory in KiB

// cost64M is our choice for new files: the second recommendation of RFC 9106.
var cost64M = cost{passes: 3, memory: 64 << 10, lanes: 4}

// valid bounds, on reading, what a file may ask for: 256 MiB and 16 passes. The
// lower bound of the memory is argon2's own.
func (c cost) valid() bool {
	return 1 <= c.passes && c.passes <= 16 && 1 <= c.lanes && c.lanes <= 16 &&
		8*c.lanes <= c.memory && c.memory <= 256<<10
}

func (c cost) String() string { return fmt.Sprintf("%d %d %d", c.passes, c.memory, c.lanes) }

func parseCost(text string) (c cost, err error) {
	fields := strings.Split(text, " ")
	if len(fields) == 3 {
		var errs [3]error
		c.passes, errs[0] = strconv.ParseUint(fields[0], 10, 8)
		c.memory, errs[1] = strconv.ParseUint(fields[1], 10, 32)
		c.lanes, errs[2] = strconv.ParseUint(fields[2], 10, 8)
		err = errors.Join(errs[:]...)
	}
	if err != nil || c.String() != text || !c.valid() {
		return cost{}, fmt.Errorf("key file: line %q: %w", "argon2id", ErrMalformed)
	}
	return c, nil
}

// sealed is an identity under a passphrase.
type sealed struct {
	public [32]byte
	cost   cost
	salt   [16]byte
	nonce  [chacha20poly1305.NonceSizeX]byte
	box    [32 + chacha20poly1305.Overhead]byte
}

// head returns the lines before the sealed bytes.
func (s *sealed) head() []byte {
	var b bytes.Buffer
	b.WriteString(fileSealed.header() + "\n")
	line(&b, "public", encodeText(s.public[:]))
	line(&b, "argon2id", []byte(s.cost.String()))
	line(&b, "salt", encodeText(s.salt[:]))
	line(&b, "nonce", encodeText(s.nonce[:]))
	return b.Bytes()
}

func (s *sealed) encode() []byte {
	b := bytes.NewBuffer(s.head())
	line(b, "sealed", encodeText(s.box[:]))
	return b.Bytes()
}

func parseSealed(b []byte) (*sealed, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("key file of %d bytes: %w", len(b), ErrMalformed)
	}
	l := &lines{rest: b}
	if kind := l.header(); l.err == nil && kind != fileSealed {
		return nil, fmt.Errorf("key file: a %s, not a %s: %w", kind, fileSealed, ErrMalformed)
	}
	s := new(sealed)
	l.bytes(s.public[:], "public")
	if v := l.next("argon2id"); l.err == nil {
		s.cost, l.err = parseCost(string(v))
	}
	l.bytes(s.salt[:], "salt")
	l.bytes(s.nonce[:], "nonce")
	l.bytes(s.box[:], "sealed")
	if err := l.done(); err != nil {
		return nil, err
	}
	return s, nil
}

// seal puts k under the passphrase.
func seal(k *IdentityKey, passphrase []byte, c cost) *sealed {
	s := &sealed{public: k.public(), cost: c}
	_, _ = rand.Read(s.salt[:]) // never fails: crypto/rand ends the process first
	_, _ = rand.Read(s.nonce[:])
	seed := k.key.Seed()
	defer clear(seed)
	s.withKey(passphrase, func(key []byte) {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil { // the key has the right length
			panic("keys: " + err.Error())
		}
		aead.Seal(s.box[:0], s.nonce[:], seed, s.head())
	})
	return s
}

// open returns the identity.
func (s *sealed) open(passphrase []byte) (*IdentityKey, error) {
	var seed [32]byte
	defer clear(seed[:])
	var failed error
	s.withKey(passphrase, func(key []byte) {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil { // the key has the right length
			panic("keys: " + err.Error())
		}
		_, failed = aead.Open(seed[:0], s.nonce[:], s.box[:], s.head())
	})
	if failed != nil {
		return nil, ErrPassphrase
	}
	k := new(IdentityKey)
	k.set(&seed)
	if k.public() != s.public {
		k.Wipe()
		return nil, fmt.Errorf("key file: private and public key differ: %w", ErrMalformed)
	}
	return k, nil
}

// withKey spends the cost, and wipes the key after use.
func (s *sealed) withKey(passphrase []byte, use func(key []byte)) {
	key := argon2.IDKey(passphrase, s.salt[:], uint32(s.cost.passes), uint32(s.cost.memory), uint8(s.cost.lanes), chacha20poly1305.KeySize)
	defer clear(key)
	use(key)
}

// EncodeIdentity returns the key file of k, under the passphrase unless that is
// empty. Sealing takes 64 MiB of memory and about 0.2 s.
func EncodeIdentity(k *IdentityKey, passphrase []byte) []byte {
	if len(passphrase) != 0 {
		return seal(k, passphrase, cost64M).encode()
	}
	r := record{kind: fileIdentity, public: k.public(), private: [32]byte(k.key[:ed25519.SeedSize])}
	defer r.wipe()
	return r.encode()
}

// ParseIdentity decodes the key file of an identity. Where it is under a
// passphrase and none is given the error is [ErrLocked], where a wrong one is
// given [ErrPassphrase]; for bytes that are no such file [ErrMalformed]. A file
// may ask for at most 256 MiB of memory.
func ParseIdentity(b, passphrase []byte) (*IdentityKey, error) {
	if !isSealed(b) {
		r, err := parseRecord(b, fileIdentity)
		if err != nil {
			return nil, err
		}
		defer r.wipe()
		k := new(IdentityKey)
		k.set(&r.private)
		return k, nil
	}
	s, err := parseSealed(b)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return nil, ErrLocked
	}
	return s.open(passphrase)
}
