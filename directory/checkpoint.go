package directory

import (
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"tunic/directory/keys"
)

// A Checkpoint is what the authorities sign of a consensus.
type Checkpoint struct {
	Origin     string    // the network's name
	Size       int64     // majority-signed consensuses before this one
	Root       tlog.Hash // of the log of their checkpoints
	ValidAfter time.Time
	Digest     Digest // of the consensus
	Length     int64  // of the consensus, bytes
	Previous   Digest // of the consensus before it, zero if none
}

// Text returns the text of the note.
func (c *Checkpoint) Text() string { panic("unwritten") }

// ParseCheckpoint reads the text of a note.
func ParseCheckpoint(text string) (*Checkpoint, error) { panic("unwritten") }

// A SignedCheckpoint is a note with the certificates of the keys that signed it.
type SignedCheckpoint struct {
	Checkpoint   Checkpoint
	Certificates []keys.Certificate // identity to note key, at most one per authority
	Signatures   []NoteSignature
}

// A NoteSignature is one signature line of a note.
type NoteSignature struct {
	Name string
	Blob []byte // 4 bytes of key hash, then the signature
}

// Sign adds the signature of an authority, whose note key cert certifies.
func (s *SignedCheckpoint) Sign(cert keys.Certificate, k *keys.NoteKey) error { panic("unwritten") }

// Signers returns the authorities of n whose signature verifies, each once, in
// the order of the network file. Signatures that do not verify are passed over.
func (s *SignedCheckpoint) Signers(n *Network) []keys.RelayID { panic("unwritten") }

// Merge adds from o, which signs the same text, what verifies and s lacks, and
// reports whether anything was added.
func (s *SignedCheckpoint) Merge(n *Network, o *SignedCheckpoint) (bool, error) { panic("unwritten") }

// Encode returns the signed checkpoint as a document.
func (s *SignedCheckpoint) Encode() ([]byte, error) { panic("unwritten") }

// ParseSignedCheckpoint reads a signed checkpoint; it verifies nothing.
func ParseSignedCheckpoint(b []byte) (*SignedCheckpoint, error) { panic("unwritten") }

// A Log is a transparency log of consensuses in the least form that the next
// one needs.
type Log struct {
	Size  int64
	Peaks []tlog.Hash // of the full subtrees, largest first
}

// Root returns the root of the log.
func (l Log) Root() (tlog.Hash, error) { panic("unwritten") }

// Append returns the log with one more record.
func (l Log) Append(record []byte) (Log, error) { panic("unwritten") }

// A History is a majority-signed checkpoint with the log that it names: what an
// authority has to know to make the next checkpoint.
type History struct {
	Signed SignedCheckpoint
	Peaks  []tlog.Hash
}

// Next returns the checkpoint of consensus document doc, valid from validAfter,
// behind h; h is nil for a network's first. It also returns the peaks that a
// History of it has.
func (h *History) Next(n *Network, validAfter time.Time, doc []byte) (*Checkpoint, []tlog.Hash, error) {
	panic("unwritten")
}

// Verify says whether a majority of n's authorities signed h's checkpoint and
// its peaks are those of its root.
func (h *History) Verify(n *Network) error { panic("unwritten") }
