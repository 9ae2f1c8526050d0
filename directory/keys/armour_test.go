package keys

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// samples returns one record of each kind, for the tests and the fuzzers.
func samples() []*record {
	identity, signing := IdentityKey{seeded(1)}, SigningKey{seeded(2)}
	end := testTime.Add(time.Hour)
	ed := func(kind fileKind, s signer, c Certificate) *record {
		return &record{kind: kind, public: s.public(), private: [32]byte(s.key.Seed()), cert: c}
	}
	note := seeded(3)
	link, circuit := new(LinkKey), new(CircuitKey)
	four, five := [32]byte{8, 31: 64}, [32]byte{16, 31: 64}
	link.set(&four)
	circuit.set(&five)
	return []*record{
		ed(fileIdentity, identity.signer, Certificate{}),
		ed(fileFamily, seeded(6), Certificate{}),
		ed(fileSigning, signing.signer, identity.CertifySigning(signing.Public(), testTime, end)),
		ed(fileNote, note, identity.CertifyNote(note.public(), testTime, end)),
		{kind: fileLink, public: link.public(), private: four, created: testTime, published: end, cert: signing.CertifyLink(link.Public(), testTime, end)},
		{kind: fileCircuit, public: circuit.public(), private: five, created: testTime, cert: signing.CertifyCircuit(circuit.Public(), testTime, end)},
	}
}

func sample(kind fileKind) *record {
	all := samples()
	return all[slices.IndexFunc(all, func(r *record) bool { return r.kind == kind })]
}

func TestKeyFilesRoundTrip(t *testing.T) {
	for _, r := range samples() {
		b := r.encode()
		got, err := parseRecord(b, r.kind)
		if err != nil || *got != *r {
			t.Errorf("%s: %+v, %v, want %+v", r.kind, got, err, r)
		}
		for _, other := range samples() {
			if other.kind != r.kind {
				if _, err := parseRecord(b, other.kind); !errors.Is(err, ErrMalformed) {
					t.Errorf("%s as %s: %v", r.kind, other.kind, err)
				}
			}
		}
	}
}

func TestKeyFileText(t *testing.T) {
	text := string(sample(fileCircuit).encode())
	want := []string{"tunic circuit key, version 1", "public ", "private ", "created 2026-11-21T12:00:00Z", "published never", "certificate "}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), text)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want[i])
		}
	}
}

func TestKeyFileFailsAtEveryChange(t *testing.T) {
	for _, r := range samples() {
		b := r.encode()
		for i := range b {
			if _, err := parseRecord(b[:i], r.kind); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %d bytes: %v", r.kind, i, err)
			}
			bad := bytes.Clone(b)
			bad[i] ^= 0x04
			got, err := parseRecord(bad, r.kind)
			if err == nil && got.kind.cert() != 0 {
				err = got.cert.verifySignature()
			}
			if err == nil && got.created.Equal(r.created) && got.published.Equal(r.published) { // times are the operator's to change
				t.Errorf("%s: byte %d is free", r.kind, i)
			}
		}
		for name, bad := range map[string][]byte{
			"a line more":    append(bytes.Clone(b), "x\n"...),
			"an empty line":  append(bytes.Clone(b), '\n'),
			"carriage":       bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")),
			"two spaces":     bytes.Replace(b, []byte("public "), []byte("public  "), 1),
			"twice":          append(bytes.Clone(b), b...),
			"other version":  bytes.Replace(b, []byte("version 1"), []byte("version 2"), 1),
			"4 KiB of lines": append(bytes.Clone(b), bytes.Repeat([]byte("\n"), maxFile)...),
		} {
			if _, err := parseRecord(bad, r.kind); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %s: %v", r.kind, name, err)
			}
		}
	}
}

func TestKeyFileRefusesAnothersCertificate(t *testing.T) {
	link, circuit := sample(fileLink), sample(fileCircuit)
	circuit.cert = link.cert
	if _, err := parseRecord(circuit.encode(), fileCircuit); !errors.Is(err, ErrMalformed) {
		t.Errorf("certificate of another kind: %v", err)
	}
	signing := SigningKey{seeded(2)}
	circuit.cert = signing.CertifyCircuit(CircuitPublic{7}, testTime, testTime.Add(time.Hour))
	if _, err := parseRecord(circuit.encode(), fileCircuit); !errors.Is(err, ErrMalformed) {
		t.Errorf("certificate of another key: %v", err)
	}
	link.public = [32]byte{9}
	if _, err := parseRecord(link.encode(), fileLink); !errors.Is(err, ErrMalformed) {
		t.Errorf("another public key: %v", err)
	}
}

func TestKeyFileRefusesUnclampedScalars(t *testing.T) {
	r := sample(fileLink)
	r.private[0] |= 1 // the same key to X25519
	if _, err := parseRecord(r.encode(), fileLink); !errors.Is(err, ErrMalformed) {
		t.Errorf("a second text of one key: %v", err)
	}
}

func TestKeyFileTimes(t *testing.T) {
	b := sample(fileLink).encode()
	for _, bad := range []string{"2026-11-21T12:00:00+00:00", "2026-11-21T12:00:00.5Z", "2026-02-30T12:00:00Z", "1969-12-31T23:59:59Z", "never", ""} {
		text := bytes.Replace(b, []byte("created 2026-11-21T12:00:00Z"), []byte("created "+bad), 1)
		if _, err := parseRecord(text, fileLink); !errors.Is(err, ErrMalformed) {
			t.Errorf("created %q: %v", bad, err)
		}
	}
}
