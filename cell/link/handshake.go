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

// established is what a finished handshake, with the first record of each side,
// says about a link.
type established struct {
	peer    keys.RelayID // zero unless proven
	proven  bool         // the peer showed that it is peer
	dialled bool         // we opened the link
	proved  bool         // we sent a proof: as the dialler, we are a relay
	hash    [32]byte
	remote  netip.AddrPort
	seen    netip.AddrPort // our address, as the peer says
	skew    time.Duration  // of the peer's clock, as it says; 0: not told
	pad     Padding        // what this side sends; off between relays
}

// A handshaken connection is ready to become a link.
type handshaken struct {
	established
	conn net.Conn
	in   *inbound
	out  *sealer
}

// Why a responder falls silent. No peer sees the difference.
var (
	errSource = errors.New("source asks too often")
	errBusy   = errors.New("too many handshakes wait")
	errReplay = errors.New("first message seen before")
)

// versions are the link versions that we speak, the highest first.
func versions() []uint8 { return []uint8{linkVersion} }

// initiate runs the handshake on a connection that we opened, up to the responder's
// first record. The caller has set a deadline.
func (p *Pool) initiate(conn net.Conn, t *Target) (*handshaken, error) {
	o := offer{padding: p.cfg.Padding}
	if copy(o.versions[:], commonVersions(t.Versions)) == 0 {
		return nil, ErrVersion
	}
	init, err := hybrid.NewInitiator(keys.LinkPrologue(handshakeVersion, p.cfg.Network, t.ID), t.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	msg1, err := init.Message1(make([]byte, 0, message1Size), o.appendBinary(nil))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	sent := time.Now()
	if _, err := conn.Write(msg1); err != nil {
		return nil, fmt.Errorf("%w: write: %w", ErrHandshake, withoutAddress(err))
	}
	msg2 := make([]byte, message2Size)
	if _, err := io.ReadFull(conn, msg2); err != nil {
		return nil, fmt.Errorf("%w: read: %w", ErrHandshake, withoutAddress(err))
	}
	received := time.Now()
	payload, s, err := init.ReadMessage2(msg2)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	a, err := parseAnswer(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	if v, ok := o.choose([]uint8{a.version}); !ok || v != linkVersion {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, ErrVersion)
	}
	h := newHandshaken(conn, s)
	h.dialled, h.peer, h.proven, h.seen = true, t.ID, true, a.seen
	if !a.time.IsZero() {
		h.skew = a.time.Sub(sent.Add(received.Sub(sent) / 2))
	}
	return h, p.initiatorsRecords(h)
}

// initiatorsRecords sends our first record, and reads the responder's.
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
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	if _, err := h.conn.Write(rec); err != nil {
		return fmt.Errorf("%w: write: %w", ErrHandshake, withoutAddress(err))
	}
	first, _, _, err := h.readFirst()
	if err == nil && first != cell.Padding {
		err = malformed(cell.Header{Command: first}, "from a responder")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	return nil
}

// commonVersions returns our versions that the target answers; all if it names
// none.
func commonVersions(theirs []uint8) []uint8 {
	if len(theirs) == 0 {
		return versions()
	}
	var both []uint8
	for _, v := range versions() {
		for _, w := range theirs {
			if v == w {
				both = append(both, v)
				break
			}
		}
	}
	return both
}

// newHandshaken sets up the records of a session.
func newHandshaken(conn net.Conn, s *hybrid.Session) *handshaken {
	h := &handshaken{conn: conn, in: newInbound(conn, newOpener(s.Recv)), out: newSealer(s.Send)}
	h.hash = s.Hash
	h.remote = remoteAddr(conn)
	return h
}

// remoteAddr returns the address of a connection's peer, zero if it has none that
// is an IP address and port.
func remoteAddr(conn net.Conn) netip.AddrPort {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		a := tcp.AddrPort()
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	}
	return netip.AddrPort{}
}

// firstRecord makes the first record of a side: PROOF, or PADDING if proof is nil,
// then NETINFO.
func (h *handshaken) firstRecord(proof *keys.Proof, info netInfo) ([]byte, error) {
	b := make([]byte, lengthSize+firstCells*cell.Size, lengthSize+firstSealed)
	first, second := b[lengthSize:][:cell.Size], b[lengthSize+cell.Size:]
	cell.PutHeader(first, cell.Header{Command: cell.Padding})
	if proof != nil {
		cell.PutHeader(first, cell.Header{Command: cell.Proof})
		proof.Append(first[:cell.HeaderSize], h.hash)
	}
	cell.PutHeader(second, cell.Header{Command: cell.NetInfo})
	info.put(second[cell.HeaderSize:])
	return h.out.seal(b)
}

// readFirst reads the other side's first record. body is that of the first cell,
// which is a PROOF or a PADDING; it lies in the read buffer.
func (h *handshaken) readFirst() (first cell.Command, body []byte, info netInfo, err error) {
	cells, err := h.in.next()
	if err != nil {
		return 0, nil, netInfo{}, err
	}
	if len(cells) != firstCells*cell.Size {
		return 0, nil, netInfo{}, fmt.Errorf("first record of %d cells: %w", len(cells)/cell.Size, cell.ErrMalformed)
	}
	one := cell.ParseHeader((*[cell.Size]byte)(cells))
	two := cell.ParseHeader((*[cell.Size]byte)(cells[cell.Size:]))
	if one.Circuit != 0 || one.Command != cell.Proof && one.Command != cell.Padding {
		return 0, nil, netInfo{}, malformed(one, "first on a link")
	}
	if two.Circuit != 0 || two.Command != cell.NetInfo {
		return 0, nil, netInfo{}, malformed(two, "second on a link")
	}
	info, err = parseNetInfo(cells[cell.Size+cell.HeaderSize:])
	return one.Command, cells[cell.HeaderSize:cell.Size], info, err
}

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
