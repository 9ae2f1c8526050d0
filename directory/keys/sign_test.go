package keys

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"
)

func TestSignatureHoldsInItsContextOnly(t *testing.T) {
	k := GenerateSigning()
	msg := []byte("message")
	sig := k.Sign(LabelDescriptor, msg)
	if err := Verify(k.Public(), LabelDescriptor, msg, sig[:]); err != nil {
		t.Fatal(err)
	}
	if err := Verify(k.Public(), LabelVote, msg, sig[:]); !errors.Is(err, ErrSignature) {
		t.Errorf("in another context: %v", err)
	}
	if err := Verify(k.Public(), "", msg, sig[:]); !errors.Is(err, ErrSignature) {
		t.Errorf("without a context: %v", err)
	}
	if err := Verify(GenerateSigning().Public(), LabelDescriptor, msg, sig[:]); !errors.Is(err, ErrSignature) {
		t.Errorf("by another key: %v", err)
	}
	public := k.Public()
	if ed25519.Verify(public[:], msg, sig[:]) {
		t.Error("the signature holds as plain Ed25519")
	}
	plain := ed25519.Sign(k.key, msg)
	for _, c := range []Context{LabelDescriptor, ""} {
		if err := Verify(k.Public(), c, msg, plain); !errors.Is(err, ErrSignature) {
			t.Errorf("a plain signature in context %q: %v", c, err)
		}
	}
}

func TestSignatureFailsAtEveryChange(t *testing.T) {
	k := GenerateSigning()
	msg := []byte("message")
	sig := k.Sign(LabelDescriptor, msg)
	for i := range sig {
		bad := sig
		bad[i] ^= 1
		if Verify(k.Public(), LabelDescriptor, msg, bad[:]) == nil {
			t.Errorf("byte %d of the signature is free", i)
		}
		if Verify(k.Public(), LabelDescriptor, msg, sig[:i]) == nil {
			t.Errorf("%d bytes of the signature suffice", i)
		}
	}
	if Verify(k.Public(), LabelDescriptor, append(msg, 0), sig[:]) == nil {
		t.Error("a longer message passes")
	}
}

func TestSmallOrderKeysAreRefused(t *testing.T) {
	for _, text := range []string{ // y, in both signs of x, and not reduced: p and p + 1
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			k := SigningPublic(b)
			k[31] |= sign
			// R = A·0 + identity: with S = 0 the equation is R = -kA, which
			// for a point of order 1 holds for every message.
			sig := make([]byte, SignatureSize)
			sig[0] = 1
			if Verify(k, LabelDescriptor, nil, sig) == nil || !smallOrder((*[32]byte)(&k)) {
				t.Errorf("%s with sign %x passes", text, sign)
			}
		}
	}
	for range 64 {
		if k := GenerateSigning().Public(); smallOrder((*[32]byte)(&k)) {
			t.Fatalf("%v is refused", k)
		}
	}
}

func TestSignWithoutContextPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Sign made a plain signature")
		}
	}()
	GenerateSigning().Sign("", nil)
}
