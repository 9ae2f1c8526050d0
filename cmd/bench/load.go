package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/handshake"
	"tunic/circuit/onion"
)

const ( // our choice
	inFlight  = 8192                 // cells on their way over all circuits together, about
	maxWindow = 1024                 // of one circuit
	minWindow = 2 * cell.RecordCells // so that a circuit can fill a record while another is under way
)

// A load is what surrounds a relay under measurement: for each of its links on the
// client's side a link out of this process, and as many on the far side. Cells run
// inward, as downloads do: they come from the far side, the relay adds its layer,
// and the client's side counts them. Neither end has layers of its own, so that
// the load costs little beside the relay.
type load struct {
	pairs []*pair
	done  chan struct{} // closed by close
	ended sync.WaitGroup
	once  sync.Once
	got   atomic.Int64 // cells counted

	failOnce sync.Once
	failed   chan struct{} // closed by fail
	err      error         // set before failed is closed
}

// A pair is a link on either side of the relay, and the circuits between them.
type pair struct {
	load     *load
	near     *link.Pool // dials the relay
	far      *station   // the relay dials it
	accepted chan *link.Circuit
	parts    int // fragments of the CREATE under way; owned by the far link's reader
	flows    []*flow
	window   int64
	wake     chan struct{} // capacity 1: a flow has room again
}

// A flow is one circuit. It is the near end's receiver.
type flow struct {
	pair  *pair
	near  *link.Circuit
	far   *link.Circuit
	setup chan []byte // bodies of the answers while the circuit is built
	built atomic.Bool
	sent  int64 // owned by the pair's sender
	got   atomic.Int64
}

// newLoad makes both ends, without circuits yet.
func newLoad(links, circuits int) (*load, error) {
	l := &load{done: make(chan struct{}), failed: make(chan struct{})}
	window := max(minWindow, min(maxWindow, inFlight/circuits))
	for i := range links {
		p := &pair{load: l, near: link.NewPool(link.Config{Network: network}), window: int64(window),
			accepted: make(chan *link.Circuit, 1), wake: make(chan struct{}, 1)}
		l.pairs = append(l.pairs, p)
		var err error
		if p.far, err = newStation(p); err != nil {
			return nil, errors.Join(err, l.close())
		}
		for range (circuits + links - 1 - i) / links {
			p.flows = append(p.flows, &flow{pair: p, setup: make(chan []byte, cell.Fragments)})
		}
	}
	return l, nil
}

// peers returns what the relay has to know of the far side.
func (l *load) peers() []peer {
	var all []peer
	for _, p := range l.pairs {
		all = append(all, p.far.peer)
	}
	return all
}

