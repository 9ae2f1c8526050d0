package circuit

import (
	"time"

	"tunic/cell"
)

const ( // fixed by docs/protocol.md, "Circuits" and "Streams"
	// MaxHops is the most hops that a client builds.
	MaxHops = 8
	// maxEarly is how many RELAY_EARLY cells a client sends beyond hop 0 and a
	// relay takes outward on one circuit, fragments of an EXTEND addressed to
	// itself not counted. Three carry one EXTEND.
	maxEarly = 24
	// MaxStreams is how many stream ids of one circuit are in use at a time:
	// open, half-closed, waiting for an answer, or closed on one side.
	MaxStreams = 2000
	// maxLate is how many streams that are over, and that the peer had ended
	// with EndDone, may still be given up with one late END.
	maxLate = 256
	// xoffLimit is how much unread data of a stream makes its receiver send
	// XOFF, if it stays above that for xoffGrace; bytes.
	xoffLimit = 500 * cell.MaxData
	// xoffAtOnce is how much makes it send XOFF without waiting; what comes
	// then fits in one window, or the peer does not stop.
	xoffAtOnce = 4 * xoffLimit
	// xonLimit is what is left unread when the receiver sends XON; bytes.
	xonLimit = xoffLimit / 2
	// xoffCredit is how much must have been sent on a stream for each XOFF that
	// its receiver may send: what comes at least between XON and XOFF; bytes.
	xoffCredit = xoffLimit / 2
)

const ( // our choice
	// hopTimeout is how long one handshake with a hop may take, at the client
	// from the first fragment to the answer, at a relay each of its parts.
	hopTimeout = 10 * time.Second
	// answerTimeout is how long Dial, DialDir and Resolve wait even if their
	// context has no end: two attempts of an exit, with DNS.
	answerTimeout = 60 * time.Second
	// xoffGrace lets the goroutine that reads a stream get its turn on a busy
	// machine: without it BenchmarkThreeHops stops and starts for every 500
	// cells. Tor's is the same.
	xoffGrace = 5 * time.Millisecond
	// sleepAfter is how long a circuit has no cell before it drops the key
	// objects of its layers, at least; at most twice as long.
	sleepAfter = 10 * time.Second
	// maxUnread is how much unread data all streams of a circuit hold together
	// before the circuit is destroyed: a full window and 90 streams at their
	// XOFF limit; bytes.
	maxUnread = 32 << 20
	// quantum is how many cells a stream seals under one hold of the
	// direction's lock, about 30 µs of work for three layers: a record.
	quantum = cell.RecordCells
)
