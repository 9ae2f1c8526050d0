package keys

import "testing"

func BenchmarkVerifyCertificate(b *testing.B) {
	c := GenerateIdentity().CertifySigning(GenerateSigning().Public(), testTime, testTime.Add(day))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Verify(testTime); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyProof(b *testing.B) {
	signing := GenerateSigning()
	p := &Proof{GenerateIdentity().CertifySigning(signing.Public(), testTime, testTime.Add(day)), signing}
	proof := p.Append(nil, [32]byte{1})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifyProof(proof, [32]byte{1}, testTime); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewRelaySet(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadOrCreate(b.TempDir(), testTime); err != nil {
			b.Fatal(err)
		}
	}
}
