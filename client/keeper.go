package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/cell"
	"tunic/client/path"
	"tunic/directory"
)

const ( // our choice
	buildLimit   = 30 * time.Second // three handshakes of at most 10 s each
	probeLimit   = 15 * time.Second // a dial and its handshake
	saveInterval = 5 * time.Second  // between writes of the guards
)

// keep does what the pool wants, until the client is closed.
func (c *Client) keep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var next time.Time // when the timer fires
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.soon:
			if at := time.Now().Add(settleTime); at.Before(next) {
				next = at
				timer.Reset(settleTime)
			}
			continue
		case <-c.wake:
		case <-timer.C:
		}
		c.told.Store(false)
		c.mu.Lock()
		now := time.Now()
		over := c.step(now)
		next = c.nextStep(now)
		c.mu.Unlock()
		for _, e := range over {
			_ = e.circuit.Close() // its goroutine sees the end
		}
		timer.Reset(next.Sub(now))
	}
}

// step brings guards and pool up to date and starts what is wanted. It returns
// circuits to close. mu is held.
func (c *Client) step(now time.Time) []*entry {
	if c.view == nil || c.ctx.Err() != nil {
		return nil
	}
	for _, e := range c.pool.entries {
		if e.stage == waiting && c.guards.Usable(e.attempt, now) {
			c.admit(e, now)
		}
		e.worn = !c.guards.Preferred(e.attempt, now)
	}
	over := c.pool.expire(now)
	c.pool.serve(now)
	for {
		n, ok := c.pool.want(now)
		if !ok || c.tooOld != nil {
			break
		}
		c.launch(n, now)
	}
	for a := c.guards.Probe(now); a != nil; a = c.guards.Probe(now) {
		c.loops.Go(func() { c.probe(a) })
	}
	if c.guards.Revision() != c.saved {
		select {
		case c.save <- struct{}{}:
		default:
		}
	}
	return over
}

// nextStep returns when step has something to do if nothing happens before. mu
// is held.
func (c *Client) nextStep(now time.Time) time.Time {
	next := c.pool.next(now)
	if at, ok := c.guards.NextProbe(); ok && at.Before(next) {
		next = at
	}
	return next
}

// launch begins a circuit, or notes that there is no path. mu is held.
func (c *Client) launch(n path.Need, now time.Time) {
	p, a, err := c.choose(n, now)
	if err != nil {
		c.pool.unservable(n, err)
		c.status.trouble(err)
		return
	}
	e := c.pool.add(p, a, n, now)
	c.status.reach(DialGuard)
	c.loops.Go(func() { c.run(e) })
}

// choose selects a path without relays that are left out for now, or with them
// where there is no other: rather a lost middle than none, and rather a busy exit.
// mu is held.
func (c *Client) choose(n path.Need, now time.Time) (p path.Path, a *path.Attempt, err error) {
	wide := n
	wide.NotExit = slices.Concat(n.NotExit, c.shunnedAt(path.Exit, now))
	wide.NotMiddle = c.shunnedAt(path.Middle, now)
	for {
		p, a, err = c.view.Select(c.guards, wide, now, c.rng)
		_, none := errors.AsType[*path.NoPathError](err)
		switch {
		case none && len(wide.NotMiddle) > 0:
			wide.NotMiddle = nil
		case none && len(wide.NotExit) > len(n.NotExit):
			wide.NotExit = n.NotExit
		default:
			return p, a, err
		}
	}
}

// run builds a circuit, then watches over it until its end.
func (c *Client) run(e *entry) {
	ctx, cancel := context.WithTimeout(c.ctx, buildLimit)
	circuit, err := c.net.build(ctx, e.path, e.limit, func() { c.reached(e.attempt) })
	cancel()
	if !c.built(e, circuit, err) {
		return
	}
	select {
	case <-circuit.Done():
		if err := circuit.Err(); errors.Is(err, cell.ErrMalformed) {
			c.log.Warn("a circuit ended because one of its relays broke the protocol", "error", err)
		}
	case <-c.ctx.Done():
		_ = circuit.Close()
	}
	c.mu.Lock()
	c.pool.remove(e)
	c.guards.Done(e.attempt)
	c.mu.Unlock()
	c.nudge()
}

