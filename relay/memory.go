package relay

import (
	"cmp"
	"context"
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

// A holding is what one circuit keeps in memory.
type holding struct {
	hop    *circuit.Hop
	bytes  int64
	oldest time.Duration
}

// guardMemory ends circuits when all together hold too much, until ctx ends. The
// queues of circuits are looked at only when the whole heap is large enough for
// that to be possible; without circuits it sleeps.
func (r *Relay) guardMemory(ctx context.Context) {
	limit := r.cfg.MaxMemory
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for sleep(ctx, memoryEvery) {
		if !r.hops.waitForOne(ctx) {
			return
		}
		metrics.Read(heap)
		if heap[0].Value.Uint64() < uint64(limit)*3/4 {
			continue
		}
		for _, h := range excess(r.hops.holdings(), limit) {
			r.counts.refuse(causeMemory)
			h.hop.Fail(cell.ReasonResource)
		}
	}
}

// holdings returns what each circuit holds that holds anything.
func (s *hops) holdings() []holding {
	s.mu.Lock()
	all := make([]holding, 0, len(s.all))
	for h := range s.all {
		all = append(all, holding{hop: h})
	}
	s.mu.Unlock()
	for i := range all {
		all[i].bytes, all[i].oldest = all[i].hop.Held()
	}
	return slices.DeleteFunc(all, func(h holding) bool { return h.bytes == 0 })
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
