package link

import (
	"fmt"
	"io"
	"net"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

// initiate runs the handshake on a connection that we opened, up to the responder's
// first record. The caller has set a deadline.
func (p *Pool) initiate(conn net.Conn, t *Target) (*handshaken, error) {
	o := offer{padding: p.cfg.Padding}
	copy(o.versions[:], commonVersions(t.Versions)) // not none: see connect
	init, err := hybrid.NewInitiator(keys.LinkPrologue(handshakeVersion, p.cfg.Network, t.ID), t.Key)
	if err != nil {
		return nil, err
	}
	msg1, err := init.Message1(make([]byte, 0, message1Size), o.appendBinary(nil))
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	if _, err := conn.Write(msg1); err != nil {
		return nil, fmt.Errorf("write: %w", withoutAddress(err))
	}
	msg2 := make([]byte, message2Size)
	if _, err := io.ReadFull(conn, msg2); err != nil {
		return nil, fmt.Errorf("read: %w", withoutAddress(err))
	}
	received := time.Now()
	payload, s, err := init.ReadMessage2(msg2)
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(payload)
	if err != nil {
		return nil, err
	}
	if _, ok := o.choose([]uint8{a.version}); !ok {
		return nil, ErrVersion
	}
	h := newHandshaken(conn, s)
	h.dialled, h.peer, h.proven, h.seen = true, t.ID, true, a.seen
	if !a.time.IsZero() {
		h.skew = a.time.Sub(sent.Add(received.Sub(sent) / 2))
	}
	return h, p.initiatorsRecords(h)
}

// initiatorsRecords sends our first record, and reads the responder's. What the
// NETINFO in that says message 2 has said already.
func (p *Pool) initiatorsRecords(h *handshaken) error {
	info := netInfo{seen: h.remote}
	var proof *keys.Proof
	if p.cfg.Proof != nil {
		proof = p.cfg.Proof()
	}
	h.proved = proof != nil
	if h.proved {
		info.time = time.Now()
	} else {
		h.pad = p.cfg.Padding
	}
	rec, err := h.firstRecord(proof, info)
	if err != nil {
		return err
	}
	if _, err := h.conn.Write(rec); err != nil {
		return fmt.Errorf("write: %w", withoutAddress(err))
	}
	first, _, _, err := h.readFirst()
	if err == nil && first != cell.Padding {
		err = malformed(cell.Header{Command: first}, "from a responder")
	}
	return err
}
