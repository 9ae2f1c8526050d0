package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/cell/link"
	"tunic/cell/work"
	"tunic/circuit"
	"tunic/circuit/handshake"
	"tunic/directory/keys"
)

// A peer is what others must know of a relay to dial it.
type peer struct {
	ID      keys.RelayID       `json:"id"`
	Link    keys.LinkPublic    `json:"link"`
	Circuit keys.CircuitPublic `json:"circuit"`
	Addr    netip.AddrPort     `json:"addr"`
}

func (p *peer) target() link.Target {
	return link.Target{ID: p.ID, Key: p.Link, Addrs: []netip.AddrPort{p.Addr}}
}

// A station is a relay's keys, its listener on loopback, and its links.
type station struct {
	peer
	circuit *keys.CircuitKey
	pool    *link.Pool
	served  chan error
}

// handshakePatience is how long a link's handshake may take here, our choice: many
// begin at once, and the machine may be busy.
const handshakePatience = 50 * time.Second

// newStation starts a relay whose new circuits go to h.
func newStation(h link.Handler) (*station, error) {
	identity, signing, key := keys.GenerateIdentity(), keys.GenerateSigning(), keys.GenerateLink()
	now := time.Now()
	proof := &keys.Proof{Signing: signing, Certificate: identity.CertifySigning(signing.Public(), now.Add(-time.Hour), now.Add(24*time.Hour))}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &station{circuit: keys.GenerateCircuit(), served: make(chan error, 1)}
	s.peer = peer{ID: identity.Public(), Link: key.Public(), Circuit: s.circuit.Public(), Addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	s.pool = link.NewPool(link.Config{
		Network: network, ID: s.ID, Handler: h,
		Keys:  func() []*keys.LinkKey { return []*keys.LinkKey{key} },
		Proof: func() *keys.Proof { return proof },
		// All come from one address, which would be a flood in earnest.
		SourceClass: func(netip.Addr) work.Class { return work.Relay },
		Limits:      link.Limits{Handshake: handshakePatience},
	})
	go func() { s.served <- s.pool.Serve(ln) }() // ends with close
	return s, nil
}

func (s *station) close() error {
	s.pool.Close()
	return <-s.served
}

// forwarding configures a forwarder.
type forwarding struct {
	Next []peer `json:"next"` // whom it may be asked to extend to
}

// A forwarder is a relay as far as cells that pass through are concerned: links,
// handshakes and hops are the shipped ones, and it knows the next relays from its
// configuration instead of a consensus.
type forwarder struct {
	*station
	next   map[keys.RelayID]link.Target
	replay *hybrid.Replay
	work   sync.WaitGroup // handshakes and dials

	mu       sync.Mutex // guards what follows
	arriving map[arrival]*cell.Assembler
}

// An arrival is a circuit whose CREATE is on its way.
type arrival struct {
	link *link.Link
	id   cell.CircuitID
}

// maxArriving bounds forwarder.arriving, our choice: more than are opened at once.
const maxArriving = 4096

// startForwarder is the relay part.
func startForwarder(d *json.Decoder) (ready any, stop func() error, err error) {
	var cfg forwarding
	if err := d.Decode(&cfg); err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	f := &forwarder{next: map[keys.RelayID]link.Target{}, replay: hybrid.NewReplay(), arriving: map[arrival]*cell.Assembler{}}
	for _, p := range cfg.Next {
		f.next[p.ID] = p.target()
	}
	if f.station, err = newStation(f); err != nil {
		return nil, nil, err
	}
	return f.peer, func() error { err := f.close(); f.work.Wait(); return err }, nil
}

// NewCircuit puts a CREATE together and answers it. It runs on the link's reader.
func (f *forwarder) NewCircuit(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, _ *link.Batch) {
	if cmd == cell.Destroy {
		return
	}
	msg, err := f.assemble(arrival{l, id}, cmd, body)
	switch {
	case err != nil:
		l.Refuse(id, cell.ReasonProtocol)
	case msg != nil:
		f.work.Go(func() { f.answer(l, id, msg) })
	}
}

func (f *forwarder) assemble(a arrival, cmd cell.Command, body []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	asm := f.arriving[a]
	switch {
	case cmd != cell.Create:
		return nil, fmt.Errorf("%v: %w", cmd, cell.ErrMalformed)
	case asm == nil && len(f.arriving) >= maxArriving:
		return nil, fmt.Errorf("too many at once: %w", cell.ErrMalformed)
	case asm == nil:
		fresh := cell.NewAssembler(cell.AssembleCreate)
		asm = &fresh
		f.arriving[a] = asm
	}
	msg, err := asm.Add(body)
	if msg != nil || err != nil {
		delete(f.arriving, a)
	}
	return msg, err
}

func (f *forwarder) answer(l *link.Link, id cell.CircuitID, msg []byte) {
	params := circuit.Params{Network: network}
	reply, result, err := handshake.Answer(network, f.ID, f.circuit, msg, params.Grant, f.replay)
	if err != nil {
		l.Refuse(id, cell.ReasonKey)
		return
	}
	defer result.Wipe()
	if h, err := circuit.NewHop(l, id, result, circuit.KindTransit, f, params); err == nil {
		h.SendCreated(reply)
	}
}

// LinkClosed is part of link.Handler.
func (f *forwarder) LinkClosed(l *link.Link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a := range f.arriving {
		if a.link == l {
			delete(f.arriving, a)
		}
	}
}

// Extend is part of circuit.Owner.
func (f *forwarder) Extend(h *circuit.Hop, to keys.RelayID, _ []byte) {
	t, ok := f.next[to]
	if !ok {
		h.Fail(cell.ReasonIdentity)
		return
	}
	f.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), handshakePatience)
		defer cancel()
		l, err := f.pool.Dial(ctx, t)
		if err != nil {
			h.Fail(cell.ReasonConnect)
			return
		}
		h.ExtendOn(l)
	})
}

// Begin is part of circuit.Owner: this is no exit.
func (f *forwarder) Begin(s *circuit.Stream, _ cell.BeginRequest) { s.Refuse(cell.EndPolicy) }

// BeginDir is part of circuit.Owner.
func (f *forwarder) BeginDir(s *circuit.Stream) { s.Refuse(cell.EndNotDir) }

// Resolve is part of circuit.Owner.
func (f *forwarder) Resolve(h *circuit.Hop, _ cell.StreamID, _ cell.ResolveRequest) {
	h.Fail(cell.ReasonRefused)
}

// HopClosed is part of circuit.Owner.
func (f *forwarder) HopClosed(*circuit.Hop) {}
