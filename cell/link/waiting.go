package link

import (
	"net"

	"tunic/cell/work"
)

// A stranger is an accepted connection whose handshake is not finished, or failed.
type stranger struct {
	conn  net.Conn
	class work.Class // by its address
	hold  *sourceHold
	gone  chan struct{} // closed when it has to make room

	counted    bool // it has a place; guarded by Pool.mu, as are
	next, prev *stranger
	queue      *strangers // the list it is in, nil if it must not be evicted
}

// strangers is a list, the oldest first.
type strangers struct{ first, last *stranger }

func (q *strangers) add(w *stranger) {
	w.queue, w.prev, w.next = q, q.last, nil
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
}

func (q *strangers) remove(w *stranger) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queue, w.next, w.prev = nil, nil, nil
}

// waiting is all connections without a finished handshake. Each class has its share
// of the places; when it is taken the oldest connection of the class that has not
// shown a valid first message is closed for the newest. So who connects and says
// nothing, or something wrong, keeps nobody else out.
type waiting struct {
	share     [work.Authority + 1]int
	evictable [work.Authority + 1]strangers
}

// enter gives w a place, and counts its goroutine as running.
func (p *Pool) enter(w *stranger) bool {
	w.gone = make(chan struct{})
	evicted, ok := p.place(w)
	if evicted != nil {
		close(evicted.gone)
		evicted.conn.Close()
	}
	return ok
}

// place does what enter does, and returns who has lost a place for it.
func (p *Pool) place(w *stranger) (evicted *stranger, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false
	}
	q := &p.waiting
	if !room(&q.share, w.class, p.cfg.Limits.Silent) {
		if evicted = q.evictable[w.class].first; evicted == nil {
			return nil, false
		}
		p.leaveLocked(evicted)
	}
	q.share[w.class]++
	w.counted = true
	q.evictable[w.class].add(w)
	p.running.Add(1)
	return evicted, true
}

// leave gives up w's place. It reports false if w had none any more.
func (p *Pool) leave(w *stranger) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaveLocked(w)
}

func (p *Pool) leaveLocked(w *stranger) bool {
	if !w.counted {
		return false
	}
	w.counted = false
	p.waiting.share[w.class]--
	if w.queue != nil {
		w.queue.remove(w)
	}
	return true
}

// keep says that w has shown a valid first message: it is not evicted for now.
func (p *Pool) keep(w *stranger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.queue != nil {
		w.queue.remove(w)
	}
}

// fallSilent says that w's handshake failed: it may be evicted.
func (p *Pool) fallSilent(w *stranger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.counted && w.queue == nil {
		p.waiting.evictable[w.class].add(w)
	}
}
