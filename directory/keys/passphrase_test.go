package keys

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var cheap = cost{passes: 1, memory: 8, lanes: 1} // for tests only

func TestIdentityUnderPassphrase(t *testing.T) {
	k := GenerateIdentity()
	b := EncodeIdentity(k, []byte("correct horse"))
	if bytes.Contains(b, encodeText(k.key.Seed())) {
		t.Fatal("the file shows the key")
	}
	if _, err := ParseIdentity(b, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("without a passphrase: %v", err)
	}
	if _, err := ParseIdentity(b, []byte("wrong")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	got, err := ParseIdentity(b, []byte("correct horse"))
	if err != nil || !bytes.Equal(got.key, k.key) {
		t.Errorf("%v, %v", got, err)
	}
	if again := EncodeIdentity(k, []byte("correct horse")); bytes.Equal(again, b) {
		t.Error("salt and nonce repeat")
	}
}

func TestIdentityInTheClear(t *testing.T) {
	k := GenerateIdentity()
	got, err := ParseIdentity(EncodeIdentity(k, nil), nil)
	if err != nil || !bytes.Equal(got.key, k.key) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSealedFileFailsAtEveryChange(t *testing.T) {
	b := seal(GenerateIdentity(), []byte("p"), cheap).encode()
	if _, err := ParseIdentity(b, []byte("p")); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		if _, err := ParseIdentity(b[:i], []byte("p")); err == nil {
			t.Errorf("%d bytes suffice", i)
		}
		bad := bytes.Clone(b)
		bad[i] ^= 0x01
		if _, err := ParseIdentity(bad, []byte("p")); err == nil {
			t.Errorf("byte %d is free", i)
		}
	}
	if _, err := ParseIdentity(append(b, '\n'), []byte("p")); !errors.Is(err, ErrMalformed) {
		t.Errorf("a line more: %v", err)
	}
}

func TestCostIsBounded(t *testing.T) {
	b := seal(GenerateIdentity(), []byte("p"), cheap).encode()
	for _, bad := range []string{
		"0 8 1", "17 8 1", "1 7 1", "1 262145 1", "1 4294967295 1", "1 99999999999 1", "1 8 0", "1 8 17", "16 127 16", "-1 8 1",
		"1 8", "1 8 1 1", "01 8 1", "+1 8 1", "1  8 1", " 1 8 1", "1 8 1 ", "a b c", "1 0x8 1",
	} {
		text := bytes.Replace(b, []byte("argon2id 1 8 1"), []byte("argon2id "+bad), 1)
		if _, err := ParseIdentity(text, []byte("p")); !errors.Is(err, ErrMalformed) {
			t.Errorf("cost %q: %v", bad, err)
		}
	}
	for _, good := range []string{"16 262144 16", "1 8 1", "3 65536 4"} {
		if _, err := parseCost(good); err != nil {
			t.Errorf("cost %q: %v", good, err)
		}
	}
	if !cost64M.valid() || !strings.Contains(string(EncodeIdentity(GenerateIdentity(), []byte("p"))), "\nargon2id 3 65536 4\n") {
		t.Error("new files have another cost")
	}
}
