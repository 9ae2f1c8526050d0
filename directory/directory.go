// Package directory knows the documents that the network lives by: the network
// file, descriptors, votes, checkpoints and the consensus; how each is encoded,
// parsed, signed and verified, and what its facts mean. It does no I/O and reads
// no clock: fetching, keeping and serving documents is package mirror's, making
// a consensus is package authority's.
//
// Apart from the network file, which people write (TOML), every document is
// text of printable ASCII: lines that end with \n, one keyword per line, in a
// fixed order, with one canonical form. For every value x that encodes,
// parse(encode(x)) = x; for every accepted text b, encode(parse(b)) = b.
// A signed document is verified before more of it is parsed than verifying
// needs. Every field has a bound; parsers take memory in proportion to their
// input and never more.
//
// Specification: docs/protocol.md, "Documents". The two change together.
package directory

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// Errors that callers act on. ErrMalformed is in the chain of all that the
// bytes of a document cause.
var (
	ErrMalformed    = errors.New("malformed document")
	ErrSignature    = errors.New("signature does not verify")
	ErrTooLarge     = errors.New("document too large")
	ErrOtherNetwork = errors.New("document of another network")
	ErrOtherPeriod  = errors.New("document of another period")
	ErrExpired      = errors.New("document has expired")
	ErrFuture       = errors.New("document is from the future")
	ErrShort        = errors.New("too few authorities signed")
	ErrOlder        = errors.New("not newer than the one held")
	ErrUnknown      = errors.New("not an authority of this network")
)

// A Digest is a SHA-256 digest of a whole document, its signature included.
type Digest [sha256.Size]byte

// DigestOf returns the digest of the document b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// IsZero reports whether d is the digest of nothing: "none" in documents.
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns d as unpadded base64url, the zero digest as "none".
func (d Digest) String() string {
	if d.IsZero() {
		return "none"
	}
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// ParseDigest reads what String returns.
func ParseDigest(s string) (Digest, error) { return parseDigest(s) }

// MarshalText returns what String returns.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText returns.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = parseDigest(string(text))
	return err
}

func parseDigest(s string) (d Digest, err error) {
	if s == "none" {
		return Digest{}, nil
	}
	if err := decode64(d[:], s); err != nil || d.IsZero() {
		return Digest{}, fmt.Errorf("%w: digest", ErrMalformed)
	}
	return d, nil
}
