package link

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/directory/keys"
)

func FuzzParseOffer(f *testing.F) {
	o := offer{versions: [maxVersions]uint8{1}, padding: Padding{}.withDefaults()}
	f.Add(o.appendBinary(nil))
	o = offer{versions: [maxVersions]uint8{7, 6, 5, 4, 3, 2, 1}}
	f.Add(o.appendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := parseOffer(b)
		if err != nil {
			if !errors.Is(err, cell.ErrMalformed) {
				t.Fatalf("%v, want ErrMalformed", err)
			}
			return
		}
		const used = 1 + maxVersions + 4
		if got := o.appendBinary(nil); !bytes.Equal(got[:used], b[:used]) || len(got) != len(b) {
			t.Fatalf("%x encodes to %x", b, got)
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	a := answer{version: 1, time: time.UnixMilli(1e12)}
	f.Add(a.appendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err != nil {
			if !errors.Is(err, cell.ErrMalformed) {
				t.Fatalf("%v, want ErrMalformed", err)
			}
			return
		}
		const used = 1 + timeSize + seenSize
		if got := a.appendBinary(nil); !bytes.Equal(got[:used], b[:used]) || len(got) != len(b) {
			t.Fatalf("%x encodes to %x", b, got)
		}
	})
}

func FuzzParseNetInfo(f *testing.F) {
	body := make([]byte, cell.BodySize)
	f.Add(bytes.Clone(body))
	body[8], body[9] = 6, 0x20
	f.Add(bytes.Clone(body))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseNetInfo(b)
		if err != nil {
			if !errors.Is(err, cell.ErrMalformed) {
				t.Fatalf("%v, want ErrMalformed", err)
			}
			return
		}
		got := make([]byte, cell.BodySize)
		n.put(got)
		if used := timeSize + seenSize; !bytes.Equal(got[:used], b[:used]) {
			t.Fatalf("%x encodes to %x", b[:used], got[:used])
		}
	})
}

// accepter accepts every other circuit.
type accepter struct{ t *testing.T }

func (a accepter) NewCircuit(l *Link, id cell.CircuitID, cmd cell.Command, _ []byte, _ *Batch) {
	if !id.FromInitiator() || cmd != cell.Create && cmd != cell.CreateDir && cmd != cell.Destroy {
		a.t.Fatalf("the handler got %v on %#x", cmd, uint32(id))
	}
	if cmd == cell.Destroy {
		return
	}
	if id%2 == 0 {
		l.Refuse(id, cell.ReasonRefused)
	} else if _, err := l.Accept(id, pusher{}); err != nil {
		l.Refuse(id, cell.ReasonInternal)
	}
}
func (accepter) LinkClosed(*Link) {}

// pusher answers every cell with one.
type pusher struct{}

func (pusher) Receive(c *Circuit, cmd cell.Command, body []byte, b *Batch) {
	s := cell.NewSlot()
	copy(s.Body(), body)
	if c.Push(s, cmd, b) != nil {
		c.Destroy(cell.ReasonResource)
	}
}
func (pusher) LinkClosed(*Circuit) {}

// FuzzHandle feeds a link the cells of a peer that finished its handshake: command
// and id of each are in the input.
func FuzzHandle(f *testing.F) {
	f.Add([]byte{1, 0x80, 1, 3, 0x80, 1, 5, 0x80, 1})
	f.Add([]byte{0, 0, 0, 10, 0, 0, 200, 0, 0})
	f.Add([]byte{6, 0x80, 3, 3, 0x80, 3, 3, 0x80, 3, 6, 0x80, 3})
	f.Add([]byte{1, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		l := bareLink(Config{Handler: accepter{t}, Limits: Limits{QueueCells: 5, MaxCircuits: 3}})
		near, far := net.Pipe()
		defer far.Close()
		l.conn = near
		l.ctx, l.cancel = context.WithCancel(t.Context())
		var cells []byte
		for ; len(b) >= 3 && len(cells) < 31*cell.Size; b = b[3:] {
			c := make([]byte, cell.Size)
			c[0], c[3], c[4], c[5] = b[1], b[2], b[0], b[2]
			cells = append(cells, c...)
		}
		err := l.handle(cells)
		l.batch.Flush()
		if err != nil && !errors.Is(err, cell.ErrMalformed) {
			t.Fatalf("%v, want ErrMalformed", err)
		}
		if n := l.Circuits(); n > 3 {
			t.Fatalf("%d circuits, want at most 3", n)
		}
		queued := l.sched.control.n
		for _, c := range l.circuits {
			queued += c.Queued()
		}
		sent := 0
		for n := l.pick(cell.RecordCells, time.Now()); n > 0; n = l.pick(cell.RecordCells, time.Now()) {
			sent += n
		}
		if sent != queued {
			t.Fatalf("%d cells were queued, %d sent", queued, sent)
		}
	})
}

// FuzzRecords feeds the reader a connection's bytes after the handshake. What does
// not open is refused without a panic; nothing else opens.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{}, 1)
	f.Add([]byte{1, 2, 3}, 3)
	f.Add(bytes.Repeat([]byte{9}, 3000), 700)
	f.Fuzz(func(t *testing.T, b []byte, chunk int) {
		near, far := net.Pipe()
		a, z := sessions(t)
		in := newInbound(near, newOpener(a.Recv))
		good := record(t, newSealer(z.Send), 1, 7)
		go func() {
			far.Write(good)
			for chunk = max(1, chunk); len(b) > 0; {
				n, err := far.Write(b[:min(chunk, len(b))])
				if err != nil {
					break
				}
				b = b[n:]
			}
			far.Close()
		}()
		if cells, err := in.next(); err != nil || len(cells) != cell.Size {
			t.Fatalf("the good record: %v", err)
		}
		if cells, err := in.next(); err == nil {
			t.Fatalf("%x was opened", cells[:32])
		}
		in.release()
		near.Close()
	})
}

// FuzzMessage1 gives a responder first messages that somebody has changed: only the
// one that nobody has is answered.
func FuzzMessage1(f *testing.F) {
	id, key := keys.GenerateIdentity().Public(), keys.GenerateLink()
	prologue := keys.LinkPrologue(handshakeVersion, [32]byte{}, id)
	f.Add(uint16(0), []byte{})
	f.Add(uint16(31), []byte{0x80})
	f.Add(uint16(1279), []byte{1})
	f.Add(uint16(100), bytes.Repeat([]byte{0xff}, 1000))
	f.Fuzz(func(t *testing.T, at uint16, xor []byte) {
		p := &Pool{replay: hybrid.NewReplay(), cfg: Config{ID: id, Keys: func() []*keys.LinkKey { return []*keys.LinkKey{key} }}}
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		i, err := hybrid.NewInitiator(prologue, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		o := offer{versions: [maxVersions]uint8{linkVersion}}
		msg, err := i.Message1(nil, o.appendBinary(nil))
		if err != nil {
			t.Fatal(err)
		}
		changed := false
		for j := 0; j < len(xor) && int(at)+j < len(msg); j++ {
			msg[int(at)+j] ^= xor[j]
			changed = changed || xor[j] != 0
		}
		// The top bit of an X25519 key is ignored in the exchange, but hashed.
		_, reply, err := p.answer(near, msg, netip.AddrPort{})
		if (err != nil) != changed {
			t.Fatalf("changed %v: %v", changed, err)
		}
		if err == nil && len(reply) != message2Size+lengthSize+firstSealed {
			t.Fatalf("a reply of %d bytes", len(reply))
		}
		if _, _, err := p.answer(near, msg, netip.AddrPort{}); err == nil {
			t.Fatal("answered twice")
		}
	})
}
