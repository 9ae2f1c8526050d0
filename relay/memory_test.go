package relay

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestExcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.Custom(func(t *rapid.T) holding {
			return holding{bytes: rapid.Int64Range(1, 1000).Draw(t, "bytes"), oldest: time.Duration(rapid.IntRange(0, 100).Draw(t, "oldest"))}
		})).Draw(t, "all")
		limit := rapid.Int64Range(1, 20_000).Draw(t, "limit")
		var total int64
		for _, h := range all {
			total += h.bytes
		}
		ended := excess(all, limit)
		if total <= limit && len(ended) != 0 {
			t.Fatalf("%d ended below the limit", len(ended))
		}
		var gone, most int64
		for _, h := range ended {
			gone += h.bytes
			most = h.bytes
		}
		left := total - gone
		if total > limit && (left > limit-limit/10 || left+most <= limit-limit/10) {
			t.Fatalf("%d of %d left, the last ended held %d, limit %d", left, total, most, limit)
		}
		for _, e := range ended {
			for _, k := range all[len(ended):] {
				if k.oldest > e.oldest {
					t.Fatalf("ended one whose cells waited %d, kept one of %d", e.oldest, k.oldest)
				}
			}
		}
	})
}
