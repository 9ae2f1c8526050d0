package handshake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// The derivation once more, from the words of docs/protocol.md, for a session
// whose split keys the hybrid's Export reveals under labels of the test's.
func TestLayersFollowTheSplitKeys(t *testing.T) {
	key := keys.GenerateLink()
	i, err := hybrid.NewInitiator(nil, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	m1, err := i.Message1(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := hybrid.NewResponder(nil, key.ECDH())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadMessage1(m1); err != nil {
		t.Fatal(err)
	}
	m2, rs, err := r.Message2(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, is, err := i.ReadMessage2(m2)
	if err != nil {
		t.Fatal(err)
	}
	client := derive(is.Send, is.Recv, &is.Hash, Extensions{})
	relay := derive(rs.Recv, rs.Send, &rs.Hash, Extensions{})
	if *client != *relay {
		t.Error("the ends derive different keys")
	}
	hash := string(is.Hash[:])
	for name, row := range map[string]struct{ got, want []byte }{
		"outward": {client.Outward[:], is.Send.Export("tunic layer v1\x01"+hash, 48)},
		"inward":  {client.Inward[:], rs.Send.Export("tunic layer v1\x02"+hash, 48)},
		"binding": {client.Binding[:], is.Send.Export("tunic circuit binding v1"+hash, 32)},
	} {
		if !bytes.Equal(row.got, row.want) {
			t.Errorf("%s = %x, want %x", name, row.got, row.want)
		}
	}
	if bytes.Contains(rs.Send.Export("tunic layer v1\x01"+hash, 48), client.Outward[:]) {
		t.Error("both directions come from one key")
	}
}

// HKDF by hand (RFC 5869).
func slowHKDF(salt, secret []byte, info string, n int) (out []byte) {
	sum := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	prk := sum(salt, secret)
	var block []byte
	for i := byte(1); len(out) < n; i++ {
		block = sum(prk, block, []byte(info), []byte{i})
		out = append(out, block...)
	}
	return out[:n]
}

func TestDirKeys(t *testing.T) {
	x, y, link := [32]byte{1}, [32]byte{2}, [32]byte{3}
	r := DirKeys(&x, &y, link)
	secret := append(append([]byte{}, x[:]...), y[:]...)
	for name, row := range map[string]struct{ got, want []byte }{
		"outward": {r.Outward[:], slowHKDF(link[:], secret, "tunic dir v1\x01", 48)},
		"inward":  {r.Inward[:], slowHKDF(link[:], secret, "tunic dir v1\x02", 48)},
		"binding": {r.Binding[:], slowHKDF(link[:], secret, "tunic circuit binding v1"+string(link[:]), 32)},
	} {
		if !bytes.Equal(row.got, row.want) {
			t.Errorf("%s = %x, want %x", name, row.got, row.want)
		}
	}
	if x != [32]byte{1} || y != [32]byte{2} {
		t.Error("the caller's bytes changed")
	}
	for name, other := range map[string]*Result{
		"x and y swapped": DirKeys(&y, &x, link),
		"another link":    DirKeys(&x, &y, [32]byte{4}),
		"another x":       DirKeys(&[32]byte{9}, &y, link),
		"another y":       DirKeys(&x, &[32]byte{9}, link),
	} {
		if other.Outward == r.Outward || other.Inward == r.Inward || other.Binding == r.Binding {
			t.Errorf("%s: the same keys", name)
		}
	}
}

// Made by a program of its own from the words of docs/protocol.md.
func TestDirKeysKnownAnswer(t *testing.T) {
	x, y, link := [32]byte{1}, [32]byte{2}, [32]byte{3}
	r := DirKeys(&x, &y, link)
	const outward = "a7fa79e921a5d1d301a5b558644d9fee015b2dde6078c40b" +
		"2afc035b469f7b82c5b882384f094df6b9612d935b6e4775"
	if got := hex.EncodeToString(r.Outward[:]); got != outward {
		t.Errorf("outward %s, want %s", got, outward)
	}
}
