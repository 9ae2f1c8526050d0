package keys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const ( // fixed by docs/protocol.md, "Certificates"
	// CertificateSize is the size of an encoded certificate in bytes.
	CertificateSize = certSigned + SignatureSize

	certVersion = 1
	certSigned  = 1 + 1 + 8 + 8 + PublicSize + PublicSize // version, kind, not before, expires, subject, signer

	maxTime = 253402300799 // seconds: the last second of the year 9999
)

// A Kind says which kind of key certifies which.
type Kind uint8

// The kinds of certificates.
const (
	CertSigning Kind = 1 // an identity certifies a signing key
	CertLink    Kind = 2 // a signing key certifies a link key
	CertCircuit Kind = 3 // a signing key certifies a circuit key
	CertNote    Kind = 4 // an identity certifies a note key
	CertFamily  Kind = 5 // a family key certifies a relay's identity
	CertVoucher Kind = 6 // a family key vouches for the identity of a newcomer of another family
)

func (k Kind) String() string {
	switch k {
	case CertSigning:
		return "signing key"
	case CertLink:
		return "link key"
	case CertCircuit:
		return "circuit key"
	case CertNote:
		return "note key"
	case CertFamily:
		return "family"
	case CertVoucher:
		return "voucher"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

func (k Kind) context() Context {
	switch k {
	case CertSigning:
		return LabelCertSigning
	case CertLink:
		return LabelCertLink
	case CertCircuit:
		return LabelCertCircuit
	case CertNote:
		return LabelCertNote
	case CertFamily:
		return LabelCertFamily
	case CertVoucher:
		return LabelCertVoucher
	}
	return ""
}

// What a certificate that parses may still lack.
var (
	ErrExpired   = errors.New("certificate expired")
	ErrNotYet    = errors.New("certificate not valid yet")
	ErrWrongKind = errors.New("certificate of another kind")
	ErrSigner    = errors.New("certificate by another key")
)

// A Certificate says that the key Signer vouches for the key Subject from
// NotBefore until just before Expires. It is comparable. Before its methods
// [Certificate.SigningKey], [Certificate.LinkKey], [Certificate.CircuitKey] and
// [Certificate.NoteKey] have returned a key, Subject is only a claim.
type Certificate struct {
	Kind      Kind
	NotBefore time.Time // UTC, whole seconds
	Expires   time.Time // UTC, whole seconds, after NotBefore
	Subject   [PublicSize]byte
	Signer    [PublicSize]byte
	signature [SignatureSize]byte
}

// CertifySigning makes a certificate for a signing key. The times are cut to
// whole seconds; expires must be at least a second after notBefore and neither
// before 1970, else it panics.
func (k *IdentityKey) CertifySigning(p SigningPublic, notBefore, expires time.Time) Certificate {
	return k.certify(CertSigning, p, notBefore, expires)
}

// CertifyNote makes a certificate for a note key; see [IdentityKey.CertifySigning].
func (k *IdentityKey) CertifyNote(p NotePublic, notBefore, expires time.Time) Certificate {
	return k.certify(CertNote, p, notBefore, expires)
}

// CertifyLink makes a certificate for a link key; see [IdentityKey.CertifySigning].
func (k *SigningKey) CertifyLink(p LinkPublic, notBefore, expires time.Time) Certificate {
	return k.certify(CertLink, p, notBefore, expires)
}

// CertifyCircuit makes a certificate for a circuit key; see [IdentityKey.CertifySigning].
func (k *SigningKey) CertifyCircuit(p CircuitPublic, notBefore, expires time.Time) Certificate {
	return k.certify(CertCircuit, p, notBefore, expires)
}

func (s *signer) certify(kind Kind, subject [PublicSize]byte, notBefore, expires time.Time) Certificate {
	c := Certificate{
		Kind:      kind,
		NotBefore: time.Unix(notBefore.Unix(), 0).UTC(),
		Expires:   time.Unix(expires.Unix(), 0).UTC(),
		Subject:   subject,
		Signer:    s.public(),
	}
	if !validTimes(c.NotBefore.Unix(), c.Expires.Unix()) {
		panic("keys: certificate that is never valid")
	}
	c.signature = s.sign(kind.context(), c.appendSigned(nil))
	return c
}

func validTimes(notBefore, expires int64) bool {
	return 0 <= notBefore && notBefore < expires && expires <= maxTime
}

// appendSigned appends what the signature covers.
func (c *Certificate) appendSigned(b []byte) []byte {
	b = append(b, certVersion, byte(c.Kind))
	b = binary.BigEndian.AppendUint64(b, uint64(c.NotBefore.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Expires.Unix()))
	b = append(b, c.Subject[:]...)
	return append(b, c.Signer[:]...)
}

// AppendBinary appends the encoding, [CertificateSize] bytes.
func (c Certificate) AppendBinary(b []byte) ([]byte, error) {
	return append(c.appendSigned(b), c.signature[:]...), nil
}

// ParseCertificate decodes b, exactly [CertificateSize] bytes. It checks the
// shape only, not the signature. The result does not alias b.
func ParseCertificate(b []byte) (Certificate, error) {
	if len(b) != CertificateSize {
		return Certificate{}, fmt.Errorf("certificate of %d bytes: %w", len(b), ErrMalformed)
	}
	if b[0] != certVersion {
		return Certificate{}, fmt.Errorf("certificate of version %d: %w", b[0], ErrMalformed)
	}
	c := Certificate{Kind: Kind(b[1])}
	if c.Kind.context() == "" {
		return Certificate{}, fmt.Errorf("certificate of %v: %w", c.Kind, ErrMalformed)
	}
	notBefore, expires := binary.BigEndian.Uint64(b[2:]), binary.BigEndian.Uint64(b[10:])
	if notBefore > maxTime || expires > maxTime || notBefore >= expires {
		return Certificate{}, fmt.Errorf("certificate that is never valid: %w", ErrMalformed)
	}
	c.NotBefore, c.Expires = time.Unix(int64(notBefore), 0).UTC(), time.Unix(int64(expires), 0).UTC()
	copy(c.Subject[:], b[18:])
	copy(c.Signer[:], b[18+PublicSize:])
	copy(c.signature[:], b[certSigned:])
	return c, nil
}

// MarshalText returns the text form: the encoding in unpadded base64url, 195
// characters.
func (c Certificate) MarshalText() ([]byte, error) {
	b, err := c.AppendBinary(nil)
	return encodeText(b), err
}

// UnmarshalText decodes the text form; see [ParseCertificate].
func (c *Certificate) UnmarshalText(text []byte) error {
	var b [CertificateSize]byte
	if err := decodeText(b[:], text, "certificate"); err != nil {
		return err
	}
	parsed, err := ParseCertificate(b[:])
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// Verify checks the signature by c.Signer, whoever that is, and the times. The
// error is [ErrSignature], [ErrNotYet] or [ErrExpired].
func (c *Certificate) Verify(now time.Time) error {
	if err := c.verifySignature(); err != nil {
		return err
	}
	switch {
	case now.Before(c.NotBefore):
		return ErrNotYet
	case !now.Before(c.Expires):
		return ErrExpired
	}
	return nil
}

func (c *Certificate) verifySignature() error {
	return verify(&c.Signer, c.Kind.context(), c.appendSigned(make([]byte, 0, certSigned)), c.signature[:])
}

// check verifies that c is of the given kind, by signer, and valid now.
func (c *Certificate) check(kind Kind, signer [PublicSize]byte, now time.Time) error {
	err := func() error {
		switch {
		case c.Kind != kind:
			return ErrWrongKind
		case c.Signer != signer:
			return ErrSigner
		}
		return c.Verify(now)
	}()
	if err != nil {
		return fmt.Errorf("%v: %w", kind, err)
	}
	return nil
}

// SigningKey returns the signing key that id certified, valid now. The error
// has [ErrWrongKind], [ErrSigner], [ErrSignature], [ErrNotYet] or [ErrExpired]
// in its chain.
func (c *Certificate) SigningKey(id RelayID, now time.Time) (SigningPublic, error) {
	if err := c.check(CertSigning, id, now); err != nil {
		return SigningPublic{}, err
	}
	return c.Subject, nil
}

// NoteKey returns the note key that id certified; see [Certificate.SigningKey].
func (c *Certificate) NoteKey(id RelayID, now time.Time) (NotePublic, error) {
	if err := c.check(CertNote, id, now); err != nil {
		return NotePublic{}, err
	}
	return c.Subject, nil
}

// LinkKey returns the link key that s certified; see [Certificate.SigningKey].
func (c *Certificate) LinkKey(s SigningPublic, now time.Time) (LinkPublic, error) {
	if err := c.check(CertLink, s, now); err != nil {
		return LinkPublic{}, err
	}
	return c.Subject, nil
}

// CircuitKey returns the circuit key that s certified; see [Certificate.SigningKey].
func (c *Certificate) CircuitKey(s SigningPublic, now time.Time) (CircuitPublic, error) {
	if err := c.check(CertCircuit, s, now); err != nil {
		return CircuitPublic{}, err
	}
	return c.Subject, nil
}
