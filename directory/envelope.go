package directory

import (
	"fmt"
	"slices"
	"time"

	"tunic/directory/keys"
)

// MaxEnvelope is the most bytes of an envelope: a vote and a signature of every
// authority. Fixed by docs/protocol.md, "Envelopes of votes".
const MaxEnvelope = MaxVote + 64<<10

// An Envelope is a vote on its way between authorities, with the signatures of
// those that counted it: in vote round r it counts only with r of them, the
// author's among them (Dolev–Strong).
type Envelope struct {
	Network    Digest
	ValidAfter time.Time
	Author     keys.RelayID
	Signatures []Countersignature // ascending by authority
	Vote       []byte             // the document; nil: the signatures travel alone

	digest Digest // of the vote
}

// A Countersignature is one authority's over network, period, author and the
// vote's digest.
type Countersignature struct {
	Authority keys.RelayID     // Signing's signer
	Signing   keys.Certificate // the authority's identity's, for the key that signed
	Signature [keys.SignatureSize]byte
}

// NewEnvelope puts the signed vote v, whose document is doc, into an envelope
// without signatures.
func NewEnvelope(v *Vote, doc []byte) *Envelope {
	return &Envelope{Network: v.Network, ValidAfter: Moment(v.ValidAfter), Author: v.Author, Vote: doc, digest: DigestOf(doc)}
}

// Bare returns a copy without the vote's document.
func (e *Envelope) Bare() *Envelope {
	c := *e
	c.Vote, c.Signatures = nil, slices.Clone(e.Signatures)
	return &c
}

// Digest returns the digest of the vote.
func (e *Envelope) Digest() Digest { return e.digest }

// Countersign adds the signature of the authority that cert speaks for, unless
// it is there.
func (e *Envelope) Countersign(cert keys.Certificate, k *keys.SigningKey) error {
	s := Countersignature{Authority: cert.Signer, Signing: cert}
	i, found := slices.BinarySearchFunc(e.Signatures, s, compareSignatures)
	if found {
		return nil
	}
	statement, err := e.statement()
	if err != nil {
		return err
	}
	s.Signature = k.Sign(keys.LabelCountersignature, statement)
	e.Signatures = slices.Insert(e.Signatures, i, s)
	return nil
}

func compareSignatures(a, b Countersignature) int { return CompareID(a.Authority, b.Authority) }

// statement returns what a countersignature covers: the lines of the envelope
// that name the vote.
func (e *Envelope) statement() ([]byte, error) {
	w := &writer{}
	e.encodeStatement(w)
	return w.b, w.err
}

func (e *Envelope) encodeStatement(w *writer) {
	w.keyword("network").binary(e.Network[:]).end()
	w.keyword("valid-after").time(e.ValidAfter, timeLayout, "valid-after").end()
	w.keyword("author").binary(e.Author[:]).end()
	w.keyword("vote").binary(e.digest[:]).end()
}

// Encode returns the envelope as a document.
func (e *Envelope) Encode() ([]byte, error) {
	if len(e.Vote) > MaxVote {
		return nil, fmt.Errorf("encode envelope of a vote of %d bytes: %w", len(e.Vote), ErrTooLarge)
	}
	w := &writer{b: make([]byte, 0, 1024+len(e.Signatures)*320+len(e.Vote))}
	w.keyword("tunic-envelope 1").end()
	e.encodeStatement(w)
	if len(e.Signatures) > MaxAuthorities || !strictly(e.Signatures, compareSignatures) {
		w.fail("countersignatures")
	}
	for _, s := range e.Signatures {
		if s.Authority != s.Signing.Signer {
			w.fail("countersignature")
		}
		w.keyword("countersignature").certificate(s.Signing).binary(s.Signature[:]).end()
	}
	w.b = append(w.b, e.Vote...)
	return w.b, w.err
}

// ParseEnvelope reads an envelope and verifies its signatures: all must verify,
// by distinct authorities of n, whose certificates are judged at the envelope's
// valid-after, so that all authorities judge alike. The vote inside, if any, is
// the one that is signed; it is not parsed. The result aliases b.
func ParseEnvelope(b []byte, n *Network) (*Envelope, error) {
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("envelope of %d bytes: %w", len(b), ErrTooLarge)
	}
	e, body, err := readEnvelope(b)
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	if e.Network != n.Digest() {
		return nil, fmt.Errorf("envelope: %w", ErrOtherNetwork)
	}
	if n.Authority(e.Author) == nil {
		return nil, fmt.Errorf("envelope: author: %w", ErrUnknown)
	}
	for _, s := range e.Signatures {
		if err := e.verify(&s, n); err != nil {
			return nil, fmt.Errorf("envelope: countersignature: %w", err)
		}
	}
	if len(body) == 0 {
		return e, nil
	}
	if len(body) > MaxVote {
		return nil, fmt.Errorf("envelope of a vote of %d bytes: %w", len(body), ErrTooLarge)
	}
	if DigestOf(body) != e.digest {
		return nil, fmt.Errorf("envelope: not the vote that is signed: %w", ErrSignature)
	}
	e.Vote = body
	return e, nil
}

// readEnvelope reads all but the vote.
func readEnvelope(b []byte) (e *Envelope, body []byte, err error) {
	head := b[:min(len(b), MaxEnvelope-MaxVote)]
	r := &reader{rest: string(head)}
	e = &Envelope{}
	if r.take("tunic-envelope") != "1" {
		r.fail("version")
	}
	r.binary(e.Network[:], r.take("network"), "network")
	e.ValidAfter = r.time(r.take("valid-after"), "valid-after")
	r.binary(e.Author[:], r.take("author"), "author")
	r.binary(e.digest[:], r.take("vote"), "vote")
	for r.at("countersignature") {
		var s Countersignature
		cert, sig := r.two(r.take("countersignature"), "countersignature")
		s.Signing = r.certificate(cert, "countersignature")
		s.Authority = s.Signing.Signer
		r.binary(s.Signature[:], sig, "countersignature")
		e.Signatures = append(e.Signatures, s)
		if len(e.Signatures) > MaxAuthorities || !strictly(e.Signatures[max(0, len(e.Signatures)-2):], compareSignatures) {
			r.fail("countersignature")
		}
	}
	return e, b[len(head)-len(r.rest):], r.err
}

func (e *Envelope) verify(s *Countersignature, n *Network) error {
	if n.Authority(s.Authority) == nil {
		return ErrUnknown
	}
	key, err := s.Signing.SigningKey(s.Authority, e.ValidAfter)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	statement, err := e.statement()
	if err != nil {
		return err
	}
	if err := keys.Verify(key, keys.LabelCountersignature, statement, s.Signature[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}
