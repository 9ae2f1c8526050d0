package relay

import (
	"container/list"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"tunic/cell"
	"tunic/cell/link"
	"tunic/cell/work"
	"tunic/circuit"
	"tunic/circuit/handshake"
	"tunic/directory/keys"
)

// creates is the circuits that are about to begin: handshakes that arrive in
// fragments, and those that wait for a worker.
type creates struct {
	mu      sync.Mutex // guards what follows; held for a few instructions only
	links   map[*link.Link]*linkCreates
	clients list.List // of *reassembly: those of clients' links, the oldest first
	extends int       // EXTENDs under way
	serial  uint64    // of the next link
}

// linkCreates is what concerns one link.
type linkCreates struct {
	serial    uint64
	arriving  map[cell.CircuitID]*reassembly
	answering map[cell.CircuitID]struct{} // complete, waiting for a worker or with one
	refused   []cell.CircuitID            // whose first fragment was refused: the newest ones
	extends   int                         // EXTENDs under way that came over the link
}

// maxRefused bounds linkCreates.refused, our choice: fragments behind the first
// follow at once.
const maxRefused = 64

// A reassembly is a CREATE of which fragments are missing.
type reassembly struct {
	link      *link.Link
	on        *linkCreates // link's
	id        cell.CircuitID
	fragments cell.Assembler
	place     *list.Element // in creates.clients; nil for others
	timer     *time.Timer
}

// NewCircuit takes a cell for an id without a circuit. It runs on the link's
// reader.
func (r *Relay) NewCircuit(l *link.Link, id cell.CircuitID, cmd cell.Command, body []byte, _ *link.Batch) {
	switch cmd {
	case cell.Create:
		r.receiveCreate(l, id, body)
	case cell.CreateDir:
		r.receiveCreateDir(l, id, body)
	case cell.Destroy:
		r.creates.forget(l, id)
	}
}

// forget ends what a client has given up before it had an answer.
func (c *creates) forget(l *link.Link, id cell.CircuitID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lc := c.links[l]; lc != nil {
		c.removeLocked(lc, id)
		delete(lc.answering, id)
	}
}

// LinkClosed forgets what was arriving on l. Package circuit hears of circuits.
func (r *Relay) LinkClosed(l *link.Link) {
	c := &r.creates
	c.mu.Lock()
	defer c.mu.Unlock()
	lc := c.links[l]
	if lc == nil {
		return
	}
	for id := range lc.arriving {
		c.removeLocked(lc, id)
	}
	delete(c.links, l)
}

// ofLocked returns what concerns l.
func (c *creates) ofLocked(l *link.Link) *linkCreates {
	lc := c.links[l]
	if lc == nil {
		c.serial++
		lc = &linkCreates{serial: c.serial, arriving: make(map[cell.CircuitID]*reassembly), answering: make(map[cell.CircuitID]struct{})}
		c.links[l] = lc
		select {
		case <-l.Done(): // LinkClosed may have been called already
			delete(c.links, l)
		default:
		}
	}
	return lc
}

// serialOf returns a number that tells l apart from all other links.
func (c *creates) serialOf(l *link.Link) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ofLocked(l).serial
}

// removeLocked ends a reassembly.
func (c *creates) removeLocked(lc *linkCreates, id cell.CircuitID) {
	a := lc.arriving[id]
	if a == nil {
		return
	}
	a.timer.Stop()
	delete(lc.arriving, id)
	if a.place != nil {
		c.clients.Remove(a.place)
	}
}

// refuse answers a cell with DESTROY and counts why.
func (r *Relay) refuse(l *link.Link, id cell.CircuitID, reason cell.Reason, why cause) {
	r.counts.refuse(why)
	l.Refuse(id, reason)
	if reason == cell.ReasonResource && !r.refusals.Allow() && r.classOf(l) == work.Stranger {
		l.Slow(refusalPause)
	}
}

// receiveCreate takes a fragment of CREATE.
func (r *Relay) receiveCreate(l *link.Link, id cell.CircuitID, body []byte) {
	whole, reason, why := r.reassemble(l, id, body)
	if a := r.creates.oldestBeyond(maxReassemblies); a != nil {
		r.refuse(a.link, a.id, cell.ReasonResource, causeReassemblies)
	}
	switch {
	case reason != cell.ReasonNone:
		r.refuse(l, id, reason, why)
	case whole != nil:
		r.submit(l, id, whole)
	}
}

