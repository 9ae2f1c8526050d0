package relay

import "testing"

func TestLinksAreBoundedByFilesAndMemory(t *testing.T) {
	for _, row := range []struct {
		told   int
		memory int64
		want   int
	}{
		{0, 1 << 40, maxLinks},
		{1 << 30, 1 << 40, maxLinks},
		{1000, 1 << 40, 1000},
		{0, 3 * 1000 * idleLinkMemory, 1000},
		{0, 1, leastLinks},
		{100, 1, 100}, // files are short too: a small memory makes no more of them
		{100, 1 << 40, 100},
	} {
		if got := linksWithin(row.told, row.memory); got != row.want {
			t.Errorf("linksWithin(%d, %d) = %d, want %d", row.told, row.memory, got, row.want)
		}
	}
}
