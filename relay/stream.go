package relay

import (
	"context"
	"net"
	"sync"
	"time"

	"tunic/cell"
	"tunic/cell/socket"
	"tunic/cell/work"
	"tunic/circuit"
)

// streams is the streams that this exit has open or opening.
type streams struct {
	mu   sync.Mutex // guards what follows
	most int
	all  map[*circuit.Stream]openStream
	of   map[*circuit.Hop]int // how many each circuit has
}

func newStreams(most int) *streams {
	return &streams{most: most, all: make(map[*circuit.Stream]openStream), of: make(map[*circuit.Hop]int)}
}

// An openStream is what is known of a stream.
type openStream struct {
	hop         *circuit.Hop
	destination string   // where the operator asked for addresses
	conn        net.Conn // to the destination; nil until it is connected
}

// add counts s, if there may be one more on circuit h. Where all places are taken
// a stream of a circuit with more gives up its own, and is returned.
func (t *streams) add(s *circuit.Stream, h *circuit.Hop, destination string) (instead *circuit.Stream, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) >= t.most {
		if instead = t.ofMany(t.of[h] + 2); instead == nil {
			return nil, false
		}
		t.removeLocked(instead)
	}
	t.all[s] = openStream{hop: h, destination: destination}
	t.of[h]++
	return instead, true
}

// looked is how many streams are looked at for one whose circuit has many: who holds
// most places with few circuits is found among them.
const looked = 64

// ofMany returns a stream of a circuit that has so many at least, of a few that are
// looked at the one whose circuit has the most; nil if there is none.
func (t *streams) ofMany(least int) (of *circuit.Stream) {
	n := 0
	for s, o := range t.all { // in no order
		if k := t.of[o.hop]; k >= least {
			of, least = s, k+1
		}
		if n++; n == looked {
			break
		}
	}
	return of
}

// limit returns how many there may be.
func (t *streams) limit() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.most
}

// setMost changes how many there may be.
func (t *streams) setMost(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.most = n
}

// connected notes the connection of s.
func (t *streams) connected(s *circuit.Stream, conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o, ok := t.all[s]; ok {
		o.conn = conn
		t.all[s] = o
	}
}

func (t *streams) remove(s *circuit.Stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(s)
}

// removeLocked gives the place of s back, if it has one.
func (t *streams) removeLocked(s *circuit.Stream) {
	o, ok := t.all[s]
	if !ok {
		return
	}
	delete(t.all, s)
	if t.of[o.hop]--; t.of[o.hop] == 0 {
		delete(t.of, o.hop)
	}
}

func (t *streams) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

// refuseAll ends all streams with a reason, and returns how many.
func (t *streams) refuseAll(reason cell.EndReason) int {
	t.mu.Lock()
	all := make([]*circuit.Stream, 0, len(t.all))
	for s := range t.all {
		all = append(all, s)
	}
	t.mu.Unlock()
	for _, s := range all {
		s.Refuse(reason)
	}
	return len(all)
}

// Begin opens a stream to the world. It runs on a link's reader; looking up and
// dialling go on in a goroutine.
func (r *Relay) Begin(s *circuit.Stream, req cell.BeginRequest) {
	reason := r.mayBegin(s.Hop())
	if reason == 0 {
		instead, ok := r.streams.add(s, s.Hop(), r.destination(req))
		if instead != nil {
			instead.Refuse(cell.EndResource)
		}
		if instead != nil || !ok {
			r.counts.refuse(causeStreams)
		}
		if !ok {
			reason = cell.EndResource
		}
	}
	if reason != 0 {
		s.Refuse(reason)
		return
	}
	if !r.spawn(func() { r.serve(s, req) }) {
		r.streams.remove(s)
		s.Refuse(cell.EndHibernating)
	}
}

// mayBegin says why h may not have one more stream or lookup, or 0.
func (r *Relay) mayBegin(h *circuit.Hop) cell.EndReason {
	switch {
	case r.draining.Load():
		return cell.EndHibernating
	case !r.exits.Load():
		return cell.EndPolicy
	case !r.hops.allow(h, time.Now()):
		r.counts.refuse(causeStreams)
		return cell.EndResource
	case !r.hasRoom(work.Relay): // who stands behind the relay before us does not show
		r.counts.refuse(causeMemory)
		return cell.EndResource
	}
	return 0
}

// insideNetwork reports whether the relay before h is one of the network's. Who
// proves an identity that no consensus lists is a client that wants a proxy of
// one hop. A consensus that has just come out may not be here yet: then the
// newest is fetched first.
func (r *Relay) insideNetwork(ctx context.Context, h *circuit.Hop) bool {
	id, _, proven := h.Link().Peer()
	if !proven {
		return false
	}
	if r.view.relay(id, time.Now()) != nil {
		return true
	}
	r.fetch.refresh(ctx)
	return r.view.relay(id, time.Now()) != nil
}

// serve opens the connection for one stream and moves its bytes until both
// directions have ended. It ends with the stream, or when the relay stops.
func (r *Relay) serve(s *circuit.Stream, req cell.BeginRequest) {
	defer r.streams.remove(s)
	conn, reply, reason := r.dial(s, req)
	if reason != 0 {
		s.Refuse(reason)
		return
	}
	defer conn.Close()
	socket.LimitUnsent(conn, unsentBytes)
	r.streams.connected(s, conn)
	if s.Connect(reply) != nil {
		return
	}
	s.Refuse(relayBytes(s, conn))
}

// dial dials for s, and gives up when the client has.
func (r *Relay) dial(s *circuit.Stream, req cell.BeginRequest) (net.Conn, cell.ConnectedReply, cell.EndReason) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	over := s.Done()
	go func() { // ends with ctx
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	}()
	if !r.insideNetwork(ctx, s.Hop()) {
		r.counts.refuse(causeOneHop)
		return nil, cell.ConnectedReply{}, cell.EndPolicy
	}
	if !r.turns.mayDial(ctx, r.hops.serialOf(s.Hop())) {
		r.counts.refuse(causeStreams)
		return nil, cell.ConnectedReply{}, cell.EndResource
	}
	return r.exit.Dial(ctx, req.Host, req.Port, req.Flags)
}

// Resolve answers a lookup. It runs on a link's reader.
func (r *Relay) Resolve(h *circuit.Hop, id cell.StreamID, req cell.ResolveRequest) {
	reason := r.mayBegin(h)
	if reason == 0 && r.resolves.Add(1) > maxResolves {
		r.resolves.Add(-1)
		r.counts.refuse(causeStreams)
		reason = cell.EndResource
	}
	if reason != 0 {
		h.Resolved(id, noAnswer(reason))
		return
	}
	ok := r.spawn(func() {
		defer r.resolves.Add(-1)
		if !r.insideNetwork(r.ctx, h) {
			r.counts.refuse(causeOneHop)
			h.Resolved(id, noAnswer(cell.EndPolicy))
			return
		}
		h.Resolved(id, r.exit.Resolve(r.ctx, req))
	})
	if !ok {
		r.resolves.Add(-1)
		h.Resolved(id, noAnswer(cell.EndHibernating))
	}
}

// noAnswer is the answer of an exit that does not look.
func noAnswer(reason cell.EndReason) cell.ResolvedReply {
	kind := cell.AnswerTryAgain
	if reason == cell.EndPolicy {
		kind = cell.AnswerNotFound
	}
	return cell.ResolvedReply{Answers: []cell.Answer{{Kind: kind}}}
}
