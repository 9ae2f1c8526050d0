package relay

import "sync/atomic"

// A cause is why something was refused or dropped, for counting.
type cause uint8

const (
	causeFragment     cause = iota // a fragment of CREATE out of order or of a wrong shape
	causeStalled                   // fragments did not come in time
	causeReassemblies              // too many incomplete CREATEs
	causeSource                    // too many circuits of one address
	causeCircuits                  // too many circuits on one link
	causeQueue                     // the handshake queue is too long
	causeKey                       // circuit key unknown
	causeHandshake                 // handshake wrong or repeated
	causeDraining                  // shutting down
	causeExtend                    // EXTEND to itself, back, or where there is no transit
	causeUnknown                   // EXTEND to an unknown relay
	causeDial                      // EXTEND to a relay that can't be reached
	causeExtends                   // too many EXTENDs under way
	causeOneHop                    // stream from a relay that is in no consensus
	causeStreams                   // too many streams
	causeDirectory                 // too many directory streams
	causeMemory                    // circuit ended for memory
	causeProtocol                  // circuit ended because a neighbour, or the client, broke the protocol
	causes
)

var causeNames = [causes]string{
	"fragment", "stalled handshake", "incomplete handshakes", "circuits of an address", "circuits of a link", "handshake queue",
	"circuit key unknown", "handshake", "shutting down", "extend not allowed", "extend to unknown relay", "extend to unreachable relay",
	"extends under way", "stream from outside the network", "streams", "directory streams", "memory", "protocol",
}

// linkProtocol is the name, beside those of causes, for links that ended because
// the neighbour broke the protocol.
const linkProtocol = "link protocol"

// counts is what the relay has done and refused. The zero value is ready.
type counts struct {
	handshakes atomic.Uint64 // of hops, answered
	refused    [causes]atomic.Uint64
}

func (c *counts) refuse(why cause) { c.refused[why].Add(1) }

// refusals returns the counts by name.
func (c *counts) refusals() map[string]uint64 {
	out := make(map[string]uint64)
	for i, name := range causeNames {
		if n := c.refused[i].Load(); n > 0 {
			out[name] = n
		}
	}
	return out
}
