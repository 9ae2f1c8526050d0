// Package keys holds a type per kind of key, the certificates that tie them to
// an identity, the contexts of all signatures, and the files that keep keys. It
// knows no documents and no connections: packages directory, link and handshake
// use it.
//
// An Ed25519 identity (a relay's or an authority's; it may stay offline)
// certifies a signing key, and the signing key certifies the X25519 keys that
// answer handshakes:
//
//	identity ──▶ signing key ──▶ link key
//	        │              └───▶ circuit keys
//	        └──▶ note key (authorities)
//
// Public keys are arrays that compare with == and serve as map keys; their text
// form is unpadded base64url, 43 characters. Private keys are pointers that
// print as a fixed word, never as their bytes. Parse errors do not echo their
// input.
//
// Every Ed25519 signature but the note key's is Ed25519ctx (RFC 8032, section
// 5.1) under one [Context] per purpose; all contexts and all labels of key
// derivations stand in labels.go.
//
// Specification: docs/protocol.md, "Keys". The two change together.
package keys

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// ErrMalformed is in the chain of every error about bytes that are not a key,
// a certificate or a key file.
var ErrMalformed = errors.New("malformed")

// hidden makes a private key print as a fixed word, whatever the verb.
type hidden struct{}

// Format prints the same word for every verb.
func (hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[private key]") }

// LogValue hides the key from package slog.
func (hidden) LogValue() slog.Value { return slog.StringValue("[private key]") }

// signer is an Ed25519 private key.
type signer struct {
	hidden
	_   [0]func() // not comparable: == does not run in constant time
	key ed25519.PrivateKey
}

func newSigner() (s signer) {
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails: crypto/rand ends the process first
	s.set(&seed)
	clear(seed[:])
	return s
}

func (s *signer) set(seed *[32]byte) {
	s.key = ed25519.NewKeyFromSeed(seed[:])
}

func (s *signer) public() (p [32]byte) {
	copy(p[:], s.key[32:])
	return p
}

// Wipe overwrites the key: best effort, the runtime may hold copies. A wiped
// key must not be used again.
func (s *signer) Wipe() { clear(s.key) }

// An IdentityKey is the private key of a relay's or an authority's identity.
type IdentityKey struct{ signer }

// A SigningKey is the private key that an identity certified for daily use.
type SigningKey struct{ signer }

// A NoteKey signs checkpoints in the signed-note format, for an authority.
type NoteKey struct{ signer }

// GenerateIdentity makes an identity.
func GenerateIdentity() *IdentityKey { return &IdentityKey{newSigner()} }

// GenerateSigning makes a signing key.
func GenerateSigning() *SigningKey { return &SigningKey{newSigner()} }

// GenerateNote makes a note key.
func GenerateNote() *NoteKey { return &NoteKey{newSigner()} }

// Public returns the identity.
func (k *IdentityKey) Public() RelayID { return RelayID(k.public()) }

// Public returns the public key.
func (k *SigningKey) Public() SigningPublic { return SigningPublic(k.public()) }

// Public returns the public key.
func (k *NoteKey) Public() NotePublic { return NotePublic(k.public()) }

// agreement is an X25519 private key, parsed once.
type agreement struct {
	hidden
	_   [0]func()
	key *ecdh.PrivateKey
}

func newAgreement() agreement {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil { // documented never to happen for X25519
		panic("keys: " + err.Error())
	}
	return agreement{key: key}
}

func (a *agreement) set(b *[32]byte) {
	key, err := ecdh.X25519().NewPrivateKey(b[:])
	if err != nil { // 32 bytes are always a key
		panic("keys: " + err.Error())
	}
	a.key = key
}

func (a *agreement) public() (p [32]byte) {
	copy(p[:], a.key.PublicKey().Bytes())
	return p
}

// ECDH returns the key in the form in which package hybrid takes it.
func (a *agreement) ECDH() *ecdh.PrivateKey { return a.key }

// Wipe drops the key; crypto/ecdh gives no way to overwrite it. A wiped key
// must not be used again.
func (a *agreement) Wipe() { a.key = nil }

// A LinkKey answers the handshakes of links.
type LinkKey struct{ agreement }

// A CircuitKey answers the handshakes of circuits.
type CircuitKey struct {
	agreement
	id CircuitKeyID
}

// GenerateLink makes a link key.
func GenerateLink() *LinkKey { return &LinkKey{newAgreement()} }

// GenerateCircuit makes a circuit key.
func GenerateCircuit() *CircuitKey {
	k := &CircuitKey{agreement: newAgreement()}
	k.id = k.Public().ID()
	return k
}

// Public returns the public key.
func (k *LinkKey) Public() LinkPublic { return LinkPublic(k.public()) }

// Public returns the public key.
func (k *CircuitKey) Public() CircuitPublic { return CircuitPublic(k.public()) }

// ID returns the public key's id, computed once.
func (k *CircuitKey) ID() CircuitKeyID { return k.id }