// reassemble adds a fragment and returns the handshake when it was the last. A
// reason says that the circuit is refused.
func (r *Relay) reassemble(l *link.Link, id cell.CircuitID, body []byte) (whole []byte, reason cell.Reason, why cause) {
	c := &r.creates
	c.mu.Lock()
	defer c.mu.Unlock()
	lc := c.ofLocked(l)
	if _, busy := lc.answering[id]; busy {
		delete(lc.answering, id) // its answer is not sent any more
		return nil, cell.ReasonProtocol, causeFragment
	}
	a := lc.arriving[id]
	if a == nil {
		if lc.wasRefused(id, body) {
			return nil, cell.ReasonNone, 0
		}
		if reason, why := r.admitLocked(l, lc); reason != cell.ReasonNone {
			lc.noteRefused(id)
			return nil, reason, why
		}
		a = r.beginLocked(l, lc, id)
	}
	whole, err := a.fragments.Add(body)
	if err != nil {
		c.removeLocked(lc, id)
		return nil, cell.ReasonProtocol, causeFragment
	}
	if whole != nil {
		c.removeLocked(lc, id)
		lc.answering[id] = struct{}{}
	}
	return whole, cell.ReasonNone, 0
}

// admitLocked says whether a new circuit may begin on l.
func (r *Relay) admitLocked(l *link.Link, lc *linkCreates) (cell.Reason, cause) {
	class := r.classOf(l)
	switch {
	case r.draining.Load():
		return cell.ReasonHibernating, causeDraining
	case len(lc.arriving) >= maxLinkReassemblies:
		return cell.ReasonResource, causeReassemblies
	}
	if reason, why := r.admitCircuit(l, class); reason != cell.ReasonNone {
		return reason, why
	}
	if r.work.Crowded(class, l.Source()) {
		return cell.ReasonResource, causeQueue
	}
	return cell.ReasonNone, 0
}

// admitCircuit says whether one more circuit of l's peer is too much. Relays
// carry the circuits of all clients, so that their number says nothing.
func (r *Relay) admitCircuit(l *link.Link, class work.Class) (cell.Reason, cause) {
	switch {
	case !r.hasRoom(class):
		return cell.ReasonResource, causeMemory
	case class != work.Stranger:
		return cell.ReasonNone, 0
	case l.Circuits() >= maxClientCircuits:
		return cell.ReasonResource, causeCircuits
	case !r.sources.allow(l.RemoteAddr().Addr(), time.Now()):
		return cell.ReasonResource, causeSource
	}
	return cell.ReasonNone, 0
}

// beginLocked makes room for the fragments of one handshake.
func (r *Relay) beginLocked(l *link.Link, lc *linkCreates, id cell.CircuitID) *reassembly {
	a := &reassembly{link: l, on: lc, id: id, fragments: cell.NewAssembler(cell.AssembleCreate)}
	a.timer = time.AfterFunc(reassemblyTime, func() { r.stalled(a) })
	lc.arriving[id] = a
	if r.classOf(l) == work.Stranger {
		a.place = r.creates.clients.PushBack(a)
	}
	return a
}

// oldestBeyond ends the oldest reassembly of all clients, if there are more than
// most, and returns it. Whoever means it sends all fragments at once, so that the
// oldest is the one that nobody will miss: were the newest refused, one host that
// begins and does not go on would keep all others from this relay.
func (c *creates) oldestBeyond(most int) *reassembly {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients.Len() <= most {
		return nil
	}
	a := c.clients.Front().Value.(*reassembly)
	c.removeLocked(a.on, a.id)
	a.on.noteRefused(a.id)
	return a
}

// stalled ends a reassembly whose time is up.
func (r *Relay) stalled(a *reassembly) {
	r.creates.mu.Lock()
	late := a.on.arriving[a.id] == a
	if late {
		r.creates.removeLocked(a.on, a.id)
	}
	r.creates.mu.Unlock()
	if late {
		r.refuse(a.link, a.id, cell.ReasonTimeout, causeStalled)
	}
}

// wasRefused reports whether body is a later fragment of a handshake whose first
// was refused: it needs no second answer.
func (lc *linkCreates) wasRefused(id cell.CircuitID, body []byte) bool {
	if len(body) == 0 || body[0] == 0 {
		return false
	}
	for _, r := range lc.refused {
		if r == id {
			return true
		}
	}
	return false
}

