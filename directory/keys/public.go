package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// PublicSize is the size of every public key in bytes.
const PublicSize = 32

// A RelayID is an Ed25519 identity, a relay's or an authority's.
type RelayID [PublicSize]byte

// A SigningPublic is the public key of a [SigningKey], Ed25519.
type SigningPublic [PublicSize]byte

// A NotePublic is the public key of a [NoteKey], Ed25519.
type NotePublic [PublicSize]byte

// A LinkPublic is the public key of a [LinkKey], X25519.
type LinkPublic [PublicSize]byte

// A CircuitPublic is the public key of a [CircuitKey], X25519.
type CircuitPublic [PublicSize]byte

// A CircuitKeyID names a circuit key in the header of a handshake.
type CircuitKeyID [8]byte

// ID returns the first 8 bytes of SHA-256([LabelCircuitKeyID] ‖ key).
func (p CircuitPublic) ID() (id CircuitKeyID) {
	h := sha256.New()
	h.Write([]byte(LabelCircuitKeyID))
	h.Write(p[:])
	copy(id[:], h.Sum(nil))
	return id
}

// Text is strict: no padding, no line breaks, no stray bits in the last
// character, so that a key has one text only.
var textEncoding = base64.RawURLEncoding.Strict()

func encodeText(b []byte) []byte { return textEncoding.AppendEncode(nil, b) }

// decodeText decodes text to exactly len(dst) bytes. Go's decoder skips line
// breaks; the length tells them.
func decodeText(dst, text []byte, what string) error {
	if len(text) != textEncoding.EncodedLen(len(dst)) {
		return fmt.Errorf("%s of %d characters: %w", what, len(text), ErrMalformed)
	}
	buf := make([]byte, textEncoding.DecodedLen(len(text)))
	n, err := textEncoding.Decode(buf, text)
	if err != nil || n != len(dst) {
		return fmt.Errorf("%s is not base64url: %w", what, ErrMalformed)
	}
	copy(dst, buf)
	clear(buf)
	return nil
}

// ParseRelayID decodes an identity's text form.
func ParseRelayID(s string) (id RelayID, err error) { return id, id.UnmarshalText([]byte(s)) }

// ParseSigningPublic decodes a signing key's text form.
func ParseSigningPublic(s string) (p SigningPublic, err error) {
	return p, p.UnmarshalText([]byte(s))
}

// ParseNotePublic decodes a note key's text form.
func ParseNotePublic(s string) (p NotePublic, err error) { return p, p.UnmarshalText([]byte(s)) }

// String returns the text form.
func (id RelayID) String() string { return string(encodeText(id[:])) }

// String returns the text form.
func (p SigningPublic) String() string { return string(encodeText(p[:])) }

// String returns the text form.
func (p NotePublic) String() string { return string(encodeText(p[:])) }

// String returns the text form.
func (p LinkPublic) String() string { return string(encodeText(p[:])) }

// String returns the text form.
func (p CircuitPublic) String() string { return string(encodeText(p[:])) }

// MarshalText returns the text form.
func (id RelayID) MarshalText() ([]byte, error) { return encodeText(id[:]), nil }

// MarshalText returns the text form.
func (p SigningPublic) MarshalText() ([]byte, error) { return encodeText(p[:]), nil }

// MarshalText returns the text form.
func (p NotePublic) MarshalText() ([]byte, error) { return encodeText(p[:]), nil }

// MarshalText returns the text form.
func (p LinkPublic) MarshalText() ([]byte, error) { return encodeText(p[:]), nil }

// MarshalText returns the text form.
func (p CircuitPublic) MarshalText() ([]byte, error) { return encodeText(p[:]), nil }

// UnmarshalText decodes the text form; anything else is [ErrMalformed].
func (id *RelayID) UnmarshalText(b []byte) error { return decodeText(id[:], b, "identity") }

// UnmarshalText decodes the text form; anything else is [ErrMalformed].
func (p *SigningPublic) UnmarshalText(b []byte) error { return decodeText(p[:], b, "signing key") }

// UnmarshalText decodes the text form; anything else is [ErrMalformed].
func (p *NotePublic) UnmarshalText(b []byte) error { return decodeText(p[:], b, "note key") }

// UnmarshalText decodes the text form; anything else is [ErrMalformed].
func (p *LinkPublic) UnmarshalText(b []byte) error { return decodeText(p[:], b, "link key") }

// UnmarshalText decodes the text form; anything else is [ErrMalformed].
func (p *CircuitPublic) UnmarshalText(b []byte) error { return decodeText(p[:], b, "circuit key") }
