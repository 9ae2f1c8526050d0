//go:build !race

package cell_test

import (
	"testing"

	"tunic/cell"
)

func TestNothingPerCellAllocates(t *testing.T) {
	data := make([]byte, cell.MaxData)
	tag := raw(t, `00112233445566778899aabbccddeeff`)
	begin := make([]byte, 0, cell.MaxData)
	tests := []struct {
		name string
		run  func()
	}{
		{"slot", func() { cell.NewSlot().Release() }},
		{"encode and decode", func() {
			s := cell.NewSlot()
			s.SetHeader(1, cell.Relay)
			cell.PutMessage(s.Message(), cell.Data, 1, data)
			_ = cell.ParseHeader(s.Cell())
			if m, err := cell.ParseMessage(s.Message()); err != nil || len(m.Data) != len(data) {
				t.Error(err)
			}
			s.Release()
		}},
		{"SENDME", func() {
			got, err := cell.ParseSendme(tag)
			if err != nil {
				t.Error(err)
			}
			_, _ = got.AppendBinary(begin[:0])
		}},
		{"XON", func() { _, _ = cell.ParseXOn(tag[:4]) }},
		{"END", func() { _, _ = cell.ParseEnd(tag[1:2]) }},
		{"BEGIN, encoding", func() {
			if _, err := (cell.BeginRequest{Host: "example.com", Port: 443}).AppendBinary(begin[:0]); err != nil {
				t.Error(err)
			}
		}},
		{"a stalled reassembly before its first fragment", func() { _ = cell.NewAssembler(cell.AssembleCreate) }},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.run); n != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, n)
		}
	}
}
