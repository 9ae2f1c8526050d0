package directory

// A Bundle is a consensus as it travels: certificates, note, document. It is
// not changed once made.
type Bundle struct {
	Signed    SignedCheckpoint
	Consensus *Consensus

	raw []byte
}

// NewBundle puts a signed checkpoint and the consensus document that it names
// together, and verifies them as OpenBundle does.
func NewBundle(s *SignedCheckpoint, doc []byte, n *Network) (*Bundle, error) { panic("unwritten") }

// OpenBundle verifies that more than half of n's authorities signed, then reads
// the consensus. It does not look at the time: see Consensus.Usable.
func OpenBundle(b []byte, n *Network) (*Bundle, error) { panic("unwritten") }

// Raw returns the bundle's bytes, which the caller must not change.
func (b *Bundle) Raw() []byte { return b.raw }

// Document returns the consensus document, which the caller must not change.
func (b *Bundle) Document() []byte { panic("unwritten") }

// NewerThan returns ErrOlder unless b's consensus became valid after o's; any
// bundle is newer than nil.
func (b *Bundle) NewerThan(o *Bundle) error { panic("unwritten") }
