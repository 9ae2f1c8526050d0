package congestion

import (
	"math/rand/v2"
	"time"
)

// A world is a network in virtual time: flows send cells through chains of links,
// each with a rate, a queue and a delay. Nothing in it is drawn that a seed does
// not fix.
type world struct {
	now    time.Duration
	events []event // a heap, the earliest first
	seq    int
	skip   time.Duration // what the flows' clock is ahead of the world's
	err    error         // what a flow's SENDME was refused for
}

type event struct {
	at   time.Duration
	seq  int // of two at the same time the one that was planned first
	what action
}

type action interface{ happen(w *world) }

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (w *world) plan(at time.Duration, what action) {
	w.seq++
	h := append(w.events, event{max(at, w.now), w.seq, what})
	i := len(h) - 1
	for i > 0 && h[i].before(h[(i-1)/2]) {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		i = (i - 1) / 2
	}
	w.events = h
}

func (w *world) next() event {
	h := w.events
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			break
		}
		if c+1 < last && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(h[i]) {
			break
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
	w.events = h
	return first
}

// run lets time pass until the given time.
func (w *world) run(until time.Duration) {
	for len(w.events) > 0 && w.events[0].at <= until && w.err == nil {
		e := w.next()
		w.now = e.at
		e.what.happen(w)
	}
	w.now = until
}

// do has f called at a time.
func (w *world) do(at time.Duration, f func()) { w.plan(at, call(f)) }

type call func()

func (c call) happen(*world) { c() }

// A packet is a cell of a flow, or its SENDME.
type packet struct {
	of *flow // nil: other people's traffic
	n  int   // of the cell, counted from 1
}

// fifo is a queue of packets.
type fifo struct {
	ring []packet
	head int
	n    int
}

