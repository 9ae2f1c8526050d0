package cell_test

import (
	"testing"

	"tunic/cell"
)

func BenchmarkEncode(b *testing.B) {
	s := cell.NewSlot()
	defer s.Release()
	data := make([]byte, cell.MaxData)
	b.ReportAllocs()
	b.SetBytes(cell.Size)
	for b.Loop() {
		s.SetHeader(0x80000001, cell.Relay)
		cell.PutMessage(s.Message(), cell.Data, 1, data)
	}
}

func BenchmarkDecode(b *testing.B) {
	s := cell.NewSlot()
	defer s.Release()
	s.SetHeader(0x80000001, cell.Relay)
	cell.PutMessage(s.Message(), cell.Data, 1, make([]byte, cell.MaxData))
	b.ReportAllocs()
	b.SetBytes(cell.Size)
	for b.Loop() {
		if h := cell.ParseHeader(s.Cell()); h.Command != cell.Relay {
			b.Fatal(h)
		}
		if _, err := cell.ParseMessage(s.Message()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSlot(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		cell.NewSlot().Release()
	}
}

func BenchmarkAssemble(b *testing.B) {
	_, parts := fragments(cell.AssembleCreate)
	b.ReportAllocs()
	for b.Loop() {
		a := cell.NewAssembler(cell.AssembleCreate)
		for _, p := range parts {
			if _, err := a.Add(p); err != nil {
				b.Fatal(err)
			}
		}
	}
}
