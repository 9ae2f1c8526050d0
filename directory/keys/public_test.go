package keys

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding"
	"errors"
	"strings"
	"testing"
)

type textKey interface {
	encoding.TextUnmarshaler
	encoding.TextMarshaler
}

func TestPublicKeysHaveOneText(t *testing.T) {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	id, signing, note, link, circuit := RelayID(raw), SigningPublic(raw), NotePublic(raw), LinkPublic(raw), CircuitPublic(raw)
	for _, k := range []textKey{&id, &signing, &note, &link, &circuit} {
		text, err := k.MarshalText()
		if err != nil || len(text) != 43 {
			t.Fatalf("%T: text %q, %v", k, text, err)
		}
		if err := k.UnmarshalText(text); err != nil {
			t.Fatalf("%T: %v", k, err)
		}
		for _, bad := range []string{
			"", string(text[:42]), string(text) + "A", string(text) + "=", string(text[:42]) + "\n",
			"\n" + string(text[:42]), string(text[:42]) + "!", string(text[:42]) + "/", " " + string(text[1:]),
			strings.Repeat("A", 42) + "B", // a bit behind the 32 bytes
		} {
			err := k.UnmarshalText([]byte(bad))
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%T: accepts %q: %v", k, bad, err)
			} else if len(bad) > 8 && strings.Contains(err.Error(), bad[:8]) {
				t.Errorf("%T: the error repeats its input: %v", k, err)
			}
		}
		if again, _ := k.MarshalText(); !bytes.Equal(again, text) {
			t.Errorf("%T: a refused text changed the key", k)
		}
	}
}

func TestParseFunctionsReadWhatStringWrites(t *testing.T) {
	raw := [32]byte{1, 2, 3, 31: 0xff}
	if got, err := ParseRelayID(RelayID(raw).String()); err != nil || got != raw {
		t.Errorf("identity: %v, %v", got, err)
	}
	if got, err := ParseSigningPublic(SigningPublic(raw).String()); err != nil || got != raw {
		t.Errorf("signing key: %v, %v", got, err)
	}
	if got, err := ParseNotePublic(NotePublic(raw).String()); err != nil || got != raw {
		t.Errorf("note key: %v, %v", got, err)
	}
	var link LinkPublic
	if err := link.UnmarshalText([]byte(LinkPublic(raw).String())); err != nil || link != raw {
		t.Errorf("link key: %v, %v", link, err)
	}
	var circuit CircuitPublic
	if err := circuit.UnmarshalText([]byte(CircuitPublic(raw).String())); err != nil || circuit != raw {
		t.Errorf("circuit key: %v, %v", circuit, err)
	}
}

func TestCircuitKeyID(t *testing.T) {
	k := GenerateCircuit()
	p := k.Public()
	sum := sha256.Sum256(append([]byte("tunic 1 circuit key id"), p[:]...))
	if id := k.ID(); !bytes.Equal(id[:], sum[:8]) || id != p.ID() {
		t.Errorf("ID = %x, want %x", id, sum[:8])
	}
}