// start builds all circuits through the relay, then lets the cells run.
func (l *load) start(ctx context.Context, relay peer) error {
	errs := make([]error, len(l.pairs))
	var wg sync.WaitGroup
	for i, p := range l.pairs {
		wg.Go(func() { errs[i] = p.build(ctx, relay) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, p := range l.pairs {
		l.ended.Go(p.send) // ends with close
	}
	return nil
}

// fail notes the first thing that went wrong.
func (l *load) fail(err error) {
	l.failOnce.Do(func() { l.err = err; close(l.failed) })
}

// check returns what went wrong, if anything.
func (l *load) check() error {
	select {
	case <-l.failed:
		return l.err
	default:
		return nil
	}
}

func (l *load) close() error {
	var all []error
	l.once.Do(func() {
		close(l.done)
		l.ended.Wait()
		for _, p := range l.pairs {
			all = append(all, p.near.Close())
			if p.far != nil {
				all = append(all, p.far.close())
			}
		}
	})
	return errors.Join(all...)
}

// build makes the pair's circuits, one after the other, so that the two ends of
// each are known to belong together.
func (p *pair) build(ctx context.Context, relay peer) error {
	l, err := p.near.Dial(ctx, relay.target())
	if err != nil {
		return fmt.Errorf("link to the relay: %w", err)
	}
	for _, f := range p.flows {
		if err := f.build(ctx, l, relay); err != nil {
			return fmt.Errorf("circuit through the relay: %w", err)
		}
	}
	return nil
}

// send keeps each circuit's window full until the load is closed.
func (p *pair) send() {
	var b link.Batch
	for {
		sent := false
		for _, f := range p.flows {
			room := min(int64(cell.RecordCells), p.window-(f.sent-f.got.Load()))
			for range room {
				// What is in the slot does not matter: to the relay it is noise either way.
				if err := f.far.Push(cell.NewSlot(), cell.Relay, &b); err != nil {
					b.Flush()
					p.load.fail(fmt.Errorf("send: %w", err))
					return
				}
			}
			f.sent += room
			sent = sent || room > 0
		}
		b.Flush()
		if sent {
			continue
		}
		select {
		case <-p.wake:
		case <-p.load.failed:
			return
		case <-p.load.done:
			return
		}
	}
}

// NewCircuit is the far end's part of building a circuit: any bytes will do for an
// answer, since the flow does not look at them. It runs on the link's reader.
func (p *pair) NewCircuit(l *link.Link, id cell.CircuitID, cmd cell.Command, _ []byte, b *link.Batch) {
	if cmd != cell.Create {
		return
	}
	if p.parts++; p.parts < cell.Fragments {
		return
	}
	p.parts = 0
	c, err := l.Accept(id, farEnd{p.load})
	if err == nil {
		err = pushFragments(c, make([]byte, cell.HandshakeSize), cell.AssembleCreated, cell.Created, b)
	}
	if err != nil {
		p.load.fail(fmt.Errorf("answer a CREATE: %w", err))
		return
	}
	select {
	case p.accepted <- c:
	default:
		p.load.fail(errors.New("more circuits than were asked for"))
	}
}

// LinkClosed is part of link.Handler.
func (p *pair) LinkClosed(*link.Link) { p.load.fail(errors.New("the relay closed a link")) }

// farEnd receives what the relay sends outward: nothing, as long as all is well.
type farEnd struct{ load *load }

func (e farEnd) Receive(_ *link.Circuit, cmd cell.Command, _ []byte, _ *link.Batch) {
	e.load.fail(fmt.Errorf("%v from the relay", cmd))
}
func (e farEnd) LinkClosed(*link.Circuit) { e.load.fail(errors.New("the relay closed a link")) }

// pushFragments sends a handshake message in cells.
func pushFragments(c *link.Circuit, msg []byte, kind cell.FragmentKind, cmd cell.Command, b *link.Batch) error {
	for i := range cell.Fragments {
		s := cell.NewSlot()
		cell.PutFragment(s.Body(), kind, i, msg)
		if err := c.Push(s, cmd, b); err != nil {
			return err
		}
	}
	return nil
}

// Receive takes a cell at the near end. It runs on the link's reader.
func (f *flow) Receive(_ *link.Circuit, cmd cell.Command, body []byte, _ *link.Batch) {
	switch {
	case cmd == cell.Relay && f.built.Load():
		f.pair.load.got.Add(1)
		if f.got.Add(1)%cell.RecordCells == 0 {
			select {
			case f.pair.wake <- struct{}{}:
			default: // it has been told
			}
		}
	case cmd == cell.Relay || cmd == cell.Created:
		select {
		case f.setup <- append([]byte(nil), body...):
		default:
			f.pair.load.fail(errors.New("more answers than questions"))
		}
	default:
		f.pair.load.fail(fmt.Errorf("%v from the relay", cmd))
	}
}

// LinkClosed is part of link.Receiver.
func (f *flow) LinkClosed(*link.Circuit) { f.pair.load.fail(errors.New("the relay closed a link")) }

// build opens the circuit to the relay and has it extended to the far end.
func (f *flow) build(ctx context.Context, l *link.Link, relay peer) error {
	var err error
	if f.near, err = l.Open(f); err != nil {
		return err
	}
	machine, msg, err := handshake.Start(network, relay.ID, relay.Circuit, handshake.Extensions{})
	if err != nil {
		return err
	}
	var b link.Batch
	err = pushFragments(f.near, msg, cell.AssembleCreate, cell.Create, &b)
	b.Flush()
	if err != nil {
		return err
	}
	asm := cell.NewAssembler(cell.AssembleCreated)
	var reply []byte
	for range cell.Fragments {
		part, err := f.answer(ctx)
		if err != nil {
			return err
		}
		if reply, err = asm.Add(part); err != nil {
			return err
		}
	}
	result, err := machine.Finish(reply)
	if err != nil {
		return err
	}
	defer result.Wipe()
	return f.extend(ctx, result)
}

// extend asks the relay for the far end, and waits for its three fragments, which
// are sealed and not looked at.
func (f *flow) extend(ctx context.Context, r *handshake.Result) error {
	layer := onion.NewState((*onion.Key)(&r.Outward))
	whole, err := cell.ExtendRequest{Identity: f.pair.far.ID, Handshake: make([]byte, cell.HandshakeSize)}.AppendBinary(nil)
	if err != nil {
		return err
	}
	var b link.Batch
	for i := range cell.Fragments {
		s := cell.NewSlot()
		var data [cell.MaxData]byte
		n := cell.PutFragment(data[:], cell.AssembleExtend, i, whole)
		cell.PutMessage(s.Message(), cell.Extend, 0, data[:n])
		layer.ClientOriginate(byte(cell.RelayEarly), s.Body())
		if err := f.near.Push(s, cell.RelayEarly, &b); err != nil {
			b.Flush()
			return err
		}
	}
	b.Flush()
	for range cell.Fragments {
		if _, err := f.answer(ctx); err != nil {
			return err
		}
	}
	f.built.Store(true)
	select {
	case f.far = <-f.pair.accepted:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answer waits for the next cell while the circuit is built.
func (f *flow) answer(ctx context.Context) ([]byte, error) {
	select {
	case b := <-f.setup:
		return b, nil
	case <-f.pair.load.failed:
		return nil, f.pair.load.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
