package link

import (
	"container/list"
	"net"

	"tunic/cell/work"
)

// A stranger is an accepted connection whose handshake is not finished, or failed.
type stranger struct {
	conn  net.Conn
	class work.Class // by its address
	hold  *sourceHold
	gone  chan struct{} // closed when it has to make room

	counted bool          // it has a place; guarded by Pool.mu, as is
	queued  *list.Element // its place among the evictable, nil if it must not be evicted
}

// waiting is all connections without a finished handshake. Each class has its share
// of the places; when it is taken the oldest connection of the class that has not
// shown a valid first message is closed for the newest. So who connects and says
// nothing, or something wrong, keeps nobody else out.
type waiting struct {
	share     [work.Authority + 1]int
	evictable [work.Authority + 1]list.List // of *stranger, the oldest first
}

// offer has w evicted when its turn comes.
func (q *waiting) offer(w *stranger) { w.queued = q.evictable[w.class].PushBack(w) }

// withhold keeps w from being evicted.
func (q *waiting) withhold(w *stranger) {
	if w.queued != nil {
		q.evictable[w.class].Remove(w.queued)
		w.queued = nil
	}
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
		oldest := q.evictable[w.class].Front()
		if oldest == nil {
			return nil, false
		}
		evicted = oldest.Value.(*stranger)
		p.leaveLocked(evicted)
	}
	q.share[w.class]++
	w.counted = true
	q.offer(w)
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
	p.waiting.withhold(w)
	return true
}

// keep says that w has shown a valid first message: it is not evicted for now.
func (p *Pool) keep(w *stranger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting.withhold(w)
}

// fallSilent says that w's handshake failed: it may be evicted.
func (p *Pool) fallSilent(w *stranger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.counted && w.queued == nil {
		p.waiting.offer(w)
	}
}
