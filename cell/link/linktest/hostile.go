package linktest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/hybrid"
	"tunic/cell/link"
	"tunic/directory/keys"
)

// Options say how a Hostile behaves in the handshake. The zero value is a client
// that does everything right.
type Options struct {
	As       *Relay // proves that it is this relay; nil: a client
	Versions []uint8
	Padding  [4]byte            // low 2, high 2, in milliseconds; zero: none
	Time     time.Time          // told in NETINFO, and by a responder in message 2
	Seen     []byte             // family 1, address 16, port 2: told likewise; nil: none
	First    []Cell             // instead of the first record's cells; see FirstCells
	Edit     func(first []Cell) // changes the first record's cells
	Message1 func(b []byte)     // changes message 1 on its way
	Prologue []byte             // instead of the right one
	NoFirst  bool               // stops before its first record
}

// A Hostile is a peer that finishes real handshakes, and then sends raw cells and
// records as a test says and reads what comes. Its methods fail the test when the
// connection does what it should not; they may be called from one goroutine for
// sending and one for receiving, besides the test's.
type Hostile struct {
	Conn     net.Conn
	Hash     [32]byte
	Version  uint8
	Time     time.Time // the responder's, or as the dialler said in NETINFO
	First    []Cell    // the first record of the other side
	Message1 []byte    // as it was sent

	t          testing.TB
	initiator  bool
	send, recv *direction
	waiting    []Cell // received and not asked for yet
	alive      uint32 // calls of Alive
}

// Prologue returns what binds a handshake to a network and the responder.
func Prologue(network [32]byte, id keys.RelayID) []byte {
	b := append([]byte("tunic link"), 1)
	b = append(b, network[:]...)
	return append(b, id[:]...)
}

// Connect connects to a relay over TCP and finishes the handshake as opt says. The
// connection is closed at the end of the test.
func Connect(t testing.TB, target link.Target, opt Options) *Hostile {
	t.Helper()
	conn, err := net.DialTimeout("tcp", target.Addrs[0].String(), patience)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return Initiate(t, conn, target, opt)
}

// Initiate finishes the handshake on a connection to a relay as opt says, and
// closes the connection at the end of the test.
func Initiate(t testing.TB, conn net.Conn, target link.Target, opt Options) *Hostile {
	t.Helper()
	h, err := TryInitiate(t, conn, target, opt)
	if err != nil {
		t.Fatalf("handshake as initiator: %v", err)
	}
	return h
}

// TryInitiate is Initiate for handshakes that may fail.
func TryInitiate(t testing.TB, conn net.Conn, target link.Target, opt Options) (*Hostile, error) {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	defer conn.SetDeadline(time.Time{})
	h := &Hostile{Conn: conn, t: t, initiator: true}
	i, msg1, err := opt.message1(target)
	if err != nil {
		return nil, err
	}
	h.Message1 = msg1
	if _, err := conn.Write(h.Message1); err != nil {
		return nil, err
	}
	msg2 := make([]byte, 1200)
	if _, err := io.ReadFull(conn, msg2); err != nil {
		return nil, err
	}
	payload, s, err := i.ReadMessage2(msg2)
	if err != nil {
		return nil, err
	}
	h.Version = payload[0]
	h.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(payload[1:])))
	h.start(s)
	if opt.NoFirst {
		return h, nil
	}
	if err := h.sendFirst(&opt); err != nil {
		return nil, err
	}
	return h, h.readFirst()
}

// FirstMessage returns the message 1 that a dialler of target would send.
func FirstMessage(t testing.TB, target link.Target, opt Options) []byte {
	t.Helper()
	_, b, err := opt.message1(target)
	if err != nil {
		t.Fatalf("message 1: %v", err)
	}
	return b
}

func (o *Options) message1(target link.Target) (*hybrid.Initiator, []byte, error) {
	p := o.Prologue
	if p == nil {
		p = Prologue(Network, target.ID)
	}
	i, err := hybrid.NewInitiator(p, target.Key)
	if err != nil {
		return nil, nil, err
	}
	b, err := i.Message1(nil, o.offer())
	if err != nil {
		return nil, nil, err
	}
	if o.Message1 != nil {
		o.Message1(b)
	}
	return i, b, nil
}

// Answer finishes the handshake on a connection that a pool opened to relay r.
func Answer(t testing.TB, conn net.Conn, r *Relay, opt Options) *Hostile {
	t.Helper()
	h, err := TryAnswer(t, conn, r, opt)
	if err != nil {
		t.Fatalf("handshake as responder: %v", err)
	}
	return h
}

