package mirror

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"tunic/directory"
	"tunic/directory/directorytest"
)

func TestCacheKeepsTheNewest(t *testing.T) {
	net, first, second := bundles(t)
	file := filepath.Join(t.TempDir(), "consensus")
	c, err := OpenCache(file, net.Network)
	if err != nil || c.Current() != nil {
		t.Fatalf("empty cache: %v, %v", c, err)
	}
	updated := c.Updated()
	if err := c.Put(first); err != nil || c.Current() != first {
		t.Fatalf("first: %v", err)
	}
	<-updated
	updated = c.Updated()
	if err := c.Put(first); !errors.Is(err, directory.ErrOlder) {
		t.Errorf("the same again: %v", err)
	}
	select {
	case <-updated:
		t.Error("updated by nothing new")
	default:
	}
	if err := c.Put(second); err != nil {
		t.Fatal(err)
	}
	<-updated
	if err := c.Put(first); !errors.Is(err, directory.ErrOlder) || c.Current() != second {
		t.Errorf("an older one: %v", err)
	}
	again, err := OpenCache(file, net.Network)
	if err != nil || again.Current() == nil || !again.Current().Equal(second) {
		t.Errorf("opened again: %v", err)
	}
	info, err := os.Stat(file)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v, %v", info, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("files left behind: %v", entries)
	}
}

func TestCachePassesOverWhatDoesNotVerify(t *testing.T) {
	net, first, _ := bundles(t)
	bad := bytes.Clone(first.Raw())
	bad[len(bad)-2] ^= 1
	for name, content := range map[string][]byte{"changed": bad, "cut": first.Raw()[:1000], "empty": {}} {
		file := filepath.Join(t.TempDir(), "consensus")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := OpenCache(file, net.Network)
		if err != nil || c.Current() != nil {
			t.Errorf("%s: %v, %v", name, c.Current(), err)
			continue
		}
		if err := c.Put(first); err != nil {
			t.Errorf("%s, then put: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "consensus")
	if err := os.WriteFile(file, first.Raw(), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := OpenCache(file, directorytest.New(3).Network); err != nil || c.Current() != nil {
		t.Errorf("another network's: %v", err)
	}
}

func TestCacheInMemoryAlone(t *testing.T) {
	net, first, _ := bundles(t)
	c, err := OpenCache("", net.Network)
	if err != nil || c.Put(first) != nil || c.Current() != first {
		t.Errorf("%v", err)
	}
}

// A disk that fails does not keep a consensus from being used.
func TestCacheSaysWhenTheFileIsNotWritten(t *testing.T) {
	net, first, _ := bundles(t)
	dir := filepath.Join(t.TempDir(), "gone")
	c, err := OpenCache(filepath.Join(dir, "consensus"), net.Network)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Put(first); err == nil || errors.Is(err, directory.ErrOlder) || c.Current() != first {
		t.Errorf("put: %v", err)
	}
}

func TestCacheIsForManyGoroutines(t *testing.T) {
	net := directorytest.New(1)
	var list []*directory.Bundle
	var h *directory.History
	for i := range int64(8) {
		var b *directory.Bundle
		b, h = net.Sign(t, net.Consensus(i, nil), h)
		list = append(list, b)
	}
	file := filepath.Join(t.TempDir(), "consensus")
	c, err := OpenCache(file, net.Network)
	if err != nil {
		t.Fatal(err)
	}
	var putting sync.WaitGroup
	for _, b := range list {
		putting.Go(func() { _ = c.Put(b) })
	}
	putting.Wait()
	again, err := OpenCache(file, net.Network)
	if err != nil || c.Current() != list[7] || !again.Current().Equal(list[7]) {
		t.Errorf("%v: the newest is not kept", err)
	}
}
