//go:build !race

package link_test

import (
	"testing"

	"tunic/cell"
	"tunic/cell/link"
)

// A record that comes in on one link, is queued on another and goes out there: no
// allocation per cell, nor per record, once the pools are filled. (In race builds
// pools drop what they hold.)
func TestForwardingDoesNotAllocate(t *testing.T) {
	ch := newChain(t, cell.RecordCells)
	var b link.Batch
	for range 200 {
		ch.send(t, &b)
	}
	if n := testing.AllocsPerRun(500, func() { ch.send(t, &b) }); n > 0 {
		t.Errorf("%v allocations per record of 31 cells through three nodes, want 0", n)
	}
}
