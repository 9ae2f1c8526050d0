package directory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Signed checkpoints"
	// MaxSignedCheckpoint is the most bytes of a signed checkpoint.
	MaxSignedCheckpoint = 64 << 10

	maxNoteSignatures = 100  // as package note has it
	maxNoteName       = 128  // bytes of a signature's name
	minNoteBlob       = 5    // bytes: a key hash and something
	maxNoteBlob       = 4096 // bytes: room for witnesses' larger signatures

	noteMark = "— " // before a signature's name, UTF-8
)

// A SignedCheckpoint is a note, with the certificates of the keys that signed
// it. Signatures by others than authorities, such as witnesses, may stand among
// the rest; they are carried and not judged.
type SignedCheckpoint struct {
	Checkpoint   Checkpoint
	Certificates []keys.Certificate // identity to note key, one per authority, ascending by identity
	Signatures   []NoteSignature
}

// A NoteSignature is one signature line of a note.
type NoteSignature struct {
	Name string // of the key: the network's name, for authorities
	Blob []byte // 4 bytes of key hash, then the signature
}

func (s NoteSignature) valid() bool {
	return isText(s.Name, maxNoteName) && !strings.ContainsAny(s.Name, " +") &&
		len(s.Blob) >= minNoteBlob && len(s.Blob) <= maxNoteBlob
}

func (s NoteSignature) equal(o NoteSignature) bool {
	return s.Name == o.Name && bytes.Equal(s.Blob, o.Blob)
}

// Sign adds the signature of an authority, whose note key cert certifies.
func (s *SignedCheckpoint) Sign(cert keys.Certificate, k *keys.NoteKey) error {
	if !s.Checkpoint.valid() {
		return fmt.Errorf("sign checkpoint: %w", ErrMalformed)
	}
	signer, err := k.Signer(s.Checkpoint.Origin)
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	sig, err := signer.Sign([]byte(s.Checkpoint.Text()))
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	blob := append(binary.BigEndian.AppendUint32(nil, signer.KeyHash()), sig...)
	s.add(NoteSignature{Name: signer.Name(), Blob: blob}, &cert)
	return nil
}

// add puts a signature behind the others, unless it is there, and its key's
// certificate in its place, if there is one.
func (s *SignedCheckpoint) add(sig NoteSignature, cert *keys.Certificate) {
	if !slices.ContainsFunc(s.Signatures, sig.equal) {
		s.Signatures = append(s.Signatures, sig)
	}
	if cert == nil {
		return
	}
	i, found := slices.BinarySearchFunc(s.Certificates, *cert, compareSigners)
	if found {
		s.Certificates[i] = *cert
		return
	}
	s.Certificates = slices.Insert(s.Certificates, i, *cert)
}

func compareSigners(a, b keys.Certificate) int { return CompareID(a.Signer, b.Signer) }

// An endorsement is one authority's signature under a checkpoint, verified.
type endorsement struct {
	by   keys.RelayID
	key  keys.NotePublic
	sig  NoteSignature
	cert *keys.Certificate // nil: the network file names the key
}

// endorsements returns the signatures by authorities of n that verify, each
// authority and each key once, in the order of the network file. Package note's
// own Open would be content with one signature, and fail on a single wrong one.
func (s *SignedCheckpoint) endorsements(n *Network) (good []endorsement) {
	text := []byte(s.Checkpoint.Text())
	for i := range n.Authorities {
		for _, e := range s.candidates(&n.Authorities[i]) {
			used := slices.ContainsFunc(good, func(o endorsement) bool { return o.key == e.key })
			if sig, ok := s.signedBy(e.key, text); ok && !used {
				e.sig = sig
				good = append(good, e)
				break
			}
		}
	}
	return good
}

// candidates returns the keys that may sign for an authority: the one that a
// certificate names, valid when the consensus begins, and the network file's.
func (s *SignedCheckpoint) candidates(a *Authority) (list []endorsement) {
	for i := range s.Certificates {
		c := &s.Certificates[i]
		if keys.RelayID(c.Signer) != a.ID {
			continue
		}
		if key, err := c.NoteKey(a.ID, s.Checkpoint.ValidAfter); err == nil {
			list = append(list, endorsement{by: a.ID, key: key, cert: c})
		}
	}
	if a.NoteKey != (keys.NotePublic{}) {
		list = append(list, endorsement{by: a.ID, key: a.NoteKey})
	}
	return list
}

// signedBy returns the first signature by key over text that verifies.
func (s *SignedCheckpoint) signedBy(key keys.NotePublic, text []byte) (NoteSignature, bool) {
	v, err := key.Verifier(s.Checkpoint.Origin)
	if err != nil {
		return NoteSignature{}, false
	}
	for _, sig := range s.Signatures {
		if sig.Name == v.Name() && binary.BigEndian.Uint32(sig.Blob) == v.KeyHash() && v.Verify(text, sig.Blob[4:]) {
			return sig, true
		}
	}
	return NoteSignature{}, false
}

// Signers returns the authorities of n whose signature verifies, each once, in
// the order of the network file. Signatures that do not verify are passed over.
func (s *SignedCheckpoint) Signers(n *Network) []keys.RelayID {
	if !s.valid() || s.Checkpoint.Origin != n.Name {
		return nil
	}
	var ids []keys.RelayID
	for _, e := range s.endorsements(n) {
		ids = append(ids, e.by)
	}
	return ids
}

