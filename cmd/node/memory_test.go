package node

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCeilingFollowsTheMachine(t *testing.T) {
	for _, row := range []struct{ total, want int64 }{
		{0, 512 << 20}, {100 << 20, 64 << 20}, {512 << 20, 128 << 20}, {16 << 30, 4 << 30}, {1 << 40, 8 << 30},
	} {
		if got := ceilingFor(uint64(row.total)); got != row.want {
			t.Errorf("ceilingFor(%d) = %d, want %d", row.total, got, row.want)
		}
	}
	if c := (Common{MaxQueueMemory: 100 << 20}); c.queueMemory() != 100<<20 {
		t.Errorf("the operator's word is not taken: %d", c.queueMemory())
	}
}

func TestTooLowACeilingIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "relay.toml")
	for text, ok := range map[string]bool{"": true, "max_queue_memory = 67_108_864": true, "max_queue_memory = 67_108_863": false, "max_queue_memory = -1": false} {
		if err := os.WriteFile(file, []byte("network = 'n'\nstate = 's'\nlisten = ['127.0.0.1:0']\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		var c RelayConfig
		if err := Load(file, &c); err != nil {
			t.Fatal(err)
		}
		if err := c.check(); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever the limit of files, links, streams and the rest fit into it.
func TestFilesAreShared(t *testing.T) {
	for _, files := range []uint64{256, 1024, 20_000, 65_536, 1 << 63} {
		links, streams := shareFiles(files, true)
		if links < 1 || streams < 1 || uint64(links+streams) > files-files/4 {
			t.Errorf("an exit with %d files has %d links and %d streams", files, links, streams)
		}
		if links, streams := shareFiles(files, false); streams != 0 || links < 1 || uint64(links) > files-files/4 {
			t.Errorf("a relay with %d files has %d links and %d streams", files, links, streams)
		}
	}
	if links, streams := shareFiles(0, true); links != 0 || streams != 0 {
		t.Errorf("where nothing is known of files, links are bounded to %d and streams to %d", links, streams)
	}
}
