package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// Why a responder falls silent. No peer sees the difference.
var (
	errSource = errors.New("source asks too often")
	errBusy   = errors.New("too many handshakes wait")
	errReplay = errors.New("first message seen before")
)

// respond runs the handshake on a connection that was accepted, in the order of
// docs/protocol.md, "Order at the responder". The caller has set a deadline, and
// answers every error with silence.
func (p *Pool) respond(w *stranger) (*handshaken, error) {
	conn := w.conn
	msg1 := make([]byte, message1Size)
	if _, err := io.ReadFull(conn, msg1); err != nil {
		return nil, withoutAddress(err)
	}
	if !w.hold.allow(time.Now()) {
		p.counts.overSource.Add(1)
		return nil, errSource
	}
	remote := remoteAddr(conn)
	source := p.sourceNumber(remote.Addr())
	var reply []byte
	var h *handshaken
	err := p.inWorker(w.class, source, func() (err error) {
		h, reply, err = p.answer(conn, msg1, remote)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.keep(w)
	if _, err := conn.Write(reply); err != nil {
		return nil, withoutAddress(err)
	}
	first, body, info, err := h.readFirst()
	if err != nil {
		return nil, err
	}
	h.seen = info.seen
	if first == cell.Padding {
		return h, nil
	}
	proof := [keys.ProofSize]byte(body)
	now := time.Now()
	err = p.inWorker(w.class, source, func() (err error) {
		h.peer, err = keys.VerifyProof(proof[:], h.hash, now)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	h.proven, h.pad = true, Padding{}
	if !info.time.IsZero() {
		h.skew = info.time.Sub(now)
	}
	return h, nil
}

// inWorker has f run by the pool's workers and waits for it.
func (p *Pool) inWorker(class work.Class, source uint64, f func() error) error {
	result := make(chan error, 1)
	if !p.work.Submit(class, source, func() { result <- f() }, func() { result <- errBusy }) {
		p.counts.busy.Add(1)
		return errBusy
	}
	return <-result // bounded: the pool runs or drops what it took
}

// answer opens message 1 and makes the reply: message 2 and our first record. It
// does what costs, and is run by a worker.
func (p *Pool) answer(conn net.Conn, msg1 []byte, remote netip.AddrPort) (*handshaken, []byte, error) {
	resp, payload, err := p.openMessage1(msg1)
	if err != nil {
		return nil, nil, err
	}
	if p.replay.Seen(hybrid.Ephemeral(msg1)) {
		p.counts.replayed.Add(1)
		return nil, nil, errReplay
	}
	o, err := parseOffer(payload)
	if err != nil {
		return nil, nil, err
	}
	v, ok := o.choose(versions())
	if !ok {
		return nil, nil, ErrVersion
	}
	now := time.Now()
	a := answer{version: v, time: now, seen: remote}
	reply, s, err := resp.Message2(make([]byte, 0, message2Size+lengthSize+firstSealed), a.appendBinary(nil))
	if err != nil {
		return nil, nil, err
	}
	h := newHandshaken(conn, s)
	h.pad = p.cfg.Padding.clamp(o.padding)
	rec, err := h.firstRecord(nil, netInfo{time: now, seen: remote})
	if err != nil {
		return nil, nil, err
	}
	return h, append(reply, rec...), nil
}

// openMessage1 opens message 1 with the first of our keys that fits.
func (p *Pool) openMessage1(msg1 []byte) (*hybrid.Responder, []byte, error) {
	prologue := keys.LinkPrologue(handshakeVersion, p.cfg.Network, p.cfg.ID)
	err := errors.New("no link key")
	own := p.cfg.Keys()
	for _, k := range own[:min(len(own), maxKeys)] {
		resp, e := hybrid.NewResponder(prologue, k.ECDH())
		if e != nil {
			err = e
			continue
		}
		payload, e := resp.ReadMessage1(msg1)
		if e == nil {
			return resp, payload, nil
		}
		err = e
	}
	return nil, nil, err
}

const maxKeys = 2 // our choice: link keys that are answered at once, the current and the one before
