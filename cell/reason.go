package cell

import "fmt"

// A Reason says why a circuit was destroyed. What a peer sends is a claim.
type Reason uint8

// The reasons of DESTROY. Clients send [ReasonNone]; a relay passes any reason
// from further out on as [ReasonDestroyed].
const (
	ReasonNone        Reason = 0
	ReasonProtocol    Reason = 1  // the peer broke the protocol
	ReasonInternal    Reason = 2  // our own fault
	ReasonHibernating Reason = 3  // the relay is shutting down or takes no circuits
	ReasonResource    Reason = 4  // a limit of this relay
	ReasonConnect     Reason = 5  // the next relay could not be reached
	ReasonIdentity    Reason = 6  // the next relay is unknown or not who it should be
	ReasonKey         Reason = 7  // the circuit key named is not one of ours
	ReasonLinkClosed  Reason = 8  // the link that carried the circuit closed
	ReasonTimeout     Reason = 9  // a handshake took too long
	ReasonDestroyed   Reason = 10 // somebody further out said so
	ReasonRefused     Reason = 11 // not allowed here
)

var reasonNames = [...]string{"none", "protocol violation", "internal error", "not taking circuits", "resource limit",
	"next relay not reachable", "next relay unknown or someone else", "circuit key unknown", "link closed", "timeout", "destroyed further out", "refused"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// An EndReason says why a stream ends.
type EndReason uint8

// The reasons of END. [EndDone] says that its sender sends no more data, and
// leaves the other direction open; every other reason ends both. Each side of a
// stream sends [EndDone] at most once and any other reason at most once and last,
// and an END of some kind before it forgets the stream. The client sends only
// [EndDone] and [EndMisc].
const (
	EndMisc        EndReason = 1
	EndResolve     EndReason = 2  // the name does not resolve
	EndRefused     EndReason = 3  // the destination refused
	EndPolicy      EndReason = 4  // the exit's policy forbids it
	EndDone        EndReason = 6  // no more data this way
	EndTimeout     EndReason = 7  // the destination did not answer in time
	EndNoRoute     EndReason = 8  // no route to the destination
	EndHibernating EndReason = 9  // the exit is shutting down
	EndInternal    EndReason = 10 // the exit's own fault
	EndResource    EndReason = 11 // a limit of the exit
	EndReset       EndReason = 12 // the destination reset the connection
	EndNotDir      EndReason = 14 // no directory here
)

var endNames = map[EndReason]string{EndMisc: "ended", EndResolve: "name does not resolve", EndRefused: "connection refused",
	EndPolicy: "forbidden by the exit's policy", EndDone: "done", EndTimeout: "timed out", EndNoRoute: "no route",
	EndHibernating: "exit is shutting down", EndInternal: "internal error at the exit", EndResource: "limit of the exit reached", EndReset: "connection reset",
	EndNotDir: "no directory at this relay"}

func (r EndReason) String() string {
	if s, ok := endNames[r]; ok {
		return s
	}
	return fmt.Sprintf("end reason %d", uint8(r))
}
