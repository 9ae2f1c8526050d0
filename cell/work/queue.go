package work

import "time"

// An entry is one piece of work.
type entry struct {
	run, dropped func()
	queued       time.Time
}

func (e entry) drop() {
	if e.dropped != nil {
		e.dropped()
	}
}

// A source is whoever asks, with what waits of it. Sources of one class form a
// ring in the order in which they are served.
type source struct {
	id         uint64
	entries    []entry // the oldest first
	next, prev *source
}

// A queue holds what waits of one class.
type queue struct {
	n       int // entries
	sources map[uint64]*source
	head    *source // whose turn it is; nil if nothing waits
}

// waiting returns how many entries of a source wait.
func (q *queue) waiting(id uint64) int {
	if s := q.sources[id]; s != nil {
		return len(s.entries)
	}
	return 0
}

// add puts e behind the other entries of its source; a new source goes to the end
// of the ring.
func (q *queue) add(id uint64, e entry) {
	s := q.sources[id]
	if s == nil {
		s = &source{id: id}
		q.sources[id] = s
		q.link(s)
	}
	s.entries = append(s.entries, e)
	q.n++
}

// link puts s last in the ring.
func (q *queue) link(s *source) {
	if q.head == nil {
		s.next, s.prev = s, s
		q.head = s
		return
	}
	last := q.head.prev
	last.next, s.prev = s, last
	s.next, q.head.prev = q.head, s
}

// unlink takes s, which has no entries left, out of the ring.
func (q *queue) unlink(s *source) {
	delete(q.sources, s.id)
	if s.next == s {
		q.head = nil
		return
	}
	s.prev.next, s.next.prev = s.next, s.prev
	if q.head == s {
		q.head = s.next
	}
}

// take removes the oldest entry of the source whose turn it is, and passes the
// turn on.
func (q *queue) take() (e entry, ok bool) {
	s := q.head
	if s == nil {
		return entry{}, false
	}
	e = q.removeOldest(s)
	if q.head == s {
		q.head = s.next
	}
	return e, true
}

// removeOldest removes the oldest entry of s.
func (q *queue) removeOldest(s *source) entry {
	e := s.entries[0]
	s.entries[0] = entry{}
	s.entries = s.entries[1:]
	q.n--
	if len(s.entries) == 0 {
		q.unlink(s)
	}
	return e
}

// expire removes the entries that were queued before limit, from the front of the
// source whose turn it is: it is called at every Submit, so that each costs at most
// a few steps.
func (q *queue) expire(limit time.Time, out *[]func()) {
	for q.head != nil && q.head.entries[0].queued.Before(limit) {
		if e := q.removeOldest(q.head); e.dropped != nil {
			*out = append(*out, e.dropped)
		}
	}
}

// richest returns the source with the most entries, nil if it has not at least two more
// than id.
func (q *queue) richest(id uint64) *source {
	var most *source
	for s, i := q.head, 0; i < len(q.sources); s, i = s.next, i+1 {
		if most == nil || len(s.entries) > len(most.entries) {
			most = s
		}
	}
	if most == nil || len(most.entries) < q.waiting(id)+2 {
		return nil
	}
	return most
}

// displace makes room for source id by removing the newest entry of the richest.
func (q *queue) displace(id uint64, out *[]func()) bool {
	most := q.richest(id)
	if most == nil {
		return false
	}
	last := len(most.entries) - 1
	if e := most.entries[last]; e.dropped != nil {
		*out = append(*out, e.dropped)
	}
	most.entries[last] = entry{}
	most.entries = most.entries[:last]
	q.n--
	return true
}

// clear removes everything.
func (q *queue) clear(out *[]func()) {
	for q.head != nil {
		if e := q.removeOldest(q.head); e.dropped != nil {
			*out = append(*out, e.dropped)
		}
	}
}
