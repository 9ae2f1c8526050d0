package relay

import "time"

const ( // fixed by docs/protocol.md, "Relays"
	// reassemblyTime is how long the fragments of one CREATE may take.
	reassemblyTime = 10 * time.Second
	// maxReassemblies is how many CREATEs of clients' links may be incomplete
	// in the process: 1.5 MB. The oldest makes room.
	maxReassemblies = 1024
	// maxLinkReassemblies is how many of one link may be.
	maxLinkReassemblies = 64
	// refreshAfter is how long after one fetch of the consensus an unknown
	// identity may cause the next; at most this share of a period.
	refreshAfter = 10 * time.Second
	refreshShare = 10
	// refreshWait is how long who names an unknown identity may wait for that.
	refreshWait = time.Second
)

const ( // our choice
	// maxClientCircuits is how many circuits one client's link may have: 1 MiB
	// when idle.
	maxClientCircuits = 1024
	// refusalRate is how many circuits a second and processor are refused for want
	// of resources before strangers' links are slowed, after refusalBurst at once: a
	// refusal costs some 10 µs. refusalPause is how long a stranger's link is not read
	// for each further one, link.Link.Slow's second at most at a time: what it floods
	// with waits on its own side.
	refusalRate  = 1000
	refusalBurst = 2000
	refusalPause = 20 * time.Millisecond
	// maxExtends is how many EXTENDs may wait for a consensus or a link in the
	// process, and maxLinkExtends from one link: each holds a goroutine.
	maxExtends     = 2048
	maxLinkExtends = 512
	// dialTime bounds a dial for an EXTEND: a little less than the 10 s that
	// package circuit gives the answer, so that the client is told why.
	dialTime = 9 * time.Second
	// maxLinks is the most links that the relay has, of all classes: 16,384 of
	// strangers; fewer where memory or files are short. leastLinks what it may have however small its memory.
	maxLinks   = 49_152
	leastLinks = 256
	// maxStreams is the most streams that this exit has open or opening, fewer where
	// files are short; maxResolves how many RESOLVEs under way: goroutines and sockets.
	maxStreams  = 16_384
	maxResolves = 1024
	// Streams and lookups that one circuit may begin (T): a second, and at once.
	streamRate  = 100
	streamBurst = 300
	// A stream without a byte in either direction ends after idleOpen, or after
	// idleHalf where one side has ended its own.
	idleOpen = 2 * time.Hour
	idleHalf = 15 * time.Minute
	// unsentBytes is what the kernel holds unsent for a destination that does not
	// read: one write of a stream.
	unsentBytes = 128 << 10
	// watchEvery is how often a stream is looked at for that: it lasts at most
	// that much longer.
	watchEvery = time.Minute
	// drainTime is how long a stopping relay waits for its streams to end.
	drainTime = 2 * time.Second
)
