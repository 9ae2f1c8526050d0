package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestPrivateKeysDoNotPrint(t *testing.T) {
	identity, signing, note, link, circuit := GenerateIdentity(), GenerateSigning(), GenerateNote(), GenerateLink(), GenerateCircuit()
	proof := &Proof{Signing: signing}
	secrets := [][]byte{identity.key.Seed(), signing.key.Seed(), note.key.Seed(), link.ECDH().Bytes(), circuit.ECDH().Bytes()}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{identity, signing, note, link, circuit, proof, *proof} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		log.Info("key", "key", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
	}
	text := out.String()
	if !strings.Contains(text, "[private key]") {
		t.Error("no private key prints as its word")
	}
	for i, s := range secrets {
		for form, enc := range map[string]string{
			"hex": hex.EncodeToString(s), "base64": base64.RawStdEncoding.EncodeToString(s), "base64url": base64.RawURLEncoding.EncodeToString(s),
			"decimal": strings.Trim(fmt.Sprint(s), "[]"), "raw": string(s),
			"go": strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", s), "[]byte{"), "}"),
		} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(enc)) {
				t.Errorf("secret %d is printed in %s", i, form)
			}
		}
	}
}

func TestWipeOverwritesTheSeed(t *testing.T) {
	k := GenerateSigning()
	b := k.key
	k.Wipe()
	if !bytes.Equal(b, make([]byte, len(b))) {
		t.Error("bytes of the key are left")
	}
	l := GenerateLink()
	if l.Wipe(); l.ECDH() != nil {
		t.Error("the link key is left")
	}
}

func TestGeneratedKeysDiffer(t *testing.T) {
	a, b := GenerateIdentity().Public(), GenerateIdentity().Public()
	if c, d := GenerateLink().Public(), GenerateLink().Public(); a == b || c == d {
		t.Error("two keys are one")
	}
}
