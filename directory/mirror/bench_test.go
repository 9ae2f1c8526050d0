package mirror

import (
	"bytes"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func bigDocument(b *testing.B) []byte {
	net := directorytest.New(1)
	bundle, _ := net.Sign(b, net.Consensus(0, net.Relays(2000)), nil)
	return bundle.Raw()
}

func BenchmarkPack(b *testing.B) {
	doc := bigDocument(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		b.ReportMetric(float64(len(Pack(doc)))/float64(len(doc)), "ratio")
	}
}

func BenchmarkUnpack(b *testing.B) {
	doc := bigDocument(b)
	packed := Pack(doc)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := unpack(bytes.NewReader(packed), directory.MaxBundle); err != nil {
			b.Fatal(err)
		}
	}
}
