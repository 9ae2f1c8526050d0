package keys

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

const noteName = "example.net/tunic"

func TestNotesOfOursOpenWithTheLibrary(t *testing.T) {
	k := GenerateNote()
	s, err := k.Signer(noteName)
	if err != nil {
		t.Fatal(err)
	}
	public := k.Public()
	if sig, err := s.Sign([]byte("text\n")); err != nil || !ed25519.Verify(public[:], []byte("text\n"), sig) {
		t.Errorf("not a plain Ed25519 signature: %v", err)
	}
	msg, err := note.Sign(&note.Note{Text: noteName + "\n1\nroot\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	text, err := note.NewEd25519VerifierKey(noteName, public[:])
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := note.NewVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := k.Public().Verifier(noteName)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]note.Verifier{"theirs": theirs, "ours": ours} {
		if n, err := note.Open(msg, note.VerifierList(v)); err != nil || len(n.Sigs) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	msg[0] ^= 1
	if _, err := note.Open(msg, note.VerifierList(ours)); err == nil {
		t.Error("a changed note opens")
	}
}

func TestLibrarySignsAsWeDo(t *testing.T) {
	k := GenerateNote()
	ours, err := k.Signer(noteName)
	if err != nil {
		t.Fatal(err)
	}
	private := base64.StdEncoding.EncodeToString(append([]byte{1}, k.key.Seed()...))
	theirs, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", noteName, ours.KeyHash(), private))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := ours.Sign([]byte("text\n"))
	b, _ := theirs.Sign([]byte("text\n"))
	if string(a) != string(b) || ours.Name() != theirs.Name() {
		t.Error("signatures differ")
	}
}

func TestNoteNamesAndKeysAreChecked(t *testing.T) {
	k := GenerateNote()
	for _, name := range []string{"", "a b", "a+b", "a\nb", "\xff"} {
		if _, err := k.Signer(name); err == nil {
			t.Errorf("name %q is accepted", name)
		}
	}
	if _, err := (NotePublic{}).Verifier(noteName); !errors.Is(err, ErrMalformed) {
		t.Errorf("a key of small order: %v", err)
	}
}
