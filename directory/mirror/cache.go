package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"tunic/directory"
	"tunic/directory/keys"
)

// A Cache keeps the newest verified bundle, in memory and in a file. Its
// methods may be called at the same time.
type Cache struct {
	file string // "": in memory alone

	mu      sync.Mutex // guards what follows
	current *directory.Bundle
	updated chan struct{} // closed when current changes

	writing sync.Mutex // held while the file is written
}

// OpenCache opens the cache in the file, which need not exist; what is in it is
// verified, and passed over when it does not verify. An empty file name keeps
// the bundle in memory alone.
func OpenCache(file string, n *directory.Network) (*Cache, error) {
	c := &Cache{file: file, updated: make(chan struct{})}
	if file == "" {
		return c, nil
	}
	raw, err := keys.ReadFile(file, directory.MaxBundle)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, keys.ErrMalformed) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cached consensus: %w", err)
	}
	if b, err := directory.OpenBundle(raw, n); err == nil {
		c.current = b
	}
	return c, nil
}

// Current returns the newest bundle, nil if there is none.
func (c *Cache) Current() *directory.Bundle {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// Updated returns a channel that is closed when Current next changes.
func (c *Cache) Updated() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.updated
}

// Put keeps b if it is newer than the current one; else the error is
// directory.ErrOlder. It is current once Put returns, even when writing the file
// failed, which any other error says.
func (c *Cache) Put(b *directory.Bundle) error {
	c.mu.Lock()
	if err := b.NewerThan(c.current); err != nil {
		c.mu.Unlock()
		return err
	}
	c.current = b
	close(c.updated)
	c.updated = make(chan struct{})
	c.mu.Unlock()
	return c.write(b)
}

// write writes b to the file, unless a newer one has come meanwhile, whose Put
// writes it.
func (c *Cache) write(b *directory.Bundle) error {
	if c.file == "" {
		return nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.Current() != b {
		return nil
	}
	if err := keys.WriteFile(c.file, b.Raw()); err != nil {
		return fmt.Errorf("cached consensus: %w", err)
	}
	return nil
}
