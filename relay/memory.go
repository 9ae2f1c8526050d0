package relay

import (
	"cmp"
	"context"
	"maps"
	"net"
	"runtime/metrics"
	"slices"
	"time"

	"tunic/cell"
	"tunic/circuit"
)

const ( // our choice
	// defaultMemory is how many bytes the queues and streams of all circuits may
	// hold together: some 100 circuits whose peers read nothing at all.
	defaultMemory = 512 << 20
	// memoryEvery is how often that is looked at. A gigabit fills 125 MB in it.
	memoryEvery = time.Second
)

// A holding is what one circuit keeps in memory, or a stream whose circuit is gone
// and whose destination does not take what came before.
type holding struct {
	end    func()
	bytes  int64
	oldest time.Duration
}

// guardMemory ends circuits when all together hold too much, until ctx ends. The
// queues of circuits are looked at only when the whole heap is large enough for
// that to be possible; without circuits and streams it sleeps.
func (r *Relay) guardMemory(ctx context.Context) {
	limit := r.cfg.MaxMemory
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for sleep(ctx, memoryEvery) {
		if r.streams.len() == 0 && !r.hops.waitForOne(ctx) {
			return
		}
		metrics.Read(heap)
		if heap[0].Value.Uint64() < uint64(limit)*3/4 {
			continue
		}
		for _, h := range excess(append(r.hops.holdings(), r.streams.orphans()...), limit) {
			r.counts.refuse(causeMemory)
			h.end()
		}
	}
}

// holdings returns what each circuit holds that holds anything.
func (s *hops) holdings() []holding {
	s.mu.Lock()
	hops := slices.Collect(maps.Keys(s.all))
	s.mu.Unlock()
	var all []holding
	for _, h := range hops {
		if bytes, oldest := h.Held(); bytes > 0 {
			all = append(all, holding{func() { h.Fail(cell.ReasonResource) }, bytes, oldest})
		}
	}
	return all
}

// orphans returns what streams hold whose circuits are gone. A client that leaves
// must not take its data out of the count by that.
func (t *streams) orphans() []holding {
	t.mu.Lock()
	conns := make(map[*circuit.Stream]net.Conn)
	for s, o := range t.all {
		if o.conn != nil && s.Hop().Err() != nil {
			conns[s] = o.conn
		}
	}
	t.mu.Unlock()
	var all []holding
	for s, conn := range conns {
		if bytes, oldest := s.Held(); bytes > 0 {
			all = append(all, holding{func() { reset(conn) }, bytes, oldest})
		}
	}
	return all
}

// excess returns the circuits to end so that the rest holds at most nine tenths
// of limit: those whose oldest cell waits longest. Age, not size: a size could be
// kept small in many circuits (the Sniper attack). It sorts all.
func excess(all []holding, limit int64) []holding {
	var total int64
	for _, h := range all {
		total += h.bytes
	}
	if total <= limit {
		return nil
	}
	slices.SortFunc(all, func(a, b holding) int { return cmp.Compare(b.oldest, a.oldest) })
	n := 0
	for ; n < len(all) && total > limit-limit/10; n++ {
		total -= all[n].bytes
	}
	return all[:n]
}
