package directory

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint is what the authorities sign of a consensus: the text of a
// signed note (golang.org/x/mod/sumdb/note), whose first three lines are those
// of a C2SP tlog-checkpoint.
//
// Note keys sign nothing but checkpoints, and plain text, so that witnesses can
// read it: the first line, the origin, is what keeps the signatures of one
// network apart from those of another.
type Checkpoint struct {
	Origin     string    // the network's name
	Size       int64     // of the log: majority-signed consensuses before this one
	Root       tlog.Hash // of the log
	ValidAfter time.Time
	Digest     Digest // of the consensus
	Length     int64  // of the consensus, bytes
	Previous   Digest // of the consensus before it, zero if none
}

// rootEncoding is that of tlog-checkpoints.
var rootEncoding = base64.StdEncoding.Strict()

// Text returns the text of the note. It is the record of the log that stands
// for the consensus once a majority has signed it.
func (c *Checkpoint) Text() string {
	w := &writer{b: []byte(c.Origin)}
	w.end()
	w.b = fmt.Appendf(w.b, "%d\n", c.Size)
	w.b = rootEncoding.AppendEncode(w.b, c.Root[:])
	w.end()
	w.keyword("valid-after").time(c.ValidAfter, timeLayout, "valid-after").end()
	w.keyword("digest").binary(c.Digest[:]).end()
	w.keyword("length").int(c.Length).end()
	w.keyword("previous").digest(c.Previous).end()
	return string(w.b)
}

// valid reports whether Text encodes c so that it parses.
func (c *Checkpoint) valid() bool {
	return isName(c.Origin, maxNetworkName, "-._") && c.Size >= 0 && c.Size <= maxLogSize &&
		validTime(c.ValidAfter) && c.Length >= 0 && c.Length <= MaxConsensus
}

// ParseCheckpoint reads the text of a note.
func ParseCheckpoint(text string) (*Checkpoint, error) {
	c := &Checkpoint{}
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) != 4 || !isName(lines[0], maxNetworkName, "-._") {
		return nil, fmt.Errorf("checkpoint: %w", ErrMalformed)
	}
	size, err := parseUint(lines[1], maxLogSize)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: size: %w", err)
	}
	c.Origin, c.Size = cloned(lines[0]), int64(size)
	root, err := rootEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(c.Root) || len(lines[2]) != rootEncoding.EncodedLen(len(root)) {
		return nil, fmt.Errorf("checkpoint: root: %w", ErrMalformed)
	}
	copy(c.Root[:], root)
	r := &reader{rest: lines[3], line: 3}
	c.ValidAfter = r.time(r.take("valid-after"), "valid-after")
	r.binary(c.Digest[:], r.take("digest"), "digest")
	c.Length = int64(r.uint(r.take("length"), MaxConsensus, "length"))
	c.Previous = r.digest(r.take("previous"), "previous")
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}
