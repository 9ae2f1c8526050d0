package client

import (
	"context"
	"slices"
	"time"

	"tunic/cell"
	"tunic/directory"
)

// minAnswer is our choice: how long the answer to a question of [question] is
// waited for at least; the pool's patience where that is longer.
const minAnswer = time.Second

// everyExitKnows is what every exit answers itself, whatever its policy (see
// docs/protocol.md, "Resolving").
const everyExitKnows = "localhost"

// A question finds out whether a circuit is stuck. A relay that is suspended, or
// cut off without a word, keeps its connections for minutes. A request that gets
// no answer cannot tell that from a slow destination; the exit is asked then what
// it answers without the world. There is one question of a circuit at a time.
type question struct {
	done  chan struct{} // closed when mute is known
	asked time.Time     // when it was
	heard uint64        // what the circuit had heard when it was asked
	mute  bool          // nothing came since
}

// listen watches over a try: when the circuit has said nothing for a while, and
// then does not answer a question either, it calls mute. stop ends that, and waits
// for it.
func (c *Client) listen(ctx context.Context, e *entry, mute func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends with ctx: at the latest with the try
		defer close(done)
		if c.stuck(ctx, e) {
			mute()
		}
	}()
	return func() { cancel(); <-done }
}

// stuck waits until a circuit is found to be stuck; false if ctx ends before.
func (c *Client) stuck(ctx context.Context, e *entry) bool {
	for wait := c.patience(); ; wait *= 2 {
		heard := e.circuit.Heard()
		if !sleep(ctx, wait) {
			return false
		}
		if e.circuit.Heard() != heard {
			continue // the circuit works: it is the destination that is slow
		}
		q := c.inquire(e)
		select {
		case <-q.done:
		case <-ctx.Done():
			return false
		}
		if q.mute {
			return true
		}
	}
}

// patience is the pool's.
func (c *Client) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pool.patience()
}

// inquire returns the question that a circuit is being asked, and begins one if there
// is none.
func (c *Client) inquire(e *entry) *question {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.asked == nil {
		now := time.Now()
		e.asked = &question{done: make(chan struct{}), asked: now, heard: e.circuit.Heard()}
		if c.ctx.Err() != nil { // Close waits for what began before
			close(e.asked.done)
		} else {
			c.loops.Go(func() { c.question(e, e.asked) })
			c.launchSpare(e, now)
		}
	}
	return e.asked
}

// launchSpare begins a circuit for when e turns out to be stuck, if there are few unused
// ones. It also shows whether the guard answers. mu is held.
func (c *Client) launchSpare(e *entry, now time.Time) {
	unused := 0
	for _, other := range c.pool.entries {
		if !other.claimed {
			unused++
		}
	}
	if unused < maxStock && len(c.pool.entries) < maxCircuits {
		c.launch(e.need, now)
	}
}

// retireSuspects retires the unused circuits that may be stuck for the same reason as e:
// those that were there when it was asked, and share a relay with it that has not
// answered since in another circuit. mu is held.
func (c *Client) retireSuspects(e *entry, q *question) {
	suspect := make(map[exitID]bool)
	for _, r := range e.path {
		suspect[r.ID] = true
	}
	since := func(other *entry) bool { return other.circuit != nil && !other.opened.Before(q.asked) }
	for _, other := range c.pool.entries {
		if since(other) {
			for _, r := range other.path {
				delete(suspect, r.ID)
			}
		}
	}
	for _, other := range c.pool.entries {
		if other.stage == open && !other.claimed && !since(other) && slices.ContainsFunc(other.path[:], func(r *directory.Relay) bool { return suspect[r.ID] }) {
			other.retired = true
		}
	}
}

// question asks e what every exit knows. A circuit from which nothing comes for as
// long as a first try may take is closed, so that its streams learn of the loss.
func (c *Client) question(e *entry, q *question) {
	ctx, cancel := context.WithTimeout(c.ctx, firstTry)
	defer cancel()
	answered := make(chan struct{})
	c.loops.Go(func() { // ends with ctx
		defer close(answered)
		_, _ = e.circuit.Resolve(ctx, cell.ResolveRequest{Host: everyExitKnows})
	})
	select {
	case <-answered:
	case <-time.After(max(minAnswer, c.patience())):
	}
	silent := func() bool { return e.circuit.Heard() == q.heard && c.ctx.Err() == nil }
	if q.mute = silent(); q.mute {
		c.mu.Lock()
		e.retired = true
		c.retireSuspects(e, q)
		c.mu.Unlock()
		c.nudge()
	}
	close(q.done)
	<-answered
	c.mu.Lock()
	e.asked = nil
	c.mu.Unlock()
	if silent() {
		c.discard(e)
	}
}
