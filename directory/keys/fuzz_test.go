package keys

import (
	"bytes"
	"testing"
	"time"
)

func FuzzParseCertificate(f *testing.F) {
	for _, r := range samples() {
		if r.kind.cert() != 0 {
			b, _ := r.cert.AppendBinary(nil)
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ParseCertificate(in)
		if err != nil {
			return
		}
		out, err := c.AppendBinary(nil)
		if err != nil || !bytes.Equal(out, in) {
			t.Fatalf("accepted %x, encodes as %x (%v)", in, out, err)
		}
		text, _ := c.MarshalText()
		var again Certificate
		if err := again.UnmarshalText(text); err != nil || again != c {
			t.Fatalf("text %s: %v", text, err)
		}
		_ = c.Verify(testTime)
	})
}

func FuzzCertificateText(f *testing.F) {
	for _, r := range samples() {
		text, _ := r.cert.MarshalText()
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var c Certificate
		if c.UnmarshalText(in) != nil {
			return
		}
		if out, err := c.MarshalText(); err != nil || !bytes.Equal(out, in) {
			t.Fatalf("accepted %q, encodes as %q (%v)", in, out, err)
		}
	})
}

func FuzzParseRelayID(f *testing.F) {
	f.Add(RelayID{1, 2, 3}.String())
	f.Fuzz(func(t *testing.T, in string) {
		if id, err := ParseRelayID(in); err == nil && id.String() != in {
			t.Fatalf("accepted %q, encodes as %q", in, id)
		}
	})
}

func FuzzVerifyProof(f *testing.F) {
	identity, signing := IdentityKey{seeded(1)}, &SigningKey{seeded(2)}
	hash := [32]byte{1}
	p := &Proof{identity.CertifySigning(signing.Public(), testTime, testTime.Add(time.Hour)), signing}
	good := p.Append(nil, hash)
	f.Add(good)
	f.Fuzz(func(t *testing.T, in []byte) {
		// The seeds are known to the fuzzer's author only: nothing but the
		// one proof verifies.
		if id, err := VerifyProof(in, hash, testTime); err == nil && id == identity.Public() && !bytes.Equal(in, good) {
			t.Fatalf("accepted %x", in)
		}
	})
}

func FuzzParseKeyFile(f *testing.F) {
	for i, kind := range fileKinds {
		if kind != fileSealed {
			f.Add(uint8(i), sample(kind).encode())
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, in []byte) {
		want := fileKinds[int(kind)%len(fileKinds)]
		if want == fileSealed { // has its own parser and fuzzer
			return
		}
		r, err := parseRecord(in, want)
		if err == nil && !bytes.Equal(r.encode(), in) {
			t.Fatalf("accepted %q, encodes as %q", in, r.encode())
		}
	})
}

func FuzzParseSealedIdentity(f *testing.F) {
	f.Add(seal(&IdentityKey{seeded(1)}, []byte("p"), cheap).encode())
	f.Add(seal(&IdentityKey{seeded(1)}, []byte("p"), cost64M).encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := parseSealed(in)
		if err == nil && !bytes.Equal(s.encode(), in) {
			t.Fatalf("accepted %q, encodes as %q", in, s.encode())
		}
		if err == nil && !s.cost.valid() {
			t.Fatalf("accepted the cost %v", s.cost)
		}
	})
}
