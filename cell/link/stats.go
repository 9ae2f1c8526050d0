package link

import "sync/atomic"

// counts is what a pool has counted since it was made.
type counts struct {
	read, written                     atomic.Uint64 // bytes
	accepted, dialled                 atomic.Uint64 // links
	failed, dialFailed                atomic.Uint64 // handshakes, dials
	replayed, busy                    atomic.Uint64
	overSource, overSilent, overLinks atomic.Uint64
	unknown, stray, malformed         atomic.Uint64
}

// Stats are counts since the pool was made.
type Stats struct {
	Read, Written uint64 // bytes of records
	Accepted      uint64 // links that others opened
	Dialled       uint64 // links that we opened
	DialsFailed   uint64
	Failed        uint64 // handshakes of others; among them
	Replayed      uint64 // those whose first message had been seen before
	Busy          uint64 // and those for which there was no worker in time
	OverSource    uint64 // refused for the limits of their source
	OverSilent    uint64 // refused because too many handshakes were unfinished
	OverLinks     uint64 // refused because there were too many links
	UnknownCells  uint64 // cells with an unknown command, dropped
	StrayCells    uint64 // cells for circuits that are gone, dropped
	Malformed     uint64 // links that ended because the peer broke the protocol
}

// Stats returns what the pool has counted.
func (p *Pool) Stats() Stats {
	c := &p.counts
	return Stats{
		Read: c.read.Load(), Written: c.written.Load(),
		Accepted: c.accepted.Load(), Dialled: c.dialled.Load(), DialsFailed: c.dialFailed.Load(),
		Failed: c.failed.Load(), Replayed: c.replayed.Load(), Busy: c.busy.Load(),
		OverSource: c.overSource.Load(), OverSilent: c.overSilent.Load(), OverLinks: c.overLinks.Load(),
		UnknownCells: c.unknown.Load(), StrayCells: c.stray.Load(), Malformed: c.malformed.Load(),
	}
}
