package link

import (
	"maps"
	"slices"

	"tunic/cell/work"
	"tunic/directory/keys"
)

// Reclassify asks Config.Classify again for each proven peer, and moves its links
// to the share of what it is now: a relay that linked before a consensus listed it
// must not count as a stranger for as long as the link lives. It is called when the
// node has learnt something new of its peers. A share may be more than full
// afterwards: nothing is closed for that, and nothing added.
func (p *Pool) Reclassify() {
	p.mu.Lock()
	proven := slices.Collect(maps.Keys(p.peers))
	p.mu.Unlock()
	for _, id := range proven {
		p.move(id, p.classify(id)) // asked without the lock
	}
}

// move counts the links to id under another class.
func (p *Pool) move(id keys.RelayID, class work.Class) {
	var moved []*Link
	p.mu.Lock()
	for _, l := range p.peers[id] {
		if was := l.classNow(); was != class {
			p.share[was]--
			p.share[class]++
			l.class.Store(uint32(class))
			moved = append(moved, l)
		}
	}
	p.mu.Unlock()
	for _, l := range moved {
		if class != work.Stranger {
			l.source.release() // no stranger's any more, and never again: a second call does nothing
		}
		l.wakeWriter() // it may stay open longer, or close sooner
	}
}
