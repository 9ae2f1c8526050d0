package circuit

import (
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/circuit/congestion"
)

// A role says which end of a circuit an end is.
type role uint8

const (
	atClient role = iota
	atRelay
)

// A whole is the circuit that an end is part of: a *Circuit or a *Hop.
type whole interface {
	// fault destroys the circuit because of err; see faultReason.
	fault(err error)
	// sleep drops the key objects of all layers.
	sleep()
}

// end is what both ends of a circuit have in common: streams, the direction in
// which this end originates cells, and what it has received.
type end struct {
	whole whole
	tx    sending
	table table
	rest  rest

	received *congestion.Receiver // owned by the link's reader
	unread   atomic.Int64         // bytes that streams hold for their readers
	maxDrop  int                  // DATA cells that a closed stream may still get

	dead atomic.Bool
	done chan struct{}
	err  error // why; set before done is closed
}

func (e *end) init(w whole, r role, window congestion.Params) {
	e.whole = w
	e.rest.sleep = w.sleep
	e.tx.role, e.tx.rest = r, &e.rest
	e.tx.window = congestion.NewSender(window)
	e.received = congestion.NewReceiver(window)
	e.maxDrop = window.CwndMax
	e.done = make(chan struct{})
}

// cause returns why the circuit is gone, or nil.
func (e *end) cause() error {
	select {
	case <-e.done:
		return e.err
	default:
		return nil
	}
}

// send seals one message that is not DATA and queues it. Stream is 0 for the
// circuit itself; data is copied.
func (e *end) send(c cell.RelayCommand, id cell.StreamID, data []byte, b *link.Batch) error {
	s := cell.NewSlot()
	cell.PutMessage(s.Message(), c, id, data)
	e.tx.mu.Lock()
	defer e.tx.mu.Unlock()
	return e.tx.push(s, e.tx.command(), b)
}

// endStreams tells every stream and lookup that the circuit is gone, and waits
// for nobody.
func (e *end) endStreams(err error) {
	for _, en := range e.table.close(err) {
		if en.stream != nil {
			en.stream.abandon(err)
		}
		if en.lookup != nil {
			en.lookup.fail(err)
		}
	}
}

// rest drops the key objects of a circuit that has had no cell for a while. One
// timer is armed while the circuit is awake and looks at a flag when it fires:
// a cell costs one load.
type rest struct {
	sleep func() // fixed
	state atomic.Uint32
	mu    sync.Mutex
	timer *time.Timer // nil until the first cell
	ended bool
}

const ( // of rest.state
	asleep uint32 = iota // no key objects, no timer
	drowsy               // no cell since the timer was armed
	awake                // a cell since then
)

// touch says that a cell has come or gone.
func (r *rest) touch() {
	if r.state.Load() == awake || r.state.Swap(awake) != asleep {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
	case r.timer == nil:
		r.timer = time.AfterFunc(sleepAfter, r.nod)
	default:
		r.timer.Reset(sleepAfter)
	}
}

// nod is called by the timer.
func (r *rest) nod() {
	if r.state.CompareAndSwap(awake, drowsy) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.ended {
			r.timer.Reset(sleepAfter)
		}
		return
	}
	if r.state.CompareAndSwap(drowsy, asleep) {
		r.sleep() // a cell in between makes the objects again
	}
}

// stop ends the timer for good.
func (r *rest) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
