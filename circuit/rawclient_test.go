package circuit_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit"
	"tunic/circuit/handshake"
	"tunic/circuit/onion"
)

// raw is a client without a mind of its own: it keeps the layers right, so that
// what it sends is recognised, and sends what a test says.
type raw struct {
	t       *testing.T
	lc      *link.Circuit
	created chan []byte      // complete CREATED, or the body of CREATED_DIR
	got     chan rawMessage  // recognised messages
	ended   chan cell.Reason // DESTROY; 255 for the link's end
	kept    []rawMessage     // taken from got by roundTrip

	mu   sync.Mutex // guards what follows
	out  []*onion.State
	in   []*onion.State
	seed []handshake.Result // of each hop
	asm  cell.Assembler
	gate <-chan struct{} // if set, cells wait until it is closed

	want  int           // if count is set, how many cells are counted instead of kept
	count chan struct{} // told when they have come
}

// setGate has the link's reader wait for each cell: a client that reads nothing.
func (r *raw) setGate(c <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = c
}

// A rawMessage is a message that a hop sent to a raw client, or the client to a
// raw hop.
type rawMessage struct {
	cell.Message
	outer cell.Command
	tag   onion.Tag
	hop   int
	whole []byte
}

// padding returns what follows the message's data.
func (m *rawMessage) padding() []byte { return m.whole[cell.MessageHeaderSize+len(m.Data):] }

// newRaw opens a circuit without hops on l.
func newRaw(t *testing.T, l *link.Link) *raw {
	t.Helper()
	r := &raw{
		t:       t,
		created: make(chan []byte, 1),
		got:     make(chan rawMessage, 1<<15),
		ended:   make(chan cell.Reason, 1),
		asm:     cell.NewAssembler(cell.AssembleCreated),
	}
	lc, err := l.Open(r)
	if err != nil {
		t.Fatal(err)
	}
	r.lc = lc
	t.Cleanup(func() { lc.Destroy(cell.ReasonNone) })
	return r
}

// build opens a raw circuit over the first hops relays.
func (c *client) buildRaw(t *testing.T, hops int) *raw {
	t.Helper()
	r := newRaw(t, c.link())
	for i, h := range c.nw.infos()[:hops] {
		if i == 0 {
			r.create(c.nw, h)
		} else {
			r.extend(c.nw, h)
		}
	}
	return r
}

// buildRawDir opens a raw circuit with CREATE_DIR.
func (c *client) buildRawDir(t *testing.T) *raw {
	t.Helper()
	l := c.link()
	r := newRaw(t, l)
	x := [32]byte{9}
	s := cell.NewSlot()
	cell.PutDirNonce(s.Body(), (*cell.DirNonce)(&x))
	r.push(s, cell.CreateDir)
	y, err := cell.ParseDirNonce(await(t, "CREATED_DIR", r.created))
	if err != nil {
		t.Fatal(err)
	}
	r.addHop(handshake.DirKeys(&x, (*[32]byte)(&y), l.Binding()))
	return r
}

// Receive is part of link.Receiver.
func (r *raw) Receive(_ *link.Circuit, cmd cell.Command, body []byte, _ *link.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gate != nil {
		<-r.gate
	}
	switch cmd {
	case cell.Destroy:
		r.ended <- cell.Reason(body[0])
	case cell.CreatedDir:
		r.created <- slices.Clone(body)
	case cell.Created:
		if whole, err := r.asm.Add(body); err != nil {
			r.t.Error(err)
		} else if whole != nil {
			r.created <- whole
		}
	case cell.Relay, cell.RelayEarly:
		r.receive(cmd, body)
	}
}

// LinkClosed is part of link.Receiver.
func (r *raw) LinkClosed(*link.Circuit) { r.ended <- 255 }

func (r *raw) receive(cmd cell.Command, body []byte) {
	s := cell.NewSlot()
	defer s.Release()
	copy(s.Body(), body)
	for i, h := range r.in {
		mine, tag := h.ClientInward(byte(cmd), s.Body())
		if !mine {
			continue
		}
		if r.count != nil {
			counted(&r.want, r.count)
			return
		}
		whole := slices.Clone(s.Message())
		m, err := cell.ParseMessage(whole)
		if err != nil {
			r.t.Error(err)
		}
		r.got <- rawMessage{Message: m, outer: cmd, tag: tag, hop: i, whole: whole}
		return
	}
	r.t.Error("raw client got a cell that no layer recognises")
}

func (r *raw) push(s *cell.Slot, cmd cell.Command) {
	r.lc.Push(s, cmd, nil) // an error is the end that the test waits for
}

