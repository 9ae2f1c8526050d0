package client

import (
	"errors"
	"time"

	"tunic/client/path"
)

const ( // our choice
	shunFor    = 2 * time.Minute // how long an exit that takes no streams, or cannot be reached, is left out
	maxShunned = 16              // exits left out at a time
)

// lostAfter is how many circuits in a row may fail to be extended to an exit
// before it counts as lost. Fixed by docs/protocol.md, "Circuits of a client":
// one middle that lies, or is itself lost, is not enough while there are others.
const lostAfter = 3

// shun leaves an exit that takes no streams out of new circuits for a while,
// and its unused circuits out of the stock.
func (c *Client) shun(exit exitID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shunLocked(exit, time.Now())
}

// shunLocked is shun with mu held.
func (c *Client) shunLocked(exit exitID, now time.Time) {
	for id, until := range c.shunned {
		if now.After(until) || len(c.shunned) >= maxShunned {
			delete(c.shunned, id)
		}
	}
	c.shunned[exit] = now.Add(shunFor)
	for _, e := range c.pool.entries {
		if e.path[path.Exit].ID == exit && !e.claimed {
			e.retired = true
		}
	}
}

// shunnedExits returns the exits to leave out. mu is held.
func (c *Client) shunnedExits(now time.Time) (list []exitID) {
	for id, until := range c.shunned {
		if now.Before(until) {
			list = append(list, id)
		}
	}
	return list
}

// missed notes that a circuit failed, and shuns its exit where extending to
// that has failed several times in a row: until the consensus drops a dead exit,
// it may be the only one that goes with the client's guard. mu is held.
func (c *Client) missed(e *entry, err error, now time.Time) {
	hop, ok := errors.AsType[*hopError](err)
	if !ok || hop.position != path.Exit {
		return
	}
	exit := e.path[path.Exit].ID
	if c.misses[exit]++; c.misses[exit] >= lostAfter {
		delete(c.misses, exit)
		c.shunLocked(exit, now)
	}
}
