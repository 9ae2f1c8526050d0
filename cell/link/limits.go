package link

import (
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
)

const ( // fixed by docs/protocol.md, "Links"
	handshakeVersion = 1 // of the two messages, in the prologue
	linkVersion      = 1 // of what follows them, negotiated

	payload1Size = 48 // bytes
	payload2Size = 64
	message1Size = hybrid.Overhead1 + payload1Size // 1,280 bytes
	message2Size = hybrid.Overhead2 + payload2Size // 1,200 bytes
	maxVersions  = 7                               // that message 1 can offer

	lengthSize   = 2                                           // bytes, before a record
	lengthKey    = 16                                          // bytes: AES-128
	maxSealed    = cell.RecordCells*cell.Size + hybrid.TagSize // 16,043 bytes
	firstCells   = 2                                           // in the first record of each side
	firstSealed  = firstCells*cell.Size + hybrid.TagSize       // bytes
	rekeyRecords = 1 << 12                                     // records under one key: 2^26 bytes
	maxPadding   = 60 * time.Second                            // the most that padding bounds can say
	controlCells = 1024                                        // waiting cells that belong to no circuit's queue; one more closes the link
	handshakeMax = 10 * time.Second                            // from the connection to the first record
)

const _ = uint(1<<16 - 1 - maxSealed) // does not compile unless a record's length fits in two bytes

const ( // our choice; (T) is C tor's
	defaultLinks       = 12_288                  // established links of a node: 4,096 of strangers
	defaultSourceLinks = 100                     // (T) of one source at once, so that one host cannot take all
	defaultSourceRate  = 20.0                    // (T) handshakes per second of one source
	defaultSourceBurst = 40                      // (T)
	defaultSilent      = 3_072                   // connections that have not finished a handshake: 1,024 of strangers
	defaultCircuits    = 1 << 16                 // on one link
	defaultQueueCells  = 16_384 + 128            // a full window (cwnd_max) and cells outside it: 8.3 MiB
	defaultDialMemory  = 60 * time.Second        // (T)
	defaultIdleClient  = 3 * time.Minute         // (T)
	defaultIdleRelay   = time.Hour               // (T)
	defaultMaxAge      = 7 * 24 * time.Hour      // (T)
	defaultPadLow      = 1500 * time.Millisecond // (T) below the 10 s after which routers cut a flow record
	defaultPadHigh     = 9500 * time.Millisecond // (T)

	silenceSpread  = 20 * time.Second       // a failed connection closes this much, drawn, after the handshake's deadline at most
	silenceBytes   = 64 << 10               // read and thrown away in silence; more stays with the peer's kernel
	keepaliveTime  = 5 * time.Minute        // (T) without a cell sent
	idleSurplus    = 10 * time.Second       // a link that takes no new circuits closes 1 to 2 times this after its last one
	tieWindow      = 20 * time.Second       // links made this close together have no agreed age: the binding decides
	stallTime      = 30 * time.Second       // for the rest of a record whose first byte came
	writeTime      = time.Minute            // a peer that has not taken what is written at a time, 128 KiB at most, after this, or after twice this, is gone
	flushTime      = time.Second            // of Close, for what is queued
	lingerTime     = time.Second            // of Close, for the peer to close too
	staggerTime    = 250 * time.Millisecond // between the addresses of one dial (RFC 8305, section 5)
	connectTime    = 10 * time.Second       // for one address to connect; the handshake has its own
	maxPeerLinks   = 8                      // with one proven peer: one is used, others are tests, or left over from a crash
	maxAddresses   = 4                      // of a target that are tried
	maxDials       = 1024                   // at once
	maxFailures    = 4096                   // failed dials that are remembered
	maxSources     = 1 << 16                // sources in the table
	earlyDestroys  = 256                    // DESTROYs for ids without a circuit that are remembered
	maxSlow        = time.Second            // that a slowed link's reader waits at a time
	acceptDelay    = 5 * time.Millisecond   // after a failed Accept, doubled up to
	acceptPatience = time.Second            // this
	acceptRetries  = 30                     // failures in a row until Serve gives up: about half a minute
	readsPerFlush  = 4                      // that a reader makes in a row, while its socket has more, before it wakes the streams that have got something: 1 MiB at a client takes 2 ms
	maxLargeWrites = 256                    // buffers for several records that are with links of one node: 32 MiB; a link beyond writes a record at a time
	unsentBytes    = 64 << 10               // TCP_NOTSENT_LOWAT: four records; less on a slow link, see pace
)
