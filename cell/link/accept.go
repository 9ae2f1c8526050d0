package link

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"tunic/cell/work"
)

// Serve accepts links from a listener until it is closed or the pool is; then it
// returns nil. When accepting fails thirty times in a row, within half a minute, it
// returns the last error. It closes the listener.
func (p *Pool) Serve(ln net.Listener) error {
	if p.cfg.Keys == nil {
		ln.Close()
		return errors.New("serve links: the node has no link key")
	}
	if !p.listens(ln) {
		ln.Close()
		return nil
	}
	defer p.running.Done()
	defer p.stopsListening(ln)
	failed, delay := 0, acceptDelay
	for {
		conn, err := ln.Accept()
		if err == nil {
			failed, delay = 0, acceptDelay
			p.accepted(conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) || p.ctx.Err() != nil {
			return nil
		}
		if failed++; failed >= acceptRetries {
			return withoutAddress(err)
		}
		p.cfg.Log.Warn("link not accepted", "err", withoutAddress(err)) // out of files, mostly
		wait(p.ctx, delay/2+rand.N(delay))
		delay = min(2*delay, acceptPatience)
	}
}

// listens notes the listener, unless the pool is closed.
func (p *Pool) listens(ln net.Listener) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.listeners[ln] = struct{}{}
	p.running.Add(1)
	return true
}

func (p *Pool) stopsListening(ln net.Listener) {
	p.mu.Lock()
	delete(p.listeners, ln)
	p.mu.Unlock()
	ln.Close()
}

// wait sleeps for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// accepted starts the handshake of a connection, if there is room for it.
func (p *Pool) accepted(conn net.Conn) {
	addr := remoteAddr(conn).Addr()
	class := work.Stranger
	if p.cfg.SourceClass != nil {
		class = known(p.cfg.SourceClass(addr))
	}
	w := &stranger{conn: conn, class: class}
	if class == work.Stranger { // known relays are not limited by source
		hold, ok := p.sources.hold(addr, time.Now())
		if !ok {
			p.counts.overSource.Add(1)
			conn.Close()
			return
		}
		w.hold = hold
	}
	if !p.enter(w) {
		p.counts.overSilent.Add(1)
		w.hold.release()
		conn.Close()
		return
	}
	go p.meet(w) // ends at the latest when the silence does, or the pool closes
}

// meet runs the handshake. What fails is kept in silence, and closed at a time that
// was drawn at the beginning, so that neither the time nor the manner of the close
// tells what was wrong.
func (p *Pool) meet(w *stranger) {
	defer p.running.Done()
	stop := context.AfterFunc(p.ctx, func() { w.conn.Close() })
	began := time.Now()
	limit := p.cfg.Limits.Handshake
	silent := began.Add(limit + rand.N(silenceSpread))
	w.conn.SetDeadline(began.Add(limit))

	h, err := p.respond(w)
	if err == nil && p.leave(w) && stop() {
		h.conn.SetDeadline(time.Time{})
		if _, err = p.add(h, w.hold); err == nil {
			p.counts.accepted.Add(1)
			return
		}
		h.in.release()
		w.conn.Close()
		w.hold.release()
		return
	}
	p.counts.failed.Add(1)
	p.fallSilent(w)
	if h != nil {
		h.in.release()
	}
	p.endure(w, silent)
	stop()
	w.conn.Close()
	p.leave(w)
	w.hold.release()
}

// endure says nothing until a time, or until the peer closes. What the peer sends
// is thrown away, and not even that beyond silenceBytes.
func (p *Pool) endure(w *stranger, until time.Time) {
	w.conn.SetDeadline(until)
	var b [message1Size]byte
	for left := silenceBytes; left > 0; {
		n, err := w.conn.Read(b[:])
		if err != nil {
			return
		}
		left -= n
	}
	ctx, cancel := context.WithDeadline(p.ctx, until)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-w.gone:
	}
}
