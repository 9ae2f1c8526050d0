package hybrid

import (
	"bytes"
	"crypto/mlkem"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/hybrid.json anew from the model")

// vector is one handshake of the model, all bytes in hex; testdata/hybrid.json
// keeps some for other implementations.
type vector struct {
	Prologue, Static                     string // the responder's private X25519 key
	InitiatorEphemeral, InitiatorSeed    string // private X25519 key; seed d ‖ z of the ML-KEM-768 key
	ResponderEphemeral, Encapsulation    string // private X25519 key; the message m of ML-KEM's encapsulation
	Payload1, Payload2                   string
	Message1, Message2                   string
	Hash, Forth, Back                    string // handshake hash; Split's keys from initiator to responder, and back
	ExportLabel, ExportForth, ExportBack string // HKDF-Expand of both keys under the label, 48 bytes
}

func count(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func makeVector(t *testing.T, prologue, p1, p2 []byte) vector {
	static, ie, re := x25519(t, count(1, 32)), x25519(t, count(40, 32)), x25519(t, count(80, 32))
	public := static.PublicKey().Bytes()
	kem, err := mlkem.NewDecapsulationKey768(count(120, 64))
	if err != nil {
		t.Fatal(err)
	}
	i := &modelInitiator{model: *newModel(prologue, public), e: ie, kem: kem}
	r := &modelResponder{model: *newModel(prologue, public), static: static, e: re}
	m1 := i.message1(public, kem.EncapsulationKey().Bytes(), p1)
	if got, err := r.readMessage1(m1); err != nil || !bytes.Equal(got, p1) {
		t.Fatalf("model: message 1: %x, %v", got, err)
	}
	m2, err := r.message2(p2, count(200, 32), right)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.readMessage2(m2); err != nil || !bytes.Equal(got, p2) || !bytes.Equal(i.h, r.h) {
		t.Fatalf("model: message 2: %x, %v", got, err)
	}
	forth, back := i.split()
	x := hex.EncodeToString
	return vector{
		Prologue: x(prologue), Static: x(count(1, 32)),
		InitiatorEphemeral: x(count(40, 32)), InitiatorSeed: x(count(120, 64)),
		ResponderEphemeral: x(count(80, 32)), Encapsulation: x(count(200, 32)),
		Payload1: x(p1), Payload2: x(p2), Message1: x(m1), Message2: x(m2),
		Hash: x(i.h), Forth: x(forth), Back: x(back),
		ExportLabel: "tunic test", ExportForth: x(modelExport(forth, "tunic test", 48)), ExportBack: x(modelExport(back, "tunic test", 48)),
	}
}

func TestModelMatchesTheKeptVectors(t *testing.T) {
	var made []vector
	for _, in := range [][3]string{{"", "", ""}, {"prologue", "payload 1", "payload 2"}, {"tunic link\x01", string(make([]byte, 48)), string(make([]byte, 64))}} {
		made = append(made, makeVector(t, []byte(in[0]), []byte(in[1]), []byte(in[2])))
	}
	text, err := json.MarshalIndent(made, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("testdata/hybrid.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("testdata/hybrid.json")
	if err != nil || !bytes.Equal(kept, text) {
		t.Errorf("the model makes other vectors than those kept (%v)", err)
	}
	for n, v := range made {
		unhex := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
		r, err := NewResponder(unhex(v.Prologue), x25519(t, unhex(v.Static)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadMessage1(unhex(v.Message1)); err != nil || hex.EncodeToString(got) != v.Payload1 {
			t.Errorf("vector %d: ReadMessage1 = %x, %v", n, got, err)
		}
	}
}

// The shipped machine at one end, the model at the other.
func TestHandshakeWithTheModel(t *testing.T) {
	prologue, p1, p2 := []byte("prologue"), []byte("one"), []byte("two, and longer")
	static := newStatic(t)
	public := static.PublicKey().Bytes()

	t.Run("initiator", func(t *testing.T) {
		i, err := NewInitiator(prologue, [32]byte(public))
		if err != nil {
			t.Fatal(err)
		}
		m1, err := i.Message1(nil, p1)
		if err != nil {
			t.Fatal(err)
		}
		r := &modelResponder{model: *newModel(prologue, public), static: static, e: newStatic(t)}
		if got, err := r.readMessage1(m1); err != nil || !bytes.Equal(got, p1) {
			t.Fatalf("the model reads %x, %v", got, err)
		}
		m2, err := r.message2(p2, count(3, 32), right)
		if err != nil {
			t.Fatal(err)
		}
		got, s, err := i.ReadMessage2(m2)
		if err != nil || !bytes.Equal(got, p2) {
			t.Fatalf("ReadMessage2 = %x, %v", got, err)
		}
		forth, back := r.split()
		checkSession(t, s, r.h, forth, back)
	})
	t.Run("responder", func(t *testing.T) {
		kem, err := mlkem.GenerateKey768()
		if err != nil {
			t.Fatal(err)
		}
		i := &modelInitiator{model: *newModel(prologue, public), e: newStatic(t), kem: kem}
		r, err := NewResponder(prologue, static)
		if err != nil {
			t.Fatal(err)
		}
		m1 := i.message1(public, kem.EncapsulationKey().Bytes(), p1)
		if got, err := r.ReadMessage1(m1); err != nil || !bytes.Equal(got, p1) {
			t.Fatalf("ReadMessage1 = %x, %v", got, err)
		}
		m2, s, err := r.Message2(nil, p2)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := i.readMessage2(m2); err != nil || !bytes.Equal(got, p2) {
			t.Fatalf("the model reads %x, %v", got, err)
		}
		forth, back := i.split()
		checkSession(t, s, i.h, back, forth)
	})
}

// checkSession holds a session's directions against the model's keys: a swap
// of the two fails here.
func checkSession(t *testing.T, s *Session, hash, send, recv []byte) {
	t.Helper()
	if !bytes.Equal(s.Hash[:], hash) {
		t.Errorf("hash %x, want %x", s.Hash, hash)
	}
	if got := s.Send.Export("l", 70); !bytes.Equal(got, modelExport(send, "l", 70)) {
		t.Error("Export of what is sent differs")
	}
	if got := s.Recv.Export("l", 70); !bytes.Equal(got, modelExport(recv, "l", 70)) {
		t.Error("Export of what is received differs")
	}
	for n := range uint64(3) {
		gcm, nonce := modelGCM(send, n)
		plain := []byte{byte(n), 1, 2}
		if got, err := s.Send.Seal(nil, plain); err != nil || !bytes.Equal(got, gcm.Seal(nil, nonce, plain, nil)) {
			t.Errorf("record %d differs: %v", n, err)
		}
		gcm, nonce = modelGCM(recv, n)
		if got, err := s.Recv.Open(nil, gcm.Seal(nil, nonce, plain, nil)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("record %d does not open: %v", n, err)
		}
	}
	// Noise's REKEY: the first 32 bytes of ENCRYPT(k, 2^64-1, "", zeros).
	gcm, nonce := modelGCM(send, 1<<64-1)
	next := gcm.Seal(nil, nonce, make([]byte, 32), nil)[:32]
	s.Send.Rekey()
	gcm, nonce = modelGCM(next, 3)
	if got, err := s.Send.Seal(nil, []byte("x")); err != nil || !bytes.Equal(got, gcm.Seal(nil, nonce, []byte("x"), nil)) {
		t.Errorf("the record after Rekey differs: %v", err)
	}
}
