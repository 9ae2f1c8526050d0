package ceiling

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestExcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Holding {
			return Holding{Bytes: rapid.Int64Range(1, 1000).Draw(t, "bytes"), Oldest: time.Duration(rapid.IntRange(0, 100).Draw(t, "oldest"))}
		})).Draw(t, "all")
		limit := rapid.Int64Range(1, 20_000).Draw(t, "limit")
		base := rapid.Int64Range(0, 20_000).Draw(t, "base")
		total := base
		for _, h := range all {
			total += h.Bytes
		}
		ended := Excess(all, base, limit)
		if total <= limit && len(ended) != 0 {
			t.Fatalf("%d ended below the limit", len(ended))
		}
		var gone, most int64
		for _, h := range ended {
			gone += h.Bytes
			most = h.Bytes
		}
		left, enough := total-gone, limit-limit/10
		if total > limit && (left > enough && len(ended) < len(all) || len(ended) > 0 && left+most <= enough) {
			t.Fatalf("%d of %d left, the last ended held %d, limit %d", left, total, most, limit)
		}
		for _, e := range ended {
			for _, k := range all[len(ended):] {
				if k.Oldest > e.Oldest {
					t.Fatalf("ended one whose data waited %d, kept one of %d", e.Oldest, k.Oldest)
				}
			}
		}
	})
}
