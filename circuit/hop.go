package circuit

import (
	"fmt"
	"sync"
	"sync/atomic"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/handshake"
	"tunic/circuit/onion"
	"tunic/directory/keys"
)

// A Kind says what a hop was made for.
type Kind uint8

// The kinds of hop.
const (
	KindTransit Kind = iota // by CREATE: streams and extending
	KindDir                 // by CREATE_DIR: streams to the directory only
)

// An Owner does for a [Hop] what a client asks of it. Its methods are called on
// the goroutine of a link's reader, HopClosed on any: they must not block, and
// hand work to others. They are called with no lock held.
type Owner interface {
	// Extend asks for the relay to to become the next hop. The answer is
	// [Hop.ExtendOn] or [Hop.Fail], within 10 s. handshake is the message for
	// it; h keeps it as well. The owner refuses itself and the hop before.
	Extend(h *Hop, to keys.RelayID, handshake []byte)
	// Begin asks for a connection. The answer is [Stream.Connect] or
	// [Stream.Refuse].
	Begin(s *Stream, req cell.BeginRequest)
	// BeginDir asks for a connection to the directory; answered like Begin.
	BeginDir(s *Stream)
	// Resolve asks for names or addresses. The answer is [Hop.Resolved].
	Resolve(h *Hop, id cell.StreamID, req cell.ResolveRequest)
	// HopClosed says that h is gone, once; [Hop.Err] says why.
	HopClosed(h *Hop)
}

// A Hop is a relay's end of a circuit: its place between the link that the
// circuit came in on and the one that it goes out on, if any. All its methods
// may be called at the same time.
type Hop struct {
	end
	kind  Kind
	first bool // the link that it came in on has no relay's proof; fixed
	owner Owner
	early int         // RELAY_EARLY cells that may still come; owned by the link's reader
	on    atomic.Bool // the circuit goes on from here
	out   outward
}

// outward is the direction away from the client.
type outward struct {
	mu     sync.Mutex
	layer  onion.State
	next   *link.Circuit // nil at the end of the circuit
	gone   bool          // torn down
	extend extension
}

// NewHop takes its place on l under the id that the client's side chose, with
// the keys of r, which it does not wipe. The caller then calls
// [Hop.SendCreated]. It fails if the id is in use or the link is gone. The hop may
// end, and [Owner.HopClosed] be called, before NewHop has returned.
func NewHop(l *link.Link, id cell.CircuitID, r *handshake.Result, kind Kind, owner Owner, p Params) (*Hop, error) {
	h := &Hop{kind: kind, owner: owner, early: maxEarly}
	_, _, proven := l.Peer()
	h.first = !proven
	h.out.layer = onion.NewState((*onion.Key)(&r.Outward))
	in := onion.NewState((*onion.Key)(&r.Inward))
	w := p.window()
	w.SendmeInc = pace(r.Ext)
	h.end.init(h, atRelay, w.Clamp())
	h.tx.hops = []*onion.State{&in}
	h.tx.mu.Lock() // a cell may come before lc is known
	defer h.tx.mu.Unlock()
	lc, err := l.Accept(id, (*fromClient)(h))
	if err != nil {
		return nil, fmt.Errorf("accept circuit: %w", err)
	}
	h.tx.lc = lc
	return h, nil
}

// SendCreated answers the client: with the handshake's reply, or with this
// relay's nonce where the hop is for the directory. It panics if reply has
// another length than the kind of hop asks for.
func (h *Hop) SendCreated(reply []byte) {
	var b link.Batch
	err := h.tx.sendCreated(h.kind, reply, &b)
	b.Flush()
	h.check(err)
}

// Link returns the link that the circuit came in on.
func (h *Hop) Link() *link.Link { return h.tx.lc.Link() }

// Next returns the link that the circuit goes out on, nil at its end.
func (h *Hop) Next() *link.Link {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	if h.out.next == nil {
		return nil
	}
	return h.out.next.Link()
}

// Kind returns what the hop was made for.
func (h *Hop) Kind() Kind { return h.kind }

// Extended reports whether the circuit goes on from here.
func (h *Hop) Extended() bool { return h.on.Load() }

// Fail destroys the circuit in both directions; the client's side is told the
// reason. It is the answer of an [Owner] that cannot extend, and the way to end
// any hop.
func (h *Hop) Fail(reason cell.Reason) { h.destroy(death{reason: reason}) }

// Done returns a channel that is closed when the hop is gone.
func (h *Hop) Done() <-chan struct{} { return h.done }

// Err returns nil while the hop lives, then why it is gone: a [*DestroyError]
// with Hop -1 if it was this end's decision, 0 if the client's side said so, 1 if
// the side further out did.
func (h *Hop) Err() error { return h.end.cause() }

// Streams returns how many streams and lookups of this hop are open.
func (h *Hop) Streams() int { return h.table.open() }
