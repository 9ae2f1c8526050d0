package linktest

import (
	"encoding/binary"

	"tunic/cell"
)

// skimBuffer is what Skim reads at a time at most, in bytes: eight records.
const skimBuffer = 128 << 10

// Skim reads records until the connection ends, and hands the number of cells of
// each to count: it looks at lengths alone and opens nothing, so that it costs a
// benchmark little. Nothing can be received after it.
func (h *Hostile) Skim(count func(cells int)) {
	buf := make([]byte, skimBuffer)
	left := 0 // of a record that has begun; bytes
	for have := 0; ; {
		n, err := h.Conn.Read(buf[have:])
		if err != nil {
			return
		}
		p := buf[:have+n]
		for {
			k := min(left, len(p))
			left, p = left-k, p[k:]
			if left > 0 || len(p) < 2 {
				break
			}
			h.recv.lengths.XORKeyStream(p[:2], p[:2])
			left = int(binary.BigEndian.Uint16(p))
			p = p[2:]
			count(left / cell.Size)
		}
		have = copy(buf, p)
	}
}
