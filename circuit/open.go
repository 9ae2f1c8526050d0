package circuit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/congestion"
	"tunic/circuit/handshake"
	"tunic/circuit/onion"
	"tunic/directory/keys"
)

// A reply says which answer a handshake waits for.
type reply uint8

const (
	noReply reply = iota
	onCreated
	onCreatedDir
	onExtended
)

// handshakes is the one handshake that a client's circuit has under way, if any.
type handshakes struct {
	mu    sync.Mutex
	want  reply
	asm   cell.Assembler
	whole chan []byte // takes the complete answer; made anew for each handshake
}

// expect makes ready for an answer.
func (h *handshakes) expect(r reply) <-chan []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.want = r
	if r == onExtended {
		h.asm = cell.NewAssembler(cell.AssembleExtended)
	} else {
		h.asm = cell.NewAssembler(cell.AssembleCreated)
	}
	h.whole = make(chan []byte, 1)
	return h.whole
}

// fragment takes a part of an answer. It runs on the link's reader.
func (h *handshakes) fragment(r reply, b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.want != r {
		return violation("answer to a handshake that is not under way")
	}
	var whole []byte
	var err error
	if r == onCreatedDir {
		var n cell.DirNonce
		n, err = cell.ParseDirNonce(b)
		whole = n[:]
	} else {
		whole, err = h.asm.Add(b)
	}
	if err != nil || whole == nil {
		return err
	}
	h.want = noReply
	h.whole <- whole // has room: one answer for each channel
	return nil
}

// Open makes a circuit of one hop over l, whose other end is h. It waits for the
// answer, at most 10 s.
func Open(ctx context.Context, l *link.Link, h HopInfo, p Params) (*Circuit, error) {
	c, err := place(l, p)
	if err != nil {
		return nil, err
	}
	machine, msg, err := handshake.Start(p.Network, h.ID, h.Key, p.ask())
	if err == nil {
		err = c.agree(ctx, machine, h.ID, onCreated, func() error {
			var b link.Batch
			defer b.Flush()
			return pushFragments(c.tx.lc, cell.Create, cell.AssembleCreate, msg, &b)
		})
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("open circuit: %w", err)
	}
	return c, nil
}

// OpenDir makes a circuit to the directory of l's other end, with CREATE_DIR: it
// has one hop, costs no key agreement and takes no streams but the directory's. It
// waits for the answer, at most 10 s.
func OpenDir(ctx context.Context, l *link.Link, p Params) (*Circuit, error) {
	p.Congestion = p.forDir()
	c, err := place(l, p)
	if err != nil {
		return nil, err
	}
	c.forDir = true
	if err := c.agreeDir(ctx, l); err != nil {
		c.Close()
		return nil, fmt.Errorf("open circuit for the directory: %w", err)
	}
	return c, nil
}

// Extend makes the circuit longer by the hop h, which the last hop finds by its
// identity alone. It waits for the answer, at most 10 s. After an error other
// than [ErrBusy], [ErrTooLong] and [ErrNotAllowed] the circuit is gone.
func (c *Circuit) Extend(ctx context.Context, h HopInfo) error {
	switch {
	case c.forDir:
		return ErrNotAllowed
	case c.Len() >= MaxHops:
		return ErrTooLong
	}
	if err := c.table.beginExtending(); err != nil {
		return err
	}
	machine, msg, err := handshake.Start(c.p.Network, h.ID, h.Key, c.p.ask())
	if err == nil {
		err = c.agree(ctx, machine, h.ID, onExtended, func() error { return c.sendExtend(h.ID, msg) })
	}
	if err != nil {
		c.Close()
		return fmt.Errorf("extend circuit to hop %d: %w", c.Len(), err)
	}
	c.table.endExtending()
	return nil
}

// place opens a circuit without hops on l.
func place(l *link.Link, p Params) (*Circuit, error) {
	c := &Circuit{p: p}
	c.end.init(c, atClient, p.window())
	c.tx.early = maxEarly
	c.tx.mu.Lock()
	defer c.tx.mu.Unlock()
	lc, err := l.Open((*fromGuard)(c))
	if err != nil {
		return nil, fmt.Errorf("open circuit: %w", err)
	}
	c.tx.lc = lc
	return c, nil
}

// agree sends a handshake, waits for its answer and adds the hop.
func (c *Circuit) agree(ctx context.Context, m *handshake.Client, id keys.RelayID, r reply, send func() error) error {
	answer := c.setup.expect(r)
	if err := send(); err != nil {
		return err
	}
	whole, err := c.await(ctx, answer)
	if err != nil {
		return err
	}
	result, err := m.Finish(whole)
	if err != nil {
		return err
	}
	defer result.Wipe()
	return c.addHop(id, result)
}

