package keys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"
)

var testTime = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func seeded(b byte) (s signer) {
	s.set(&[32]byte{0: b})
	return s
}

func TestCertificateChain(t *testing.T) {
	identity, signing, note := GenerateIdentity(), GenerateSigning(), GenerateNote()
	link, circuit := GenerateLink(), GenerateCircuit()
	end := testTime.Add(time.Hour)
	c1 := identity.CertifySigning(signing.Public(), testTime, end)
	c2 := signing.CertifyLink(link.Public(), testTime, end)
	c3 := signing.CertifyCircuit(circuit.Public(), testTime, end)
	c4 := identity.CertifyNote(note.Public(), testTime, end)

	if got, err := c1.SigningKey(identity.Public(), testTime); err != nil || got != signing.Public() {
		t.Errorf("signing key: %v, %v", got, err)
	}
	if got, err := c2.LinkKey(signing.Public(), testTime); err != nil || got != link.Public() {
		t.Errorf("link key: %v, %v", got, err)
	}
	if got, err := c3.CircuitKey(signing.Public(), testTime); err != nil || got != circuit.Public() {
		t.Errorf("circuit key: %v, %v", got, err)
	}
	if got, err := c4.NoteKey(identity.Public(), testTime); err != nil || got != note.Public() {
		t.Errorf("note key: %v, %v", got, err)
	}

	// Each of the four for each of the others.
	id, sp := identity.Public(), signing.Public()
	for i, c := range []*Certificate{&c1, &c2, &c3, &c4} {
		_, e1 := c.SigningKey(RelayID(c.Signer), testTime)
		_, e2 := c.LinkKey(SigningPublic(c.Signer), testTime)
		_, e3 := c.CircuitKey(SigningPublic(c.Signer), testTime)
		_, e4 := c.NoteKey(RelayID(c.Signer), testTime)
		for j, err := range []error{e1, e2, e3, e4} {
			if i != j && !errors.Is(err, ErrWrongKind) {
				t.Errorf("certificate %d as %d: %v", i, j, err)
			}
		}
	}
	if _, err := c1.SigningKey(RelayID(sp), testTime); !errors.Is(err, ErrSigner) {
		t.Errorf("by another identity: %v", err)
	}
	if _, err := c2.LinkKey(SigningPublic(id), testTime); !errors.Is(err, ErrSigner) {
		t.Errorf("by another signing key: %v", err)
	}
	// A kind changed after signing.
	forged := c2
	forged.Kind = CertCircuit
	if key, err := forged.CircuitKey(sp, testTime); !errors.Is(err, ErrSignature) || key != (CircuitPublic{}) {
		t.Errorf("kind changed: %v, %v", key, err)
	}
}

func TestCertificateTimes(t *testing.T) {
	identity := GenerateIdentity()
	c := identity.CertifySigning(GenerateSigning().Public(), testTime, testTime.Add(time.Hour))
	for _, row := range []struct {
		name string
		now  time.Time
		want error
	}{
		{"before", testTime.Add(-1), ErrNotYet},
		{"first", testTime, nil},
		{"last", testTime.Add(time.Hour - 1), nil},
		{"after", testTime.Add(time.Hour), ErrExpired},
	} {
		if err := c.Verify(row.now); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

func TestCertifyNeverValidPanics(t *testing.T) {
	for name, end := range map[string]time.Time{"empty": testTime, "negative": time.Unix(-5, 0), "year 10000": time.Unix(maxTime+1, 0)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: made", name)
				}
			}()
			GenerateIdentity().CertifySigning(SigningPublic{}, testTime, end)
		}()
	}
}

