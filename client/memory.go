package client

import "tunic/cell/ceiling"

// defaultMemory is Config.MaxMemory where it is 0: our choice, in bytes. Eight
// circuits whose streams nobody reads hold it at the most.
const defaultMemory = 256 << 20

// holdings returns what each circuit holds that holds anything.
func (c *Client) holdings() []ceiling.Holding {
	c.mu.Lock()
	var circuits []builtCircuit
	for _, e := range c.pool.entries {
		if e.circuit != nil {
			circuits = append(circuits, e.circuit)
		}
	}
	c.mu.Unlock()
	var all []ceiling.Holding
	for _, b := range circuits {
		if bytes, oldest := b.Held(); bytes > 0 {
			all = append(all, ceiling.Holding{Bytes: bytes, Oldest: oldest, End: func() { c.endForMemory(b) }})
		}
	}
	return all
}

func (c *Client) endForMemory(b builtCircuit) {
	c.log.Warn("circuit ended: what waits to be read takes too much memory")
	_ = b.Close()
}
