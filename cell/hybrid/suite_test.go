package hybrid

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/flynn/noise"
)

// fixedSuite is the shipped suite with an ephemeral key that is given.
type fixedSuite struct {
	*suite
	key *ecdh.PrivateKey
}

func (s fixedSuite) GenerateKeypair(io.Reader) (noise.DHKey, error) {
	s.ephemeral = s.key
	return noise.DHKey{Private: []byte{slotEphemeral}, Public: s.key.PublicKey().Bytes()}, nil
}

func x25519(t testing.TB, b []byte) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// noiseVectors reads testdata/noise.txt: one map per handshake.
func noiseVectors(t *testing.T) (all []map[string][]byte) {
	text, err := os.ReadFile("testdata/noise.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n")[1:] {
		v := map[string][]byte{}
		for _, l := range strings.Split(block, "\n") {
			name, value, _ := strings.Cut(l, "=")
			if name == "handshake" {
				continue
			}
			if v[name], err = hex.DecodeString(value); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, v)
	}
	return all
}

func TestSuiteRunsTheNoiseVectors(t *testing.T) {
	all := noiseVectors(t)
	if len(all) != 4 {
		t.Fatalf("%d vectors", len(all))
	}
	for i, v := range all {
		static := x25519(t, v["resp_static"])
		pair := noise.DHKey{Private: []byte{slotStatic}, Public: static.PublicKey().Bytes()}
		a, err := newState(fixedSuite{&suite{}, x25519(t, v["gen_init_ephemeral"])}, v["prologue"], true, noise.DHKey{}, pair.Public)
		if err != nil {
			t.Fatal(err)
		}
		b, err := newState(fixedSuite{&suite{static: static}, x25519(t, v["gen_resp_ephemeral"])}, v["prologue"], false, pair, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*noise.HandshakeState{a, b} {
			if err := s.SetPresharedKey(v["preshared_key"]); err != nil {
				t.Fatal(err)
			}
		}
		m1, _, _, err := a.WriteMessage(nil, v["msg_0_payload"])
		if err != nil || !bytes.Equal(m1, v["msg_0_ciphertext"]) {
			t.Fatalf("vector %d: message 1 = %x, %v", i, m1, err)
		}
		if p, _, _, err := b.ReadMessage(nil, m1); err != nil || !bytes.Equal(p, v["msg_0_payload"]) {
			t.Fatalf("vector %d: payload 1 = %x, %v", i, p, err)
		}
		m2, bIn, bOut, err := b.WriteMessage(nil, v["msg_1_payload"])
		if err != nil || !bytes.Equal(m2, v["msg_1_ciphertext"]) {
			t.Fatalf("vector %d: message 2 = %x, %v", i, m2, err)
		}
		p, aOut, aIn, err := a.ReadMessage(nil, m2)
		if err != nil || !bytes.Equal(p, v["msg_1_payload"]) {
			t.Fatalf("vector %d: payload 2 = %x, %v", i, p, err)
		}
		as, bs := newSession(a, aOut, aIn), newSession(b, bOut, bIn)
		checkRecord(t, as.Send, bs.Recv, v["msg_2_payload"], v["msg_2_ciphertext"])
		checkRecord(t, bs.Send, as.Recv, v["msg_3_payload"], v["msg_3_ciphertext"])
	}
}

func checkRecord(t *testing.T, from, to *Cipher, plain, want []byte) {
	t.Helper()
	sealed, err := from.Seal(nil, plain)
	if err != nil || !bytes.Equal(sealed, want) {
		t.Fatalf("Seal = %x, %v, want %x", sealed, err, want)
	}
	if got, err := to.Open(nil, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open = %x, %v, want %x", got, err, plain)
	}
}

func TestSuiteName(t *testing.T) {
	want := noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256).Name()
	s := new(suite)
	if !bytes.Equal(s.Name(), want) || s.DHName()+"_"+s.CipherName()+"_"+s.HashName() != string(want) {
		t.Errorf("name %s, want %s", s.Name(), want)
	}
}

func TestSuiteRefusesKeysThatItLacks(t *testing.T) {
	s := new(suite)
	public := x25519(t, bytes.Repeat([]byte{1}, 32)).PublicKey().Bytes()
	for _, slot := range [][]byte{nil, {slotStatic}, {slotEphemeral}, {2}, {0, 0}} {
		if _, err := s.DH(slot, public); !errors.Is(err, errSlot) {
			t.Errorf("slot %v: %v", slot, err)
		}
	}
	s.static = x25519(t, bytes.Repeat([]byte{2}, 32))
	if _, err := s.DH([]byte{slotStatic}, public[:31]); err == nil {
		t.Error("a short public key is accepted")
	}
	if _, err := s.DH([]byte{slotStatic}, make([]byte, 32)); err == nil {
		t.Error("a public key of small order is accepted")
	}
}
