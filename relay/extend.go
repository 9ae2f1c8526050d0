package relay

import (
	"context"
	"errors"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit"
	"tunic/directory/keys"
)

// Extend looks for the relay that a client wants as its next hop. It runs on a
// link's reader; what has to wait goes on in a goroutine. Package circuit ends
// the circuit when no answer comes within 10 s.
func (r *Relay) Extend(h *circuit.Hop, to keys.RelayID, _ []byte) {
	from, _, proven := h.Link().Peer()
	switch {
	case !r.cfg.Transit, to == r.id, proven && to == from:
		r.failExtend(h, cell.ReasonRefused, causeExtend)
		return
	case r.draining.Load():
		r.failExtend(h, cell.ReasonHibernating, causeDraining)
		return
	}
	if _, known := r.view.target(to, time.Now()); known {
		if l := r.pool.Find(to); l != nil {
			h.ExtendOn(l)
			return
		}
	}
	if !r.creates.takeExtend(h.Link()) {
		r.failExtend(h, cell.ReasonResource, causeExtends)
		return
	}
	if !r.spawn(func() { r.extend(h, to) }) {
		r.creates.putExtend(h.Link())
		r.failExtend(h, cell.ReasonHibernating, causeDraining)
	}
}

func (r *Relay) failExtend(h *circuit.Hop, reason cell.Reason, why cause) {
	r.counts.refuse(why)
	h.Fail(reason)
}

// extend finds out about to and dials it. Dials to one relay at the same time are
// one dial, and one that failed a short time ago fails at once: see link.Pool.
func (r *Relay) extend(h *circuit.Hop, to keys.RelayID) {
	defer r.creates.putExtend(h.Link())
	ctx, cancel := context.WithTimeout(r.ctx, dialTime)
	defer cancel()
	t, ok := r.view.target(to, time.Now())
	if !ok {
		r.fetch.refresh(ctx)
		t, ok = r.view.target(to, time.Now())
	}
	if !ok {
		r.failExtend(h, cell.ReasonIdentity, causeUnknown)
		return
	}
	l, err := r.pool.Dial(ctx, t)
	switch {
	case err == nil:
		h.ExtendOn(l)
	case r.draining.Load():
		r.failExtend(h, cell.ReasonHibernating, causeDraining)
	case errors.Is(err, link.ErrHandshake):
		r.failExtend(h, cell.ReasonIdentity, causeDial)
	default:
		r.failExtend(h, cell.ReasonConnect, causeDial)
	}
}

// takeExtend counts one more EXTEND that waits, if there may be one.
func (c *creates) takeExtend(l *link.Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lc := c.ofLocked(l)
	if c.extends >= maxExtends || lc.extends >= maxLinkExtends {
		return false
	}
	c.extends++
	lc.extends++
	return true
}

func (c *creates) putExtend(l *link.Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extends--
	if lc := c.links[l]; lc != nil {
		lc.extends--
	}
}
