package circuit

import (
	"errors"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/directory/keys"
)

// extension is how far a hop is in extending its circuit. It is guarded by the
// outward direction's lock.
type extension struct {
	state     extendState
	asm       cell.Assembler // of the client's EXTEND, then of the next hop's CREATED
	handshake []byte         // for the next hop, until it is sent
	due       time.Time      // when the present state has lasted too long
	timer     *time.Timer    // nil until the first fragment
}

// An extendState says what a hop waits for.
type extendState uint8

const (
	notExtended extendState = iota
	collecting              // more fragments of EXTEND
	asking                  // the owner's answer
	creating                // fragments of CREATED
	extended                // nothing: the circuit goes on from here
)

var errExtendTimeout = &fault{cell.ReasonTimeout, errors.New("extend: took too long")}

// stop ends the timer. The outward direction's lock is held.
func (x *extension) stop() {
	x.handshake = nil
	if x.timer != nil {
		x.timer.Stop()
	}
}

// enter moves to the next state, which lasts at most hopTimeout. The outward
// direction's lock is held.
func (h *Hop) enter(s extendState) {
	x := &h.out.extend
	x.state = s
	x.due = time.Now().Add(hopTimeout)
	switch {
	case s == extended:
		x.timer.Stop()
	case x.timer == nil:
		x.timer = time.AfterFunc(hopTimeout, h.extendDue)
	default:
		x.timer.Reset(hopTimeout)
	}
}

// extendDue is called by the timer.
func (h *Hop) extendDue() {
	h.out.mu.Lock()
	late := h.out.extend.state != extended && !time.Now().Before(h.out.extend.due)
	h.out.mu.Unlock()
	if late {
		h.fault(errExtendTimeout)
	}
}

// receiveExtend takes a fragment of EXTEND.
func (h *Hop) receiveExtend(cmd cell.Command, m cell.Message) error {
	switch {
	case cmd != cell.RelayEarly:
		return violation("EXTEND outside of RELAY_EARLY")
	case h.kind == KindDir:
		return violation("EXTEND on a circuit for the directory")
	}
	r, err := h.addExtend(m.Data)
	if err != nil || r == nil {
		return err
	}
	h.owner.Extend(h, keys.RelayID(r.Identity), r.Handshake)
	return nil
}

// addExtend adds a fragment, and returns the request when it was the last.
func (h *Hop) addExtend(fragment []byte) (*cell.ExtendRequest, error) {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	x := &h.out.extend
	switch {
	case h.out.gone:
		return nil, nil
	case x.state == notExtended:
		if h.table.beginExtending() != nil {
			return nil, violation("EXTEND on a circuit that has had streams")
		}
		x.asm = cell.NewAssembler(cell.AssembleExtend)
		h.enter(collecting)
	case x.state != collecting:
		return nil, violation("second EXTEND")
	}
	whole, err := x.asm.Add(fragment)
	if err != nil || whole == nil {
		return nil, err
	}
	r, err := cell.ParseExtend(whole)
	if err != nil {
		return nil, err
	}
	x.handshake = r.Handshake
	h.enter(asking)
	return &r, nil
}

// ExtendOn makes the relay at the other end of l the next hop: it opens a
// circuit there, sends the handshake that came with EXTEND, and passes the answer
// on to the client when it comes, within 10 s. It is the answer to
// [Owner.Extend]. Where it fails, the circuit is destroyed.
func (h *Hop) ExtendOn(l *link.Link) {
	lc, err := l.Open((*fromNext)(h))
	if err != nil {
		h.destroy(death{reason: cell.ReasonConnect, cause: err})
		return
	}
	var b link.Batch
	err = h.sendCreate(lc, &b)
	b.Flush()
	if err != nil {
		lc.Destroy(cell.ReasonNone)
		h.fault(err)
	}
}

// sendCreate takes lc as the way on and sends the fragments of CREATE.
func (h *Hop) sendCreate(lc *link.Circuit, b *link.Batch) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	x := &h.out.extend
	if h.out.gone || x.state != asking {
		return &fault{cell.ReasonInternal, errors.New("extend: not asked for")}
	}
	h.out.next = lc
	x.asm = cell.NewAssembler(cell.AssembleCreated)
	h.enter(creating)
	whole := x.handshake
	x.handshake = nil
	return pushFragments(lc, cell.Create, cell.AssembleCreate, whole, b)
}

// receiveCreated takes a fragment of the next hop's answer. When it is complete
// it goes to the client.
func (h *Hop) receiveCreated(body []byte, b *link.Batch) error {
	whole, err := h.addCreated(body)
	if err != nil || whole == nil {
		return err
	}
	var data [cell.MaxData]byte
	for i := range cell.Fragments {
		n := cell.PutFragment(data[:], cell.AssembleExtended, i, whole)
		if err := h.send(cell.Extended, 0, data[:n], b); err != nil {
			return err
		}
	}
	return nil
}

func (h *Hop) addCreated(body []byte) ([]byte, error) {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	x := &h.out.extend
	switch {
	case h.out.gone:
		return nil, nil
	case x.state != creating:
		return nil, violation("CREATED unasked for")
	}
	whole, err := x.asm.Add(body)
	if err != nil || whole == nil {
		return nil, err
	}
	h.enter(extended)
	h.on.Store(true)
	return whole, nil
}

// pushFragments queues the three cells that carry a handshake message.
func pushFragments(lc *link.Circuit, cmd cell.Command, k cell.FragmentKind, whole []byte, b *link.Batch) error {
	for i := range cell.Fragments {
		s := cell.NewSlot()
		cell.PutFragment(s.Body(), k, i, whole)
		if err := queue(lc, s, cmd, b); err != nil {
			return err
		}
	}
	return nil
}
