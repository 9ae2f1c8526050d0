package circuit

import (
	"time"

	"tunic/cell"
	"tunic/circuit/congestion"
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
	// xonSample is how much a reader takes between two measurements of its pace,
	// and so between two XONs that only advise; bytes.
	xonSample = xoffLimit
	// flowCost is how much must be sent on a stream for each XOFF, and for each
	// XON that ends none: half of what a receiver waits for; bytes.
	flowCost = xoffLimit / 2
	// maxCredit is the most that data sent counts for messages to come: a full
	// window, behind which its receiver's messages may all come at once; bytes.
	maxCredit = congestion.MaxWindow * cell.MaxData
	// rateUnit is the unit of XON's rate; bytes per second.
	rateUnit = 1_000
	// minRate is the lowest rate, about one XOFF limit per second: who reads more
	// slowly sends XOFF now and then, and who lies cannot slow a stream further
	// without. From noRate on, a gigabit per second, a rate is no limit.
	minRate cell.XOnRate = 250
	noRate  cell.XOnRate = 125_000
)

const ( // our choice
	// hopTimeout is how long one handshake with a hop may take, at the client
	// from the first fragment to the answer, at a relay each of its parts.
	hopTimeout = 10 * time.Second
	// answerTimeout is how long BeginWith, Dial, DialDir and Resolve wait, each for
	// the answer or for the window, even if their context has no end: two attempts
	// of an exit, with DNS.
	answerTimeout = 60 * time.Second
	// xoffGrace lets the goroutine that reads a stream get its turn on a busy
	// machine: without it BenchmarkThreeHops stops and starts for every 500
	// cells. Tor's is the same.
	xoffGrace = 5 * time.Millisecond
	// sleepAfter is how long a circuit has no cell before it drops the key
	// objects of its layers, at least; at most twice as long.
	sleepAfter = 10 * time.Second
	// maxUnread is how much unread data all streams of a circuit hold together
	// before those are given up that were told to stop and get more: a full window
	// and 90 streams at their XOFF limit; bytes. At maxUnreadOfAny the circuit is
	// destroyed, whatever stream it is that gets more.
	maxUnread      = 32 << 20
	maxUnreadOfAny = 48 << 20
	// writeAtOnce is how much of what has come is written to an application or
	// destination at a time, at least: what a call of the kernel costs is nothing
	// beside it, and what is written shows how fast the reader is.
	writeAtOnce = 128 << 10
	// quantum is how many cells a stream seals under one hold of the
	// direction's lock, about 30 µs of work for three layers: a record.
	quantum = cell.RecordCells
)
