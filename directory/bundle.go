package directory

import (
	"bytes"
	"fmt"
)

// MaxBundle is the most bytes of a bundle. Fixed by docs/protocol.md, "Bundles".
const MaxBundle = MaxSignedCheckpoint + MaxConsensus

// A Bundle is a consensus as it travels: certificates and note, which are a
// signed checkpoint, and the document behind them. It is not changed once made.
type Bundle struct {
	Signed    SignedCheckpoint
	Consensus *Consensus

	raw []byte
	doc []byte // the end of raw
}

// NewBundle puts a signed checkpoint and the consensus document that it names
// together, and verifies them as OpenBundle does.
func NewBundle(s *SignedCheckpoint, doc []byte, n *Network) (*Bundle, error) {
	signed, err := s.Encode()
	if err != nil {
		return nil, err
	}
	return OpenBundle(append(signed, doc...), n)
}

// OpenBundle verifies that more than half of n's authorities signed, then reads
// the consensus. It does not look at the time: see Consensus.Usable. The error
// has ErrTooLarge, ErrMalformed, ErrOtherNetwork, ErrShort or ErrSignature (not
// the document that is signed) in its chain. The result aliases b, which must
// not be changed any more.
func OpenBundle(b []byte, n *Network) (*Bundle, error) {
	if len(b) > MaxBundle {
		return nil, fmt.Errorf("bundle of %d bytes: %w", len(b), ErrTooLarge)
	}
	r := &reader{rest: string(b[:min(len(b), MaxSignedCheckpoint)])}
	head := len(r.rest)
	signed := readSignedCheckpoint(r)
	if r.err != nil {
		return nil, fmt.Errorf("bundle: %w", r.err)
	}
	doc := b[head-len(r.rest):]
	if err := signed.Verify(n); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if c := &signed.Checkpoint; int64(len(doc)) != c.Length || DigestOf(doc) != c.Digest {
		return nil, fmt.Errorf("bundle: not the consensus that is signed: %w", ErrSignature)
	}
	c, err := ParseConsensus(doc)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := signed.matches(c, n); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return &Bundle{Signed: *signed, Consensus: c, raw: b, doc: doc}, nil
}

// matches says whether the consensus agrees with its checkpoint and with the
// network.
func (s *SignedCheckpoint) matches(c *Consensus, n *Network) error {
	switch {
	case c.NetworkID != n.Digest() || c.Network != n.Name:
		return ErrOtherNetwork
	case !c.ValidAfter.Equal(s.Checkpoint.ValidAfter) || c.Previous != s.Checkpoint.Previous:
		return fmt.Errorf("%w: consensus and checkpoint differ", ErrMalformed)
	}
	return c.checkTimes(n)
}

// Raw returns the bundle's bytes, which the caller must not change.
func (b *Bundle) Raw() []byte { return b.raw }

// Document returns the consensus document, which the caller must not change.
func (b *Bundle) Document() []byte { return b.doc }

// NewerThan returns ErrOlder unless b's consensus became valid after o's; any
// bundle is newer than nil.
func (b *Bundle) NewerThan(o *Bundle) error {
	if o == nil || b.Consensus.ValidAfter.After(o.Consensus.ValidAfter) {
		return nil
	}
	return fmt.Errorf("consensus of %s, held is %s: %w", FormatTime(b.Consensus.ValidAfter),
		FormatTime(o.Consensus.ValidAfter), ErrOlder)
}

// Equal reports whether two bundles are the same bytes.
func (b *Bundle) Equal(o *Bundle) bool { return bytes.Equal(b.raw, o.raw) }
