package keys

import (
	"fmt"
	"time"
)

// ProofSize is the size of an encoded proof in bytes: a certificate and a
// signature.
const ProofSize = CertificateSize + SignatureSize

// A Proof is what a relay needs to show who it is, on a link that it opened:
// its identity's certificate for its signing key, and that key.
type Proof struct {
	Certificate Certificate // identity to signing key
	Signing     *SigningKey
}

// ID returns the identity that the proof shows.
func (p *Proof) ID() RelayID { return p.Certificate.Signer }

// Append appends a proof for the link whose handshake hash is given: the
// certificate, and the signing key's signature over the hash in context
// [LabelLinkProof]; [ProofSize] bytes.
func (p *Proof) Append(b []byte, hash [32]byte) []byte {
	b, _ = p.Certificate.AppendBinary(b) // never fails
	sig := p.Signing.Sign(LabelLinkProof, hash[:])
	return append(b, sig[:]...)
}

// VerifyProof checks a proof of exactly [ProofSize] bytes for the link whose
// handshake hash is given, and returns the identity that it shows.
func VerifyProof(b []byte, hash [32]byte, now time.Time) (RelayID, error) {
	if len(b) != ProofSize {
		return RelayID{}, fmt.Errorf("proof of %d bytes: %w", len(b), ErrMalformed)
	}
	c, err := ParseCertificate(b[:CertificateSize])
	if err != nil {
		return RelayID{}, fmt.Errorf("proof: %w", err)
	}
	key, err := c.SigningKey(c.Signer, now)
	if err != nil {
		return RelayID{}, fmt.Errorf("proof: %w", err)
	}
	if err := Verify(key, LabelLinkProof, hash[:], b[CertificateSize:]); err != nil {
		return RelayID{}, fmt.Errorf("proof: %w", err)
	}
	return c.Signer, nil
}
