package link

import (
	"maps"
	"slices"
	"unsafe"
)

const ( // our choice; bytes, rounded up from what BenchmarkIdleLinks measures
	linkMemory    = 12 << 10 // an established link without anything under way
	strangeMemory = 16 << 10 // a connection in its handshake, or silent
)

// Held returns about how many bytes the pool's links take without what their
// circuits have queued: their bookkeeping, the records that they are reading and
// writing, and the cells of their own.
func (p *Pool) Held() int64 {
	p.mu.Lock()
	links := slices.Collect(maps.Keys(p.links))
	var strange int64
	for _, n := range p.waiting.share {
		strange += int64(n)
	}
	p.mu.Unlock()
	bytes := strange * strangeMemory
	for _, l := range links {
		bytes += l.held()
	}
	return bytes
}

// held is what one link takes.
func (l *Link) held() int64 {
	bytes := int64(linkMemory) + int64(l.in.holds.Load()) + int64(l.out.holds.Load())
	l.sched.mu.Lock()
	defer l.sched.mu.Unlock()
	return bytes + int64(len(l.sched.control.ring))*int64(unsafe.Sizeof(controlCell{}))
}