// TryAnswer is Answer for handshakes that may fail.
func TryAnswer(t testing.TB, conn net.Conn, r *Relay, opt Options) (*Hostile, error) {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	defer conn.SetDeadline(time.Time{})
	h := &Hostile{Conn: conn, t: t, Message1: make([]byte, 1280)}
	if _, err := io.ReadFull(conn, h.Message1); err != nil {
		return nil, err
	}
	resp, err := hybrid.NewResponder(Prologue(Network, r.ID), r.Link.ECDH())
	if err != nil {
		return nil, err
	}
	if _, err := resp.ReadMessage1(h.Message1); err != nil {
		return nil, err
	}
	h.Version = 1
	if len(opt.Versions) > 0 {
		h.Version = opt.Versions[0]
	}
	answer := make([]byte, 64)
	answer[0] = h.Version
	copy(answer[9:], opt.Seen)
	if !opt.Time.IsZero() {
		binary.BigEndian.PutUint64(answer[1:], uint64(opt.Time.UnixMilli()))
	}
	msg2, s, err := resp.Message2(nil, answer)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(msg2); err != nil {
		return nil, err
	}
	h.start(s)
	if opt.NoFirst {
		return h, nil
	}
	if err := h.sendFirst(&opt); err != nil {
		return nil, err
	}
	return h, h.readFirst()
}

// offer is the payload of message 1.
func (o *Options) offer() []byte {
	b := make([]byte, 48)
	v := o.Versions
	if len(v) == 0 {
		v = []uint8{1}
	}
	b[0] = byte(len(v))
	copy(b[1:8], v)
	copy(b[8:12], o.Padding[:])
	return b
}

func (h *Hostile) start(s *hybrid.Session) {
	h.Hash, h.send, h.recv = s.Hash, newDirection(s.Send), newDirection(s.Recv)
}

// FirstCells returns the cells of a first record as a relay, or nil for a client,
// sends them.
func (h *Hostile) FirstCells(as *Relay, told time.Time, seen []byte) []Cell {
	first := Cell{Command: cell.Padding}
	if as != nil {
		first = Cell{Command: cell.Proof, Body: as.Proof.Append(nil, h.Hash)}
	}
	info := make([]byte, 27) // time 8, address 19
	copy(info[8:], seen)
	if !told.IsZero() {
		binary.BigEndian.PutUint64(info, uint64(told.UnixMilli()))
	}
	return []Cell{first, {Command: cell.NetInfo, Body: info}}
}

func (h *Hostile) sendFirst(opt *Options) error {
	first := opt.First
	if first == nil {
		first = h.FirstCells(opt.As, opt.Time, opt.Seen)
	}
	if opt.Edit != nil {
		opt.Edit(first)
	}
	_, err := h.Conn.Write(h.send.seal(plain(first)))
	return err
}

func (h *Hostile) readFirst() error {
	b, err := h.recv.open(h.Conn)
	if err != nil {
		return err
	}
	if h.First = cells(b); len(h.First) != 2 {
		return fmt.Errorf("first record of %d cells", len(h.First))
	}
	return nil
}

// A Listener is a hostile relay that pools can dial.
type Listener struct {
	Relay  *Relay
	Target link.Target
	ln     net.Listener
	t      testing.TB
}

// Listen makes a hostile relay on a transport.
func Listen(t testing.TB, tr link.Transport, host string) *Listener {
	t.Helper()
	r := NewRelay()
	ln, err := tr.Listen(hostPort(host))
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	t.Cleanup(func() { ln.Close() })
	return &Listener{Relay: r, Target: r.Target(ln.Addr().(*net.TCPAddr).AddrPort()), ln: ln, t: t}
}

// Accept waits for the next connection and finishes its handshake.
func (l *Listener) Accept(opt Options) *Hostile {
	l.t.Helper()
	return Answer(l.t, l.AcceptRaw(), l.Relay, opt)
}

// AcceptRaw waits for the next connection.
func (l *Listener) AcceptRaw() net.Conn {
	l.t.Helper()
	conn, err := l.ln.Accept()
	if err != nil {
		l.t.Fatalf("accept: %v", err)
	}
	return conn
}

// Meet has p dial l and returns both ends.
func (l *Listener) Meet(p *link.Pool, opt Options) (*link.Link, *Hostile) {
	l.t.Helper()
	type dialled struct {
		l   *link.Link
		err error
	}
	done := make(chan dialled, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		near, err := p.Dial(ctx, l.Target)
		done <- dialled{near, err}
	}()
	h := l.Accept(opt)
	d := <-done
	if d.err != nil {
		l.t.Fatalf("dial: %v", d.err)
	}
	return d.l, h
}