// agreeDir exchanges nonces and adds the only hop.
func (c *Circuit) agreeDir(ctx context.Context, l *link.Link) error {
	var x cell.DirNonce
	rand.Read(x[:])
	answer := c.setup.expect(onCreatedDir)
	s := cell.NewSlot()
	cell.PutDirNonce(s.Body(), &x)
	if err := queue(c.tx.lc, s, cell.CreateDir, nil); err != nil {
		return err
	}
	y, err := c.await(ctx, answer)
	if err != nil {
		return err
	}
	result := handshake.DirKeys((*[32]byte)(&x), (*[32]byte)(y), l.Binding())
	defer result.Wipe()
	id, _, _ := l.Peer()
	return c.addHop(id, result)
}

// sendExtend sends the three fragments of EXTEND to the last hop.
func (c *Circuit) sendExtend(id keys.RelayID, msg []byte) error {
	whole, err := cell.ExtendRequest{Identity: id, Handshake: msg}.AppendBinary(nil)
	if err != nil {
		return err
	}
	var b link.Batch
	defer b.Flush()
	c.tx.mu.Lock()
	defer c.tx.mu.Unlock()
	for i := range cell.Fragments {
		s := cell.NewSlot()
		var data [cell.MaxData]byte
		n := cell.PutFragment(data[:], cell.AssembleExtend, i, whole)
		cell.PutMessage(s.Message(), cell.Extend, 0, data[:n])
		c.tx.command() // beyond hop 0 it counts; MaxHops keeps below the limit
		if err := c.tx.push(s, cell.RelayEarly, &b); err != nil {
			return err
		}
	}
	return nil
}

var errHopTimeout = errors.New("no answer in time")

// await waits for the answer to a handshake.
func (c *Circuit) await(ctx context.Context, answer <-chan []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, hopTimeout, errHopTimeout)
	defer cancel()
	select {
	case whole := <-answer:
		return whole, nil
	case <-c.done:
		return nil, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask returns what a client asks of each hop.
func (p *Params) ask() handshake.Extensions {
	return handshake.Extensions{SendmeInc: uint8(p.window().SendmeInc)}
}

// Grant returns what a relay gives of what a client asks, for handshake.Answer.
func (p Params) Grant(ask handshake.Extensions) (granted handshake.Extensions) {
	if ask.SendmeInc != 0 {
		granted.SendmeInc = uint8(p.window().SendmeInc)
	}
	return granted
}

// errGrant is why a client leaves a hop that acknowledges at another pace than
// the consensus says. A network changes the pace in steps of one.
var errGrant = errors.New("hop acknowledges at another pace")

// granted returns the window's parameters for a hop that granted ext.
func (p *Params) granted(ext handshake.Extensions) (congestion.Params, error) {
	w := p.window()
	inc := pace(ext)
	if inc < w.SendmeInc-1 || inc > w.SendmeInc+1 {
		return w, errGrant
	}
	w.SendmeInc = inc
	return w.Clamp(), nil
}

// pace returns the SENDME interval that a handshake agreed on: the default where it
// says nothing.
func pace(ext handshake.Extensions) int {
	if ext.SendmeInc == 0 {
		return congestion.Default().SendmeInc
	}
	return int(ext.SendmeInc)
}

// addHop adds the layers of a hop that has answered. No cell is on its way in
// either direction.
func (c *Circuit) addHop(id keys.RelayID, r *handshake.Result) error {
	w, err := c.p.granted(r.Ext)
	if err != nil {
		return err
	}
	c.addOutward(r, w)
	c.in.mu.Lock()
	in := onion.NewState((*onion.Key)(&r.Inward))
	c.in.hops = append(c.in.hops, &in)
	c.received = congestion.NewReceiver(w)
	c.in.mu.Unlock()
	c.hopsMu.Lock()
	defer c.hopsMu.Unlock()
	c.hops = append(c.hops, id)
	return c.cause()
}

func (c *Circuit) addOutward(r *handshake.Result, w congestion.Params) {
	c.tx.mu.Lock()
	defer c.tx.mu.Unlock()
	out := onion.NewState((*onion.Key)(&r.Outward))
	c.tx.hops = append(c.tx.hops, &out)
	c.tx.window = congestion.NewSender(w)
}