func (lc *linkCreates) noteRefused(id cell.CircuitID) {
	if len(lc.refused) == maxRefused {
		copy(lc.refused, lc.refused[1:])
		lc.refused = lc.refused[:maxRefused-1]
	}
	lc.refused = append(lc.refused, id)
}

// submit has a worker answer a complete handshake. A key that is not ours is
// told at once, without any key agreement.
func (r *Relay) submit(l *link.Link, id cell.CircuitID, msg []byte) {
	keyID, err := handshake.KeyID(msg)
	if err != nil {
		r.giveUp(l, id, cell.ReasonProtocol, causeHandshake)
		return
	}
	key := r.cfg.Keys.CircuitKey(keyID)
	if key == nil {
		r.giveUp(l, id, cell.ReasonKey, causeKey)
		return
	}
	ok := r.work.Submit(r.classOf(l), l.Source(),
		func() { r.answer(l, id, key, msg) },
		func() { r.giveUp(l, id, cell.ReasonResource, causeQueue) })
	if !ok {
		r.giveUp(l, id, cell.ReasonResource, causeQueue)
	}
}

// giveUp refuses a circuit whose handshake was complete.
func (r *Relay) giveUp(l *link.Link, id cell.CircuitID, reason cell.Reason, why cause) {
	if r.creates.take(l, id) {
		r.refuse(l, id, reason, why)
	}
}

// take reports whether the handshake under id is still to be answered; from then
// on it is not.
func (c *creates) take(l *link.Link, id cell.CircuitID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lc := c.links[l]
	if lc == nil {
		return false
	}
	_, ok := lc.answering[id]
	delete(lc.answering, id)
	return ok
}

// wanted reports whether the handshake under id is still to be answered.
func (c *creates) wanted(l *link.Link, id cell.CircuitID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lc := c.links[l]
	if lc == nil {
		return false
	}
	_, ok := lc.answering[id]
	return ok
}

// answer is a worker's part: it computes the answer and begins the circuit.
func (r *Relay) answer(l *link.Link, id cell.CircuitID, key *keys.CircuitKey, msg []byte) {
	if !r.creates.wanted(l, id) {
		return
	}
	p := r.circuitParams()
	reply, result, err := handshake.Answer(p.Network, r.id, key, msg, p.Grant, r.replay)
	if err != nil {
		r.giveUp(l, id, reasonOfHandshake(err), causeHandshake)
		return
	}
	defer result.Wipe()
	if !r.creates.take(l, id) {
		return
	}
	r.begin(l, id, result, circuit.KindTransit, p, reply)
	r.counts.handshakes.Add(1)
}

func reasonOfHandshake(err error) cell.Reason {
	switch {
	case errors.Is(err, handshake.ErrUnknownKey):
		return cell.ReasonKey
	case errors.Is(err, handshake.ErrMalformed), errors.Is(err, handshake.ErrVersion),
		errors.Is(err, handshake.ErrFailed), errors.Is(err, handshake.ErrReplay):
		return cell.ReasonProtocol
	}
	return cell.ReasonInternal
}

// receiveCreateDir begins a circuit for the directory: no key agreement, so it is
// done at once.
func (r *Relay) receiveCreateDir(l *link.Link, id cell.CircuitID, body []byte) {
	x, err := cell.ParseDirNonce(body)
	if err != nil {
		r.refuse(l, id, cell.ReasonProtocol, causeHandshake)
		return
	}
	if r.draining.Load() {
		r.refuse(l, id, cell.ReasonHibernating, causeDraining)
		return
	}
	if reason, why := r.admitCircuit(l, r.classOf(l)); reason != cell.ReasonNone {
		r.refuse(l, id, reason, why)
		return
	}
	var y cell.DirNonce
	rand.Read(y[:]) // never fails
	result := handshake.DirKeys((*[32]byte)(&x), (*[32]byte)(&y), l.Binding())
	defer result.Wipe()
	r.begin(l, id, result, circuit.KindDir, r.circuitParams(), y[:])
}

// begin makes the hop and answers the client.
func (r *Relay) begin(l *link.Link, id cell.CircuitID, result *handshake.Result, kind circuit.Kind, p circuit.Params, reply []byte) {
	h, err := circuit.NewHop(l, id, result, kind, r, p)
	if err != nil { // the client has given up, the link is gone or full
		l.Refuse(id, cell.ReasonResource)
		return
	}
	r.hops.add(h)
	h.SendCreated(reply)
}
