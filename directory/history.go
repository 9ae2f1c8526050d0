package directory

import (
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A History is a majority-signed checkpoint with the peaks of the log that it
// names: what an authority has to know to make the next checkpoint.
type History struct {
	Signed SignedCheckpoint
	Peaks  []tlog.Hash
}

func (h *History) log() Log { return Log{Size: h.Signed.Checkpoint.Size, Peaks: h.Peaks} }

// Verify says whether a majority of n's authorities signed h's checkpoint, and
// its peaks are those of its root.
func (h *History) Verify(n *Network) error {
	if err := h.Signed.Verify(n); err != nil {
		return err
	}
	root, err := h.log().Root()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if root != h.Signed.Checkpoint.Root {
		return fmt.Errorf("checkpoint: %w: peaks are not those of the root", ErrMalformed)
	}
	return nil
}

// Next returns the checkpoint of consensus document doc, valid from validAfter,
// behind h, which has been verified and is nil for a network's first; and the
// peaks of its log, for the History that it becomes part of. The log has grown
// by h's own checkpoint, never by one that no majority signed: so an authority
// that signs again after a round that failed contradicts nothing.
func (h *History) Next(n *Network, validAfter time.Time, doc []byte) (*Checkpoint, []tlog.Hash, error) {
	var log Log
	c := &Checkpoint{Origin: n.Name, ValidAfter: Moment(validAfter), Digest: DigestOf(doc), Length: int64(len(doc))}
	if h != nil {
		last := &h.Signed.Checkpoint
		if !last.ValidAfter.Before(c.ValidAfter) {
			return nil, nil, fmt.Errorf("next checkpoint: %w", ErrOlder)
		}
		var err error
		if log, err = h.log().Append([]byte(last.Text())); err != nil {
			return nil, nil, fmt.Errorf("next checkpoint: %w", err)
		}
		c.Previous = last.Digest
	}
	root, err := log.Root()
	if err != nil {
		return nil, nil, fmt.Errorf("next checkpoint: %w", err)
	}
	c.Size, c.Root = log.Size, root
	return c, log.Peaks, nil
}

// encode appends the history as a part of a vote.
func (h *History) encode(w *writer) {
	signed, err := h.Signed.Encode()
	if err != nil || !h.log().valid() {
		w.fail("previous")
		return
	}
	w.keyword("previous").int(int64(len(signed))).end()
	w.b = append(w.b, signed...)
	w.keyword("peaks")
	for _, p := range h.Peaks {
		w.binary(p[:])
	}
	w.end()
}

// readHistory reads what encode writes.
func readHistory(r *reader) *History {
	size := r.uint(r.take("previous"), MaxSignedCheckpoint, "previous")
	inner := &reader{rest: r.block(size, "previous")}
	h := &History{Signed: *readSignedCheckpoint(inner)}
	if inner.done() != nil {
		r.fail("previous")
	}
	args := r.take("peaks")
	if n := bits.OnesCount64(uint64(h.Signed.Checkpoint.Size)); n > 0 {
		h.Peaks = make([]tlog.Hash, n)
		for i, field := range r.split(args, n, "peaks") {
			r.binary(h.Peaks[i][:], field, "peaks")
		}
	} else if args != "" {
		r.fail("peaks")
	}
	return h
}
