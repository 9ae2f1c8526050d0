package client

import (
	"errors"
	"maps"
	"time"

	"tunic/client/path"
)

const ( // our choice
	shunFor    = 2 * time.Minute // how long a relay that takes no streams, or cannot be reached, is left out
	maxShunned = 16              // relays left out at a time
)

// lostAfter is how many circuits in a row may fail to be extended to a relay
// before it counts as lost. Fixed by docs/protocol.md, "Circuits of a client":
// one middle that lies, or is itself lost, is not enough while there are others.
const lostAfter = 3

// A post is a relay's place in circuits: the middle or the exit.
type post struct {
	id exitID
	at path.Position
}

// shun leaves an exit that takes no streams out of new circuits for a while,
// and its unused circuits out of the stock.
func (c *Client) shun(exit exitID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shunLocked(post{exit, path.Exit}, time.Now())
}

// shunLocked is shun for any post, with mu held.
func (c *Client) shunLocked(x post, now time.Time) {
	delete(c.shunned, x) // it takes its own place
	c.makeRoom(now)
	c.shunned[x] = now.Add(shunFor)
	for _, e := range c.pool.entries {
		if e.path[x.at].ID == x.id && !e.claimed {
			e.retired = true
		}
	}
}

// makeRoom forgets whom to shun no more and, where the list is full all the same,
// the one whose time is over first. mu is held.
func (c *Client) makeRoom(now time.Time) {
	maps.DeleteFunc(c.shunned, func(_ post, until time.Time) bool { return !now.Before(until) })
	if len(c.shunned) < maxShunned {
		return
	}
	var first post
	at := now.Add(shunFor) // nobody's is later
	for x, until := range c.shunned {
		if !until.After(at) {
			first, at = x, until
		}
	}
	delete(c.shunned, first)
}

// shunnedAt returns the relays to leave out of a place. mu is held.
func (c *Client) shunnedAt(at path.Position, now time.Time) (list []exitID) {
	for x, until := range c.shunned {
		if x.at == at && now.Before(until) {
			list = append(list, x.id)
		}
	}
	return list
}

// missed notes that a circuit failed, and shuns the relay where extending to it
// has failed several times in a row: until the consensus drops a dead one, it may
// be the only exit that goes with the client's guard, and one that hangs costs
// every circuit through it a while. mu is held.
func (c *Client) missed(e *entry, err error, now time.Time) {
	hop, ok := errors.AsType[*hopError](err)
	if !ok || hop.position == path.Guard {
		return
	}
	x := post{e.path[hop.position].ID, hop.position}
	if c.misses[x]++; c.misses[x] >= lostAfter {
		delete(c.misses, x)
		c.shunLocked(x, now)
	}
	if hop.position == path.Exit { // the middle has answered
		delete(c.misses, post{e.path[path.Middle].ID, path.Middle})
	}
}

// met notes that a circuit stands: its relays answer. mu is held.
func (c *Client) met(e *entry) {
	for _, at := range []path.Position{path.Middle, path.Exit} {
		delete(c.misses, post{e.path[at].ID, at})
	}
}
