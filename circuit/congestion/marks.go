package congestion

import "time"

// A mark is a cell on the way that a SENDME will answer.
type mark struct {
	tag   [16]byte
	sent  time.Duration // since the sender's first cell
	cells int           // on the way then, this one included
}

// marks is a queue of at most limit marks, the oldest first. It grows as needed
// and keeps its memory.
type marks struct {
	limit int
	ring  []mark // len is the room
	head  int    // of the oldest
	n     int
}

func (q *marks) first() (m mark, ok bool) {
	if q.n == 0 {
		return mark{}, false
	}
	return q.ring[q.head], true
}

// pop drops the first mark.
func (q *marks) pop() {
	q.ring[q.head] = mark{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
}

func (q *marks) push(m mark) {
	if q.n == q.limit {
		panic("congestion: more marks than fit in a window")
	}
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)%len(q.ring)] = m
	q.n++
}

const firstMarks = 8 // our choice: a window of 248 cells

// shrink gives the memory back if nothing is in it.
func (q *marks) shrink() {
	if q.n == 0 {
		q.ring, q.head = nil, 0
	}
}

func (q *marks) grow() {
	ring := make([]mark, min(max(firstMarks, 2*len(q.ring)), q.limit))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	clear(q.ring) // the copies are tags that a peer must not learn early
	q.ring, q.head = ring, 0
}
