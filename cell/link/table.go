package link

import (
	"maps"
	"slices"
	"time"

	"tunic/cell"
)

// ids is how many circuit ids one side of a link can choose: 31 bits, without 0.
const ids = 1<<31 - 1

// Open makes a circuit with the next of our ids, which count up from a random
// start and are never used again. r gets its cells. The error is ErrClosed or
// ErrCircuits.
func (l *Link) Open(r Receiver) (*Circuit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idsLeft == 0 {
		return nil, ErrCircuits
	}
	id := cell.CircuitID(l.nextID).WithInitiator(l.dialled)
	c, err := l.addLocked(id, r)
	if err != nil {
		return nil, err
	}
	l.idsLeft--
	l.nextID = l.nextID%ids + 1
	return c, nil
}

// Accept makes a circuit with an id that the peer chose. r gets its cells. The
// error is ErrClosed, also if the peer has destroyed the circuit meanwhile,
// ErrInUse, ErrWrongHalf or ErrCircuits.
func (l *Link) Accept(id cell.CircuitID, r Receiver) (*Circuit, error) {
	if !l.peersHalf(id) {
		return nil, ErrWrongHalf
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.early, id) {
		return nil, ErrClosed
	}
	return l.addLocked(id, r)
}

// peersHalf reports whether id is one that the peer may choose.
func (l *Link) peersHalf(id cell.CircuitID) bool {
	return id.FromInitiator() != l.dialled && id.WithInitiator(false) != 0
}

// addLocked puts a new circuit in the table.
func (l *Link) addLocked(id cell.CircuitID, r Receiver) (*Circuit, error) {
	switch {
	case l.state != open:
		return nil, ErrClosed
	case l.circuits[id] != nil:
		return nil, ErrInUse
	case len(l.circuits) >= l.pool.cfg.Limits.MaxCircuits:
		return nil, ErrCircuits
	}
	if l.circuits == nil {
		l.circuits = map[cell.CircuitID]*Circuit{}
	}
	c := &Circuit{link: l, id: id, receiver: r}
	l.circuits[id] = c
	return c, nil
}

// remove takes c out of the table, and reports whether it was there.
func (l *Link) remove(c *Circuit) bool {
	found, empty := l.take(c)
	if empty {
		l.wakeWriter() // it may close the link sooner than it thought
	}
	return found
}

// take does what remove does, and reports whether c was the last one.
func (l *Link) take(c *Circuit) (found, empty bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.circuits[c.id] != c {
		return false, false
	}
	delete(l.circuits, c.id)
	c.left.Store(true)
	if len(l.circuits) > 0 {
		return true, false
	}
	l.idleFrom = time.Now()
	l.circuits = nil // a map keeps the size it once had
	return true, true
}

// removeAll empties the table and returns what was in it.
func (l *Link) removeAll() []*Circuit {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Collect(maps.Values(l.circuits))
	for _, c := range all {
		c.left.Store(true)
	}
	l.circuits = nil
	return all
}

// lookup returns the circuit with an id, nil if there is none.
func (l *Link) lookup(id cell.CircuitID) *Circuit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.circuits[id]
}

// destroyedEarly notes that the peer destroyed a circuit that it was still waiting
// for, so that Accept refuses it. Ids are never used again, so a note need not be
// taken back; only the newest earlyDestroys are kept.
func (l *Link) destroyedEarly(id cell.CircuitID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.early) < earlyDestroys {
		l.early = append(l.early, id)
		return
	}
	l.early[l.earlyAt] = id
	l.earlyAt = (l.earlyAt + 1) % earlyDestroys
}

// idleSince returns since when the link has had no circuit; ok is false if it has
// one.
func (l *Link) idleSince() (t time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idleFrom, len(l.circuits) == 0
}
