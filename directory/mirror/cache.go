package mirror

import "tunic/directory"

// A Cache keeps the newest verified bundle, in memory and in a file. Its
// methods may be called at the same time.
type Cache struct{}

// OpenCache opens the cache in the file, which need not exist; what is in it is
// verified, and passed over when it does not verify. An empty file name keeps
// the bundle in memory alone.
func OpenCache(file string, n *directory.Network) (*Cache, error) { panic("unwritten") }

// Current returns the newest bundle, nil if there is none.
func (c *Cache) Current() *directory.Bundle { panic("unwritten") }

// Put keeps b if it is newer than the current one, else directory.ErrOlder. It
// is current once Put returns, even when writing the file failed.
func (c *Cache) Put(b *directory.Bundle) error { panic("unwritten") }

// Updated returns a channel that is closed when Current next changes.
func (c *Cache) Updated() <-chan struct{} { panic("unwritten") }
