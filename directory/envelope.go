package directory

import (
	"time"

	"tunic/directory/keys"
)

// An Envelope is a vote on its way between authorities, with the signatures of
// those that counted it: in vote round r it counts only with r of them, the
// author's among them (Dolev–Strong).
type Envelope struct {
	Network    Digest
	ValidAfter time.Time
	Author     keys.RelayID
	Vote       []byte // the document
	Signatures []Countersignature

	digest Digest // of Vote
}

// A Countersignature is one authority's over network, period, author and the
// vote's digest.
type Countersignature struct {
	Authority keys.RelayID
	Signing   keys.Certificate
	Signature [64]byte
}

// NewEnvelope puts a signed vote into an envelope without signatures.
func NewEnvelope(v *Vote, doc []byte) *Envelope { panic("unwritten") }

// Countersign adds the signature of the authority that cert speaks for, unless
// it is there.
func (e *Envelope) Countersign(cert keys.Certificate, k *keys.SigningKey) error { panic("unwritten") }

// Digest returns the digest of the vote inside.
func (e *Envelope) Digest() Digest { return e.digest }

// Encode returns the envelope as a document.
func (e *Envelope) Encode() ([]byte, error) { panic("unwritten") }

// ParseEnvelope reads an envelope and verifies its signatures; all must verify,
// by distinct authorities of n. The vote inside is not parsed.
func ParseEnvelope(b []byte, n *Network) (*Envelope, error) { panic("unwritten") }