// Verify says whether more than half of n's authorities signed: ErrShort or
// ErrOtherNetwork.
func (s *SignedCheckpoint) Verify(n *Network) error {
	if s.Checkpoint.Origin != n.Name {
		return fmt.Errorf("checkpoint: %w", ErrOtherNetwork)
	}
	if have, want := len(s.Signers(n)), n.Majority(); have < want {
		return fmt.Errorf("checkpoint with signatures of %d authorities of the %d that it needs: %w", have, want, ErrShort)
	}
	return nil
}

// Merge adds from o, which signs the same text, the signatures by authorities
// of n that verify and that s lacks, and reports whether there were any.
func (s *SignedCheckpoint) Merge(n *Network, o *SignedCheckpoint) (bool, error) {
	if s.Checkpoint.Text() != o.Checkpoint.Text() {
		return false, fmt.Errorf("%w: signatures under another checkpoint", ErrMalformed)
	}
	if !o.valid() || o.Checkpoint.Origin != n.Name {
		return false, nil
	}
	have := s.Signers(n)
	changed := false
	for _, e := range o.endorsements(n) {
		if !slices.Contains(have, e.by) {
			s.add(e.sig, e.cert)
			changed = true
		}
	}
	return changed, nil
}

// valid reports whether every field is within its bounds.
func (s *SignedCheckpoint) valid() bool {
	return s.Checkpoint.valid() && len(s.Signatures) <= maxNoteSignatures && len(s.Certificates) <= MaxAuthorities &&
		strictly(s.Certificates, compareSigners) &&
		!slices.ContainsFunc(s.Signatures, func(sig NoteSignature) bool { return !sig.valid() })
}

// Note returns the note alone: text, an empty line, signatures.
func (s *SignedCheckpoint) Note() []byte {
	b := append([]byte(s.Checkpoint.Text()), '\n')
	for _, sig := range s.Signatures {
		b = append(append(append(b, noteMark...), sig.Name...), ' ')
		b = append(rootEncoding.AppendEncode(b, sig.Blob), '\n')
	}
	return b
}

// Encode returns the signed checkpoint as a document.
func (s *SignedCheckpoint) Encode() ([]byte, error) {
	if !s.valid() {
		return nil, fmt.Errorf("encode checkpoint: %w", ErrMalformed)
	}
	w := &writer{}
	w.keyword("tunic-checkpoint 1").end()
	for _, c := range s.Certificates {
		w.keyword("certificate").certificate(c).end()
	}
	note := s.Note()
	w.keyword("note").int(int64(len(note))).end()
	w.b = append(w.b, note...)
	if w.err == nil && len(w.b) > MaxSignedCheckpoint {
		return nil, fmt.Errorf("encode checkpoint of %d bytes: %w", len(w.b), ErrTooLarge)
	}
	return w.b, w.err
}

// ParseSignedCheckpoint reads a signed checkpoint; it verifies nothing.
func ParseSignedCheckpoint(b []byte) (*SignedCheckpoint, error) {
	if len(b) > MaxSignedCheckpoint {
		return nil, fmt.Errorf("checkpoint of %d bytes: %w", len(b), ErrTooLarge)
	}
	r := &reader{rest: string(b)}
	s := readSignedCheckpoint(r)
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return s, nil
}

// readSignedCheckpoint leaves in r what follows the note.
func readSignedCheckpoint(r *reader) *SignedCheckpoint {
	s := &SignedCheckpoint{}
	if r.take("tunic-checkpoint") != "1" {
		r.fail("version")
	}
	for r.at("certificate") {
		s.Certificates = append(s.Certificates, r.certificate(r.take("certificate"), "certificate"))
		if len(s.Certificates) > MaxAuthorities || !strictly(s.Certificates[max(0, len(s.Certificates)-2):], compareSigners) {
			r.fail("certificate")
		}
	}
	size := r.uint(r.take("note"), MaxSignedCheckpoint, "note")
	note := r.block(size, "note")
	if r.err != nil {
		return s
	}
	if err := s.parseNote(note); err != nil {
		r.fail("note")
	}
	return s
}

// parseNote reads text, empty line and signatures.
func (s *SignedCheckpoint) parseNote(note string) error {
	text, lines, ok := strings.Cut(note, "\n\n")
	if !ok {
		return fmt.Errorf("%w: note without signatures", ErrMalformed)
	}
	c, err := ParseCheckpoint(text + "\n")
	if err != nil {
		return err
	}
	s.Checkpoint = *c
	for lines != "" {
		line, rest, ok := strings.Cut(lines, "\n")
		name, blob, two := strings.Cut(strings.TrimPrefix(line, noteMark), " ")
		if !ok || !two || !strings.HasPrefix(line, noteMark) || len(s.Signatures) == maxNoteSignatures ||
			len(blob) > rootEncoding.EncodedLen(maxNoteBlob) {
			return fmt.Errorf("%w: signature line", ErrMalformed)
		}
		sig := NoteSignature{Name: cloned(name)}
		sig.Blob, err = rootEncoding.DecodeString(blob)
		if err != nil || len(blob) != rootEncoding.EncodedLen(len(sig.Blob)) || !sig.valid() {
			return fmt.Errorf("%w: signature line", ErrMalformed)
		}
		s.Signatures, lines = append(s.Signatures, sig), rest
	}
	return nil
}