func TestCertificateFailsAtEveryChange(t *testing.T) {
	identity := GenerateIdentity()
	c := identity.CertifySigning(GenerateSigning().Public(), testTime, testTime.Add(time.Hour))
	b, err := c.AppendBinary(nil)
	if err != nil || len(b) != CertificateSize || CertificateSize != 146 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			parsed, err := ParseCertificate(bad)
			if err == nil {
				_, err = parsed.SigningKey(identity.Public(), testTime)
			}
			if err == nil {
				t.Errorf("byte %d, bit %d is free", i, bit)
			}
		}
		if _, err := ParseCertificate(b[:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	if _, err := ParseCertificate(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestCertificateText(t *testing.T) {
	c := GenerateIdentity().CertifySigning(GenerateSigning().Public(), testTime.Add(999*time.Millisecond), testTime.Add(time.Hour))
	text, err := c.MarshalText()
	if err != nil || len(text) != 195 {
		t.Fatalf("%d characters, %v", len(text), err)
	}
	var again Certificate
	if err := again.UnmarshalText(text); err != nil || again != c {
		t.Errorf("%v, %v, want %v", again, err, c)
	}
	for _, bad := range []string{"", string(text[1:]), string(text) + "A", "B" + string(text[1:]), string(text[:194]) + "\n"} {
		if err := again.UnmarshalText([]byte(bad)); !errors.Is(err, ErrMalformed) || again != c {
			t.Errorf("text of %d characters: %v", len(bad), err)
		}
	}
}

// Made from the words of docs/protocol.md and RFC 8032 by a program of its own:
// the identity's seed is 1 and zeros, the signing key's 2 and zeros.
const knownCertificate = "010100000000000003e800000000000007d0" +
	"6b79c57e6a095239282c04818e96112f3f03a4001ba97a564c23852a3f1ea5fccecc1507dc1ddd7295951c290888f095adb9044d1b73d696e6df065d683bd4fc" +
	"090c0690c9c350ce4f37ff6e8dfc113ed0d7c23228bfebb660736244ae0d1cf93295bd345fd69aca6d143f1300a154ec16638c7167676fdd42713bdecc310f09"

func TestCertificateKnownAnswer(t *testing.T) {
	identity, signing := IdentityKey{seeded(1)}, SigningKey{seeded(2)}
	c := identity.CertifySigning(signing.Public(), time.Unix(1000, 0), time.Unix(2000, 0))
	got, err := c.AppendBinary(nil)
	if err != nil || hex.EncodeToString(got) != knownCertificate {
		t.Errorf("certificate = %x, want %s", got, knownCertificate)
	}
}

func TestProof(t *testing.T) {
	identity, signing := GenerateIdentity(), GenerateSigning()
	p := &Proof{identity.CertifySigning(signing.Public(), testTime, testTime.Add(time.Hour)), signing}
	hash := [32]byte{1, 2, 3}
	b := p.Append(nil, hash)
	if len(b) != ProofSize || ProofSize != 210 {
		t.Fatalf("%d bytes", len(b))
	}
	if id, err := VerifyProof(b, hash, testTime); err != nil || id != identity.Public() || id != p.ID() {
		t.Fatalf("%v, %v", id, err)
	}
	if _, err := VerifyProof(b, [32]byte{9}, testTime); !errors.Is(err, ErrSignature) {
		t.Errorf("on another link: %v", err)
	}
	if _, err := VerifyProof(b, hash, testTime.Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if id, err := VerifyProof(bad, hash, testTime); err == nil || id != (RelayID{}) {
			t.Errorf("byte %d is free", i)
		}
		if _, err := VerifyProof(b[:i], hash, testTime); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	// Somebody else's certificate with one's own signature.
	mine := &Proof{p.Certificate, GenerateSigning()}
	if _, err := VerifyProof(mine.Append(nil, hash), hash, testTime); !errors.Is(err, ErrSignature) {
		t.Errorf("stolen certificate: %v", err)
	}
	// A link certificate in place of the signing key's.
	link := &Proof{signing.CertifyLink(LinkPublic(signing.Public()), testTime, testTime.Add(time.Hour)), signing}
	if _, err := VerifyProof(link.Append(nil, hash), hash, testTime); !errors.Is(err, ErrWrongKind) {
		t.Errorf("certificate of another kind: %v", err)
	}
}