func (q *fifo) push(p packet) {
	if q.n == len(q.ring) {
		ring := make([]packet, max(64, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = p
	q.n++
}

func (q *fifo) pop() packet {
	p := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return p
}

// A link sends one packet after the other at its rate, then delays it.
type link struct {
	cell  time.Duration // that one takes; 0: none
	delay time.Duration
	to    func(w *world, p packet)
	tick  time.Duration // > 0: it forwards in bursts, as a busy machine does

	queue   fifo
	busy    bool
	stopped bool
	wire    wire

	area float64 // packets × time in the queue, since the last look
	last time.Duration
	most int
}

// perCell is how long a cell of 517 bytes takes at a rate in Mbit/s.
func perCell(mbit float64) time.Duration {
	return time.Duration(517 * 8 * 1000 / mbit)
}

func newLink(mbit float64, delay time.Duration, to func(*world, packet)) *link {
	l := &link{cell: perCell(mbit), delay: delay, to: to}
	l.wire.l = l
	return l
}

func (l *link) add(w *world, p packet) {
	l.account(w)
	l.queue.push(p)
	l.most = max(l.most, l.queue.n)
	l.serve(w)
}

func (l *link) serve(w *world) {
	if l.busy || l.stopped || l.queue.n == 0 {
		return
	}
	l.busy = true
	w.plan(w.now+l.cell, l)
}

// happen: a packet has left.
func (l *link) happen(w *world) {
	l.account(w)
	l.busy = false
	l.wire.add(w, l.queue.pop())
	l.serve(w)
}

func (l *link) stop() { l.stopped = true }

func (l *link) resume(w *world) {
	l.stopped = false
	l.serve(w)
}

func (l *link) account(w *world) {
	l.area += float64(l.queue.n) * float64(w.now-l.last)
	l.last = w.now
}

// mean returns how many packets have waited on average since the last look, and
// the most.
func (l *link) mean(w *world, since time.Duration) (mean float64, most int) {
	l.account(w)
	mean, most = l.area/float64(w.now-since), l.most
	return mean, most
}

func (l *link) look(w *world) {
	l.account(w)
	l.area, l.most = 0, l.queue.n
}

// A wire holds what is on its way to a link's other end.
type wire struct {
	l     *link
	queue fifo
	at    []time.Duration // of arrival, in a ring as long as the queue's
	busy  bool
}

func (x *wire) add(w *world, p packet) {
	at := w.now + x.l.delay
	if t := x.l.tick; t > 0 {
		at = (at + t - 1) / t * t
	}
	if at == w.now {
		x.l.to(w, p)
		return
	}
	if x.queue.n == len(x.queue.ring) {
		old, n := x.at, x.queue.n
		head := x.queue.head
		x.queue.push(p)
		x.at = make([]time.Duration, len(x.queue.ring))
		for i := range n {
			x.at[i] = old[(head+i)%len(old)]
		}
		x.at[n] = at
	} else {
		x.at[(x.queue.head+x.queue.n)&(len(x.at)-1)] = at
		x.queue.push(p)
	}
	if !x.busy {
		x.busy = true
		w.plan(at, x)
	}
}

// happen: a packet, and all that come at the same moment, have arrived.
func (x *wire) happen(w *world) {
	for x.queue.n > 0 && x.at[x.queue.head] <= w.now {
		x.l.to(w, x.queue.pop())
	}
	x.busy = x.queue.n > 0
	if x.busy {
		w.plan(x.at[x.queue.head], x)
	}
}

// A flow is a circuit's data in one direction: a Sender, the links to its
// Receiver, and the way back for SENDMEs.
type flow struct {
	s    *Sender
	r    *Receiver
	out  [3]*link
	back *link

	rate     time.Duration // between cells of an application that has no more; 0: greedy
	nextCell time.Duration
	waiting  bool // an event for the next cell is planned
	left     int  // cells to send; < 0: without end

	sent      int
	delivered int
}

// queueLimit is how many cells on the first link count as blocked, as in package
// circuit.
const queueLimit = 256

// clock is the time that the flow's node reads.
func (w *world) clock() time.Time { return epoch.Add(w.now + w.skip) }

// happen: the application may have a cell.
func (f *flow) happen(w *world) {
	f.waiting = false
	f.pump(w)
}

func (f *flow) pump(w *world) {
	for f.left != 0 && f.s.Room() > 0 {
		if f.rate > 0 && w.now < f.nextCell {
			if !f.waiting {
				f.waiting = true
				w.plan(f.nextCell, f)
			}
			return
		}
		if f.rate > 0 {
			f.nextCell = max(f.nextCell, w.now-10*f.rate) + f.rate
		}
		f.left--
		f.sent++
		sendOne(f.s, f.sent, w.clock())
		f.out[0].add(w, packet{f, f.sent})
	}
}

// arrive is the receiver's part.
func (f *flow) arrive(w *world, p packet) {
	f.delivered++
	if f.r.Received() {
		f.r.Acked()
		f.back.add(w, p)
	}
}

// acknowledged is the sender's.
func (f *flow) acknowledged(w *world, p packet) {
	if err := f.s.Sendme(tagOf(p.n), w.clock(), f.out[0].queue.n > max(queueLimit, f.s.Window()/2)); err != nil {
		w.err = err
		return
	}
	w.do(w.now, func() { f.pump(w) }) // after all SENDMEs that came with it
}

// connect lays a flow's way: three links of the given rates, the middle one maybe
// shared with others. Half of the delay is on the way out.
func connect(p Params, mbit [3]float64, rtt time.Duration, shared *link) *flow {
	f := &flow{s: NewSender(p), r: NewReceiver(p), left: -1}
	for i := range f.out {
		f.out[i] = newLink(mbit[i], 0, deliver(i))
	}
	if shared != nil {
		f.out[1] = shared
	}
	f.out[0].delay, f.out[2].delay = rtt/4, rtt/4
	f.back = newLink(1_000, rtt/2, func(w *world, p packet) { p.of.acknowledged(w, p) })
	return f
}

// deliver hands a packet to the link after the i-th of its flow, or to its
// receiver.
func deliver(i int) func(*world, packet) {
	return func(w *world, p packet) {
		switch {
		case p.of == nil:
		case i == 2:
			p.of.arrive(w, p)
		default:
			p.of.out[i+1].add(w, p)
		}
	}
}

// bottleneck returns a link that flows share as their middle one.
func bottleneck(mbit float64) *link { return newLink(mbit, 0, deliver(1)) }

func (w *world) start(f *flow, at time.Duration) {
	w.do(at, func() { f.pump(w) })
}

// A crowd is other people's traffic on a link: bursts at a share of its rate.
type crowd struct {
	on    *link
	share float64
	draw  *rand.Rand
	burst int
}

// happen: another burst, of 1 to 2·burst cells.
func (c *crowd) happen(w *world) {
	n := 1 + c.draw.IntN(2*c.burst)
	for range n {
		c.on.add(w, packet{})
	}
	gap := float64(n) * float64(c.on.cell) / c.share
	w.plan(w.now+time.Duration(gap*2*c.draw.Float64()), c)
}
