package keys

import (
	"crypto/ed25519"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Signer returns a signer of notes under the given name. Its signatures are
// plain Ed25519 over the note's text, as golang.org/x/mod/sumdb/note and every
// witness know them.
func (k *NoteKey) Signer(name string) (note.Signer, error) {
	v, err := k.Public().Verifier(name)
	if err != nil {
		return nil, err
	}
	return noteSigner{Verifier: v, key: k}, nil
}

// noteSigner takes name and key hash from the verifier.
type noteSigner struct {
	note.Verifier
	key *NoteKey
}

// Sign signs a note's text.
func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key.key, msg), nil }

// Verifier returns a verifier of notes signed under the given name. The name
// must not be empty and holds no space and no plus.
func (p NotePublic) Verifier(name string) (note.Verifier, error) {
	if smallOrder((*[PublicSize]byte)(&p)) {
		return nil, fmt.Errorf("note key: %w", ErrMalformed)
	}
	text, err := note.NewEd25519VerifierKey(name, p[:])
	if err != nil {
		return nil, fmt.Errorf("note key: %w", err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("note key: %w", err)
	}
	return v, nil
}