// reached notes that a guard has answered.
func (c *Client) reached(a *path.Attempt) {
	c.mu.Lock()
	c.guards.Reached(a, time.Now())
	c.mu.Unlock()
	c.status.reach(BuildCircuit)
	c.nudge()
}

// built takes in what became of building a circuit, and reports whether it
// stands.
func (c *Client) built(e *entry, circuit builtCircuit, err error) bool {
	defer c.nudge()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if err != nil {
		c.pool.remove(e)
		c.missed(e, err, now)
		c.blame(e.attempt, err, now)
		return false
	}
	c.pool.succeeded(now.Sub(e.started))
	c.met(e)
	e.circuit, e.stage, e.opened = circuit, waiting, now
	if c.guards.Usable(e.attempt, now) {
		c.admit(e, now)
		c.pool.serve(now) // now rather than when the keeper runs
	}
	return true
}

// admit lets a circuit take streams. mu is held.
func (c *Client) admit(e *entry, now time.Time) {
	c.pool.admit(e, now)
	c.guards.Done(e.attempt)
	c.status.reach(Ready)
	c.status.well()
}

// blame ends an attempt that failed: the guard's own failure or one further
// out. mu is held.
func (c *Client) blame(a *path.Attempt, err error, now time.Time) {
	_, guards := errors.AsType[*guardError](err)
	held := false
	switch {
	case c.ctx.Err() != nil:
		c.guards.Done(a)
		return
	case !guards:
		c.guards.Done(a)
		c.pool.failed(now)
	default:
		c.guards.Failed(a, now, c.rng)
		if c.guards.Exhausted(now) { // else the next guard is tried at once
			c.pool.failed(now)
		}
		var until time.Time
		if until, held = c.guards.Held(now); held {
			err = fmt.Errorf("%w; the last one: %w", &path.BudgetError{Until: until}, err)
		}
	}
	if phase, _ := c.status.now(); phase < Ready || held || now.Before(c.pool.retryAt) { // else the next circuit mends it
		c.status.trouble(err)
	}
	c.log.Debug("circuit not built", "error", err)
}

// probe finds out whether a guard that was unreachable can be reached again.
func (c *Client) probe(a *path.Attempt) {
	c.mu.Lock()
	r := c.view.Consensus().Relay(a.Guard())
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.ctx, probeLimit)
	err := directory.ErrUnknown
	if r != nil {
		err = c.net.probe(ctx, r)
	}
	cancel()
	c.mu.Lock()
	now := time.Now()
	if err == nil {
		c.guards.Reached(a, now)
	}
	if c.ctx.Err() == nil {
		c.guards.Failed(a, now, c.rng) // after Reached it blames nobody
	}
	c.mu.Unlock()
	c.nudge()
}

// adopt takes in a consensus, which is usable. Circuits that stand stay.
func (c *Client) adopt(consensus *directory.Consensus) {
	view := path.NewView(consensus, path.Options{SameSubnet: c.netfile.SameSubnet})
	c.net.follow(consensus)
	c.mu.Lock()
	again := c.tooOld != nil
	c.view, c.tooOld = view, nil
	c.guards.Update(view, time.Now(), c.rng)
	clear(c.misses)
	c.pool.renewed()
	c.mu.Unlock()
	c.status.reach(HaveConsensus)
	if again {
		c.status.well()
	}
	c.nudge()
}

// saveGuards writes the guards to disk when they have changed.
func (c *Client) saveGuards() {
	defer c.writeGuards()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.save:
		}
		c.writeGuards()
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(saveInterval):
		}
	}
}

func (c *Client) writeGuards() {
	c.mu.Lock()
	revision, state := c.guards.Revision(), c.guards.State()
	changed := revision != c.saved
	c.mu.Unlock()
	if !changed {
		return
	}
	if err := c.store.saveGuards(c.netfile.Name, state); err != nil {
		c.log.Warn("guards not saved", "error", err)
		return
	}
	c.mu.Lock()
	c.saved = revision
	c.mu.Unlock()
	c.nudge() // what changed meanwhile
}
