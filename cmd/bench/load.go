package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tunic/cell"
	"tunic/cell/link"
)

const ( // our choice
	inFlight  = 8192                 // cells on their way over all circuits together, about
	maxWindow = 1024                 // of one circuit
	minWindow = 2 * cell.RecordCells // so that a circuit can fill a record while another is under way
	builders  = 8                    // pairs that build circuits at once: more would wait past their deadlines on a slow machine
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

// newLoad makes both ends, without circuits yet.
func newLoad(links, circuits int) (*load, error) {
	l := &load{done: make(chan struct{}), failed: make(chan struct{})}
	window := max(minWindow, min(maxWindow, inFlight/circuits))
	for i := range links {
		p := &pair{load: l, window: int64(window),
			near:     link.NewPool(link.Config{Network: network, Limits: link.Limits{Handshake: handshakePatience}}),
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
	next := make(chan int, len(l.pairs))
	for i := range l.pairs {
		next <- i
	}
	close(next)
	for range builders {
		wg.Go(func() {
			for i := range next {
				errs[i] = l.pairs[i].build(ctx, relay)
			}
		})
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
