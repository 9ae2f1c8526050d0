package link

import (
	"context"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"time"
)

// A dial is one that is under way. link and err are set before done is closed.
type dial struct {
	done chan struct{}
	link *Link
	err  error
}

// A failure is a dial that failed a short time ago.
type failure struct {
	until  time.Time
	target uint64 // key and addresses of the target: another one is tried at once
}

// Dial returns a link to t: the oldest good one there is, in either direction, or
// a new one. Dials to one identity at the same time are one dial. ctx ends the
// wait, not the dial. A target that could not be reached is not tried again for
// Limits.DialMemory, unless its key or addresses have changed: the error is
// ErrDialFailed then.
func (p *Pool) Dial(ctx context.Context, t Target) (*Link, error) {
	d, l, err := p.join(&t)
	if l != nil || err != nil {
		return l, err
	}
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// join returns a link that there is, or a dial that is under way, or starts one.
func (p *Pool) join(t *Target) (*dial, *Link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	if l := p.findLocked(t.ID); l != nil {
		return nil, l, nil
	}
	if d := p.dials[t.ID]; d != nil {
		return d, nil, nil
	}
	f, ok := p.failures[t.ID]
	switch {
	case ok && time.Now().Before(f.until) && f.target == p.fingerprint(t):
		return nil, nil, ErrDialFailed
	case len(t.Addrs) == 0:
		return nil, nil, ErrNoAddress
	case len(commonVersions(t.Versions)) == 0:
		return nil, nil, ErrVersion
	case len(p.dials) >= maxDials:
		return nil, nil, ErrDials
	}
	d := &dial{done: make(chan struct{})}
	p.dials[t.ID] = d
	p.running.Add(1)
	go p.dial(d, *t) // ends when connect does, which is bounded by its deadlines
	return d, nil, nil
}

// fingerprint stands for what a dial depends on.
func (p *Pool) fingerprint(t *Target) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	h.Write(t.Key[:])
	for _, a := range t.Addrs {
		b, _ := a.MarshalBinary() // never fails
		h.WriteByte(byte(len(b)))
		h.Write(b)
	}
	return h.Sum64()
}

// dial connects to t, makes a link of it, and tells who waits.
func (p *Pool) dial(d *dial, t Target) {
	defer p.running.Done()
	h, err := p.connect(p.ctx, &t)
	if err == nil {
		if d.link, err = p.add(h, nil); err != nil {
			h.close()
		}
	}
	p.mu.Lock()
	delete(p.dials, t.ID)
	switch {
	case err == nil:
		p.counts.dialled.Add(1)
		if l := p.findLocked(t.ID); l != nil {
			d.link = l // the peer may have dialled us meanwhile
		}
	case h == nil && !p.closed:
		p.counts.dialFailed.Add(1)
		p.rememberLocked(&t)
	}
	p.mu.Unlock()
	d.err = err
	close(d.done)
}

// rememberLocked notes that t could not be reached.
func (p *Pool) rememberLocked(t *Target) {
	now := time.Now()
	if len(p.failures) >= maxFailures {
		for id, f := range p.failures {
			if !now.Before(f.until) {
				delete(p.failures, id)
			}
		}
	}
	for id := range p.failures {
		if len(p.failures) < maxFailures {
			break
		}
		delete(p.failures, id) // any: it will be tried once too often
	}
	p.failures[t.ID] = failure{now.Add(p.cfg.Limits.DialMemory), p.fingerprint(t)}
}

// close drops a handshaken connection that does not become a link.
func (h *handshaken) close() {
	h.in.release()
	h.conn.Close()
}

// An attempt is the outcome of connecting to one address.
type attempt struct {
	h   *handshaken
	err error
}

// connect makes a connection to one of t's addresses and runs the handshake. The
// addresses are tried in order, each a moment after the one before or as soon as
// that has failed; the first that finishes wins, and the others are given up.
func (p *Pool) connect(ctx context.Context, t *Target) (*handshaken, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	addrs := t.Addrs[:min(len(t.Addrs), maxAddresses)]
	if len(addrs) == 0 {
		return nil, ErrNoAddress
	}
	if len(commonVersions(t.Versions)) == 0 {
		return nil, ErrVersion
	}
	results := make(chan attempt, len(addrs))
	timer := time.NewTimer(0)
	defer timer.Stop()
	started, pending := 0, 0
	var first error
	var won *handshaken
	for won == nil && (started < len(addrs) || pending > 0) {
		select {
		case <-timer.C:
			if started == len(addrs) {
				continue
			}
			go func(addr netip.AddrPort) { // ends by its deadlines or cancel, and is waited for below
				h, err := p.reach(ctx, addr, t)
				results <- attempt{h, err}
			}(addrs[started])
			started++
			pending++
			timer.Reset(staggerTime)
		case r := <-results:
			pending--
			if won = r.h; r.err != nil {
				if first == nil {
					first = r.err
				}
				timer.Reset(0)
			}
		}
	}
	cancel()
	for ; pending > 0; pending-- {
		if r := <-results; r.h != nil {
			r.h.close()
		}
	}
	if won == nil {
		return nil, first
	}
	return won, nil
}

// reach connects to one address and runs the handshake there.
func (p *Pool) reach(ctx context.Context, addr netip.AddrPort, t *Target) (*handshaken, error) {
	dialCtx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := p.cfg.Transport.Dial(dialCtx, addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", withoutAddress(err))
	}
	h, err := p.greet(ctx, conn, t)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return h, nil
}

// greet runs the initiator's handshake within its deadline.
func (p *Pool) greet(ctx context.Context, conn net.Conn, t *Target) (*handshaken, error) {
	if err := conn.SetDeadline(time.Now().Add(p.cfg.Limits.Handshake)); err != nil {
		return nil, fmt.Errorf("set a deadline: %w", withoutAddress(err))
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(longAgo) })
	h, err := p.initiate(conn, t)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		if h != nil {
			h.in.release()
		}
		return nil, fmt.Errorf("%w: %w", ErrHandshake, withoutAddress(err))
	}
	return h, nil
}

// Test makes a fresh link to t, closes it, and returns how long the connection and
// its handshake took. It uses no link that there is, and remembers nothing.
func (p *Pool) Test(ctx context.Context, t Target) (time.Duration, error) {
	if !p.enterTest() {
		return 0, ErrClosed
	}
	defer p.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(p.ctx, cancel)
	defer stop()
	began := time.Now()
	h, err := p.connect(ctx, &t)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	h.close()
	return took, nil
}

// enterTest counts a test as running, unless the pool is closed.
func (p *Pool) enterTest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running.Add(1)
	return true
}
