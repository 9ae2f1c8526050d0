// Package mirror fetches, verifies, keeps and serves directory documents: HTTP
// over streams of circuits. It dials nothing itself: a Client is handed a
// function that opens a directory stream, a Listener is handed streams that
// somebody opened. It knows the documents' names and sizes; what they say is
// package directory's.
//
// Specification: docs/protocol.md, "Directory over HTTP". The two change together.
package mirror

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers act on.
var (
	ErrNotNewer = errors.New("no newer consensus")  // the mirror has none newer than the one held
	ErrNotFound = errors.New("no such document")    // status 404
	ErrTooLarge = errors.New("answer is too large") // more bytes than asked for, packed or unpacked
	ErrAnswer   = errors.New("malformed answer")    // not HTTP, or not as the specification says
	ErrFull     = errors.New("too many directory streams")
)

// A BusyError says that the other side is busy (status 503).
type BusyError struct {
	RetryAfter time.Duration // as it said: a claim, bounded to an hour
}

func (e *BusyError) Error() string { return fmt.Sprintf("busy, retry after %v", e.RetryAfter) }

// A StatusError is any other status than was hoped for.
type StatusError struct {
	Code   int
	Reason string // the first line of the answer, printable ASCII, at most 200 bytes
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d: %s", e.Code, e.Reason)
}

const ( // fixed by docs/protocol.md, "Directory over HTTP"
	PathConsensus  = "/tunic/1/consensus"   // GET
	PathDescriptor = "/tunic/1/descriptor"  // POST, to authorities
	PathOf         = "/tunic/1/descriptor/" // GET, with an identity behind it

	// headerHave names the consensus that a client holds: its valid-after, a
	// space, its digest. The answer is 304 unless there is a newer one.
	headerHave = "Tunic-Have"

	host        = "directory" // in every request
	contentType = "text/plain; charset=utf-8"
	packing     = "zstd"

	maxWindow  = 8 << 20 // bytes of history that unpacking may need
	maxHeader  = 8 << 10 // bytes of a request's or an answer's header
	maxReason  = 200     // bytes of an answer's first line that are passed on
	maxRetry   = time.Hour
	maxPublish = 1 << 10 // bytes of the answer to a descriptor
)
