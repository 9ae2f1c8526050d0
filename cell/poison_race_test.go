//go:build race

package cell_test

import (
	"bytes"
	"testing"

	"tunic/cell"
)

func TestReleaseOverwritesTheSlot(t *testing.T) {
	s := cell.NewSlot()
	b := s.Body()
	clear(b)
	s.Release()
	if !bytes.Equal(b, bytes.Repeat([]byte{0xdb}, cell.BodySize)) {
		t.Error("a released slot still holds its cell in a race build")
	}
}
