package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/handshake"
	"tunic/circuit/onion"
)

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
