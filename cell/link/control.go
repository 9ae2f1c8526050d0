package link

import "tunic/cell"

// A controlCell is a cell of the link's own, or a DESTROY.
type controlCell struct {
	header cell.Header
	body   [4]byte // zeros follow
}

// control is the queue of what belongs to no circuit's queue: DESTROY, PADDING,
// NEGOTIATE_PADDING. It is sent before everything else.
type control struct {
	ring     []controlCell // as long as a power of two
	first, n int
}

// put adds c unless room cells wait already.
func (q *control) put(c controlCell, room int) bool {
	if q.n >= room {
		return false
	}
	if q.n == len(q.ring) {
		grown := make([]controlCell, max(8, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = q.ring[(q.first+i)%len(q.ring)]
		}
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = c
	q.n++
	return true
}

// take removes the oldest. The queue must not be empty. A large ring is given back
// when it has emptied.
func (q *control) take() controlCell {
	c := q.ring[q.first]
	q.first = (q.first + 1) % len(q.ring)
	if q.n--; q.n == 0 && len(q.ring) > 64 {
		*q = control{}
	}
	return c
}
