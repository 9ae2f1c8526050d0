package circuit

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"

	"tunic/cell"
)

// An entry is what a circuit's end knows of one stream id: exactly one of the
// three.
type entry struct {
	stream  *Stream
	lookup  *lookup  // a RESOLVE that is not answered
	remnant *remnant // of a stream that this end has closed
}

// table is the streams of a circuit. What a peer can make it hold is bounded by
// MaxStreams and maxLate.
type table struct {
	mu        sync.Mutex
	entries   map[cell.StreamID]entry
	streams   int             // entries with a stream or a lookup
	late      []cell.StreamID // entries whose remnant is late, the oldest first
	next      cell.StreamID   // the client's next id to try; 0 before the first
	begun     bool            // there has been a stream
	extending bool            // no stream may begin: the circuit is being extended, or goes on
	closed    error           // the circuit is gone
}

// find returns the entry of id.
func (t *table) find(id cell.StreamID) (entry, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	en, ok := t.entries[id]
	return en, ok
}

// open counts what is in use by this end.
func (t *table) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.streams
}

// all returns the streams that are open, and of how many others something is
// remembered.
func (t *table) all() (streams []*Stream, others int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, en := range t.entries {
		if en.stream != nil {
			streams = append(streams, en.stream)
		} else {
			others++
		}
	}
	return streams, others
}

// mayAdd returns why no stream may begin, or nil. mu is held.
func (t *table) mayAdd() error {
	switch {
	case t.closed != nil:
		return t.closed
	case t.extending:
		return ErrBusy
	case len(t.entries)-len(t.late) >= MaxStreams:
		return ErrTooManyStreams
	}
	return nil
}

// choose takes the next free id for en: the client's way. set is called with the
// id before anybody can find the entry.
func (t *table) choose(en entry, set func(cell.StreamID)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.mayAdd(); err != nil {
		return err
	}
	if t.next == 0 {
		var b [2]byte
		rand.Read(b[:])
		t.next = max(1, cell.StreamID(binary.BigEndian.Uint16(b[:])))
	}
	for t.used(t.next) { // ends: far fewer entries than ids
		t.next = after(t.next)
	}
	set(t.next)
	t.put(t.next, en)
	t.next = after(t.next)
	return nil
}

func (t *table) used(id cell.StreamID) bool {
	_, ok := t.entries[id]
	return ok
}

// after returns the id that a client tries next; never 0.
func after(id cell.StreamID) cell.StreamID { return max(1, id+1) }

// add takes the id that the peer chose: a relay's way.
func (t *table) add(id cell.StreamID, en entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used(id) {
		return violation("stream id in use")
	}
	if err := t.mayAdd(); err != nil {
		if err == ErrTooManyStreams {
			return &fault{cell.ReasonResource, err}
		}
		return violation("stream on a circuit that is being extended")
	}
	t.put(id, en)
	return nil
}

// put stores en under the free id. mu is held.
func (t *table) put(id cell.StreamID, en entry) {
	if t.entries == nil {
		t.entries = make(map[cell.StreamID]entry)
	}
	t.entries[id] = en
	t.begun = true
	t.streams++
}

// remove forgets id, which has a stream or a lookup.
func (t *table) remove(id cell.StreamID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used(id) {
		delete(t.entries, id)
		t.streams--
	}
}

// takeLookup removes the lookup with this id and returns it; nil if there is
// none.
func (t *table) takeLookup(id cell.StreamID) *lookup {
	t.mu.Lock()
	defer t.mu.Unlock()
	en := t.entries[id]
	if en.lookup != nil {
		delete(t.entries, id)
		t.streams--
	}
	return en.lookup
}

// leave puts r in the place of the stream with this id. If r is late, the oldest
// late one may be forgotten for it.
func (t *table) leave(id cell.StreamID, r *remnant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.used(id) {
		return // the circuit is gone
	}
	t.entries[id] = entry{remnant: r}
	t.streams--
	if r.late {
		t.keepLate(id)
	}
}

// keepLate counts id among the late ones. mu is held.
func (t *table) keepLate(id cell.StreamID) {
	if len(t.late) == maxLate {
		delete(t.entries, t.late[0])
		t.late = slices.Delete(t.late, 0, 1)
	}
	t.late = append(t.late, id)
}

// settle takes in that the peer has ended the stream of which r is left.
func (t *table) settle(id cell.StreamID, r *remnant, reason cell.EndReason) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.late && reason == cell.EndDone:
		return violation("second END")
	case r.late:
		delete(t.entries, id)
		if i := slices.Index(t.late, id); i >= 0 {
			t.late = slices.Delete(t.late, i, i+1)
		}
	case reason == cell.EndDone:
		r.late = true
		t.keepLate(id)
	default:
		delete(t.entries, id)
	}
	return nil
}

// beginExtending lets no stream begin from now on, unless one has already.
func (t *table) beginExtending() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed != nil {
		return t.closed
	}
	if t.extending || t.begun {
		return ErrBusy
	}
	t.extending = true
	return nil
}

// endExtending lets streams begin again.
func (t *table) endExtending() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.extending = false
}

// close forgets everything and returns what there was; err is why the circuit is
// gone.
func (t *table) close(err error) []entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = err
	all := make([]entry, 0, t.streams)
	for _, en := range t.entries {
		if en.remnant == nil {
			all = append(all, en)
		}
	}
	t.entries, t.late, t.streams = nil, nil, 0
	return all
}
