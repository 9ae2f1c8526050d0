package circuit

import (
	"errors"
	"fmt"

	"tunic/cell"
	"tunic/cell/link"
)

// violation returns the error for what the protocol does not provide for.
func violation(what string) error { return fmt.Errorf("%s: %w", what, cell.ErrMalformed) }

// A fault is an error that ends the circuit with a reason of its own.
type fault struct {
	reason cell.Reason
	err    error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// faultReason maps what ended a circuit at this end to the reason for DESTROY: a
// fault's own, else that the peer broke the protocol.
func faultReason(err error) cell.Reason {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.reason
	}
	return cell.ReasonProtocol
}

// check ends the circuit if err is a fault: for errors of sending, which do not
// reach the link's reader. No lock is held.
func (e *end) check(err error) {
	if f, ok := errors.AsType[*fault](err); ok {
		e.whole.fault(f)
	}
}

// fault destroys the client's end because of what it found.
func (c *Circuit) fault(err error) {
	r := faultReason(err)
	c.destroy(&DestroyError{Hop: -1, Reason: r, cause: err})
}

// destroy ends the circuit, once. The link is told, with reason 0 as clients do;
// where it was the link that said so it does not listen any more.
func (c *Circuit) destroy(err error) {
	if !c.dead.CompareAndSwap(false, true) {
		return
	}
	c.rest.stop()
	c.tx.mu.Lock()
	c.tx.stop(err)
	lc := c.tx.lc
	c.tx.mu.Unlock()
	c.in.mu.Lock()
	for _, h := range c.in.hops {
		h.Wipe()
	}
	c.in.mu.Unlock()
	leave(lc, cell.ReasonNone, false)
	c.err = err
	close(c.done)
	c.endStreams(err)
}

// A death is how a hop ends.
type death struct {
	by     side
	reason cell.Reason // what the client's side is told, or has said
	cause  error       // what this end found; may be nil
}

// A side is who ended a hop.
type side uint8

const (
	byUs side = iota
	byClient
	byNext
)

// error returns what the hop's streams and its owner see.
func (d death) error() *DestroyError {
	return &DestroyError{Hop: int(d.by) - 1, Reason: d.reason, cause: d.cause}
}

// fault destroys the hop because of what it found.
func (h *Hop) fault(err error) { h.destroy(death{reason: faultReason(err), cause: err}) }

// destroy ends the hop in both directions, once. A reason goes only towards the
// client; further out nobody learns one.
func (h *Hop) destroy(d death) {
	if !h.dead.CompareAndSwap(false, true) {
		return
	}
	err := d.error()
	h.rest.stop()
	next := h.out.stop()
	h.tx.mu.Lock()
	h.tx.stop(err)
	in := h.tx.lc
	h.tx.mu.Unlock()
	leave(next, cell.ReasonNone, d.by == byNext)
	leave(in, d.reason, d.by == byClient)
	h.err = err
	close(h.done)
	h.endStreams(err)
	h.owner.HopClosed(h)
}

// stop tears the direction down and returns the link that it led to, if any.
func (o *outward) stop() *link.Circuit {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone = true
	o.layer.Wipe()
	o.extend.stop()
	return o.next
}

// leave gives up a circuit's place on a link. The peer is told, unless it was the
// one that said so.
func leave(c *link.Circuit, r cell.Reason, told bool) {
	switch {
	case c == nil:
	case told:
		c.Forget()
	default:
		c.Destroy(r)
	}
}