// create sends CREATE and adds the hop.
func (r *raw) create(nw *network, h circuit.HopInfo) {
	r.t.Helper()
	m, msg, err := handshake.Start(nw.params.Network, h.ID, h.Key, handshake.Extensions{SendmeInc: 31})
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range cell.Fragments {
		s := cell.NewSlot()
		cell.PutFragment(s.Body(), cell.AssembleCreate, i, msg)
		r.push(s, cell.Create)
	}
	result, err := m.Finish(await(r.t, "CREATED", r.created))
	if err != nil {
		r.t.Fatal(err)
	}
	r.addHop(result)
}

// extendWhole returns what the fragments of an EXTEND to h carry.
func extendWhole(t *testing.T, nw *network, h circuit.HopInfo) (*handshake.Client, []byte) {
	t.Helper()
	m, msg, err := handshake.Start(nw.params.Network, h.ID, h.Key, handshake.Extensions{SendmeInc: 31})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := cell.ExtendRequest{Identity: h.ID, Handshake: msg}.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, whole
}

// fragment returns one fragment of an EXTEND.
func fragment(i int, whole []byte) []byte {
	var b [cell.MaxData]byte
	return b[:cell.PutFragment(b[:], cell.AssembleExtend, i, whole)]
}

// extend makes the circuit longer by h.
func (r *raw) extend(nw *network, h circuit.HopInfo) {
	r.t.Helper()
	m, whole := extendWhole(r.t, nw, h)
	last := len(r.in) - 1
	for i := range cell.Fragments {
		r.sendIn(cell.RelayEarly, last, cell.Extend, 0, fragment(i, whole))
	}
	a := cell.NewAssembler(cell.AssembleExtended)
	for range cell.Fragments {
		reply := r.expect(cell.Extended)
		done, err := a.Add(reply.Data)
		if err != nil {
			r.t.Fatal(err)
		}
		if done == nil {
			continue
		}
		result, err := m.Finish(done)
		if err != nil {
			r.t.Fatal(err)
		}
		r.addHop(result)
	}
}

func (r *raw) addHop(result *handshake.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := onion.NewState((*onion.Key)(&result.Outward))
	in := onion.NewState((*onion.Key)(&result.Inward))
	r.out, r.in = append(r.out, &out), append(r.in, &in)
	r.seed = append(r.seed, *result)
}

// send sends a message to a hop in a RELAY cell.
func (r *raw) send(hop int, c cell.RelayCommand, id cell.StreamID, data []byte) {
	r.sendIn(cell.Relay, hop, c, id, data)
}

// sendIn is send with another command of the cell.
func (r *raw) sendIn(outer cell.Command, hop int, c cell.RelayCommand, id cell.StreamID, data []byte) {
	var m [cell.MessageSize]byte
	cell.PutMessage(m[:], c, id, data)
	r.sendBytes(outer, hop, m[:], -1)
}

// sendBytes seals any message for a hop. If flip is a hop's number, the cell
// reaches that hop with one bit changed, as if the hop before had changed it.
func (r *raw) sendBytes(outer cell.Command, hop int, message []byte, flip int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := cell.NewSlot()
	copy(s.Message(), message)
	r.out[hop].ClientOriginate(byte(outer), s.Body())
	for i := hop; ; i-- {
		if i == flip {
			s.Body()[100] ^= 0x10
		}
		if i == 0 {
			break
		}
		r.out[i-1].ClientOutward(byte(outer), s.Body())
	}
	r.push(s, outer)
}

// expect waits for the next message, which must have this command.
func (r *raw) expect(c cell.RelayCommand) rawMessage {
	r.t.Helper()
	m := await(r.t, c.String(), r.got)
	if m.Command != c {
		r.t.Fatalf("got %v, want %v", m.Command, c)
	}
	return m
}

// expectEnd waits until the circuit is destroyed, with this reason.
func (r *raw) expectEnd(want cell.Reason) {
	r.t.Helper()
	if got := await(r.t, "DESTROY", r.ended); got != want {
		r.t.Errorf("destroyed: %v, want %v", got, want)
	}
}

// begin opens a stream at a hop and waits for CONNECTED.
func (r *raw) begin(hop int, id cell.StreamID, host string, port uint16) {
	r.t.Helper()
	data, err := cell.BeginRequest{Host: host, Port: port}.AppendBinary(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(hop, cell.Begin, id, data)
	r.expect(cell.Connected)
}

// counted counts down, tells when it is done, and begins anew.
func counted(left *int, done chan<- struct{}) {
	if *left--; *left == 0 {
		*left = countedCells
		done <- struct{}{}
	}
}

// countedCells is how many cells TestForwardingDoesNotAllocate counts at a time.
const countedCells = 31 * 20

// await takes one value, or fails the test.
func await[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(testLimit):
		t.Fatalf("waited %v for %s", testLimit, what)
	}
	return v
}
