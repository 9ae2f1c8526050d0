package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tunic/cell/link"
	"tunic/client/path"
	"tunic/directory"
	"tunic/directory/mirror"
)

const ( // our choice
	fetchLimit  = time.Minute // for one source: some MiB over a slow line
	guardsAsked = 3           // in one fetch, before it is put off
	wrongClock  = time.Hour   // as a peer sees it: worth telling the user
	longBefore  = time.Minute // a network's start: so is that
)

// fetch keeps the consensus fresh, until the client is closed.
func (c *Client) fetch() {
	have := c.cached()
	var schedule mirror.Schedule
	var told *directory.Bundle // that the user knows to have expired
	for c.ctx.Err() == nil {
		now := time.Now()
		if c.expired(have, now) && told != have {
			told = have
			c.log.Warn("the consensus has expired; going on for a while", "valid_until", have.Consensus.ValidUntil)
		}
		at := c.nextAt(&schedule, have, now)
		if start := c.netfile.Timing.Start; start.Sub(now) > longBefore && !c.usable(have) {
			c.status.trouble(fmt.Errorf("the first consensus of network %s comes at %s", c.netfile.Name, directory.FormatTime(start)))
		}
		if !sleep(c.ctx, at.Sub(now)) {
			return
		}
		b, err := c.fetchOnce(have)
		switch {
		case err == nil:
			schedule.Succeeded()
			have = b
			c.take(b)
		case c.ctx.Err() == nil:
			c.mu.Lock()
			schedule.Failed(c.netfile, time.Now(), c.rng)
			c.mu.Unlock()
			schedule.Busy(c.netfile, busyFor(err), time.Now())
			c.log.Debug("consensus not fetched", "error", err)
			if !c.usable(have) && isNews(err) {
				c.status.trouble(fmt.Errorf("fetch consensus: %w", c.clock(err)))
			}
		}
	}
}

// isNews reports whether an error says more than that there was one before.
func isNews(err error) bool {
	s, ok := errors.AsType[*sourcesError](err)
	return !ok || s.news()
}

// clock adds to an error about time what a peer says of this machine's clock:
// a hint, no clock is set by it.
func (c *Client) clock(err error) error {
	ahead := c.net.skew()
	if !errors.Is(err, directory.ErrExpired) && !errors.Is(err, directory.ErrFuture) || ahead.Abs() < wrongClock {
		return err
	}
	way := "behind"
	if ahead < 0 {
		way = "ahead"
	}
	return fmt.Errorf("is this machine's clock right? it seems to be %v %s: %w", ahead.Abs().Round(time.Minute), way, err)
}

// cached returns the consensus on disk if it is usable, and begins with it.
func (c *Client) cached() *directory.Bundle {
	b := c.cache.Current()
	if b == nil || !c.usable(b) {
		return b
	}
	c.adopt(b.Consensus)
	return b
}

// usable reports whether a consensus may be used now.
func (c *Client) usable(b *directory.Bundle) bool {
	if b == nil {
		return false
	}
	_, err := b.Consensus.Usable(c.netfile, time.Now())
	return err == nil
}

// expired reports whether a consensus has expired. When it is so old that it may not
// be used any more, requests are refused until there is another.
func (c *Client) expired(b *directory.Bundle, now time.Time) bool {
	if b == nil {
		return false
	}
	warn, err := b.Consensus.Usable(c.netfile, now)
	if errors.Is(err, directory.ErrExpired) && c.abandon(err) {
		c.status.trouble(err)
	}
	return warn
}

// abandon puts the consensus out of use, and reports whether it was in use.
func (c *Client) abandon(why error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view == nil || c.tooOld != nil {
		return false // requests wait for the first one
	}
	c.tooOld = why
	for _, w := range c.pool.waiters {
		w.got <- grant{err: why}
	}
	c.pool.waiters = nil
	return true
}

// nextAt returns when to fetch next.
func (c *Client) nextAt(s *mirror.Schedule, have *directory.Bundle, now time.Time) time.Time {
	var consensus *directory.Consensus
	if c.usable(have) {
		consensus = have.Consensus
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextFetch = s.Next(c.netfile, consensus, mirror.AsClient, now, c.rng)
	return c.nextFetch
}

// sleep waits for d and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take keeps and uses a consensus that was fetched.
func (c *Client) take(b *directory.Bundle) {
	if err := c.cache.Put(b); err != nil && !errors.Is(err, directory.ErrOlder) {
		c.log.Warn("consensus not kept", "error", err)
	}
	c.adopt(b.Consensus)
}

// fetchOnce asks for a consensus newer than have: a client with guards asks
// them, one without, or whose guards do not answer, asks those whom the network
// file names.
func (c *Client) fetchOnce(have *directory.Bundle) (*directory.Bundle, error) {
	if !c.usable(have) {
		return c.bootstrap(have)
	}
	var err error
	for range guardsAsked {
		var b *directory.Bundle
		if b, err = c.askGuard(have); err == nil || errors.Is(err, mirror.ErrNotNewer) {
			return b, err
		}
	}
	if warn, _ := have.Consensus.Usable(c.netfile, time.Now()); warn {
		return c.bootstrap(have)
	}
	return nil, err
}

// errNoGuard is why nothing can be asked of a guard.
var errNoGuard = errors.New("no guard")

// askGuard fetches from a guard.
func (c *Client) askGuard(have *directory.Bundle) (*directory.Bundle, error) {
	c.mu.Lock()
	var r *directory.Relay
	a := c.guards.Directory(time.Now(), c.rng)
	if a != nil {
		r = c.view.Consensus().Relay(a.Guard())
	}
	if a != nil && r == nil {
		c.guards.Done(a)
	}
	c.mu.Unlock()
	if r == nil {
		return nil, errNoGuard
	}
	b, err := c.ask(c.ctx, linkTarget(r), have, func() { c.answered(a) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, own := errors.AsType[*guardError](err); own && c.ctx.Err() == nil {
		c.guards.Failed(a, time.Now(), c.rng)
	} else {
		c.guards.Done(a)
	}
	c.nudge()
	return b, err
}

// answered notes that a guard asked for the directory has answered.
func (c *Client) answered(a *path.Attempt) {
	c.mu.Lock()
	c.guards.Reached(a, time.Now())
	c.mu.Unlock()
}

// ask fetches from one relay or authority. What it sends is verified, and must
// be newer than have and usable now.
func (c *Client) ask(ctx context.Context, t link.Target, have *directory.Bundle, opened func()) (*directory.Bundle, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	b, err := c.net.consensus(ctx, t, have, opened)
	if err != nil {
		return nil, err
	}
	if err := b.NewerThan(have); err != nil {
		return nil, err
	}
	if _, err := b.Consensus.Usable(c.netfile, time.Now()); err != nil {
		return nil, err
	}
	return b, nil
}

// bootstrap asks up to three fallback mirrors at random, and authorities when
// they fail or are slow.
func (c *Client) bootstrap(have *directory.Bundle) (*directory.Bundle, error) {
	c.status.reach(DialDirectory)
	r := race{start: c.loops.Go}
	r.mirrors, r.authorities = c.sources()
	r.ask = func(ctx context.Context, t link.Target) (*directory.Bundle, error) {
		return c.ask(ctx, t, have, func() { c.status.reach(FetchConsensus) })
	}
	return r.run(c.ctx)
}

// sources returns three fallback mirrors and all authorities, each in random
// order.
func (c *Client) sources() (mirrors, authorities []link.Target) {
	n := c.netfile
	for _, f := range n.Fallbacks {
		mirrors = append(mirrors, link.Target{ID: f.ID, Key: f.LinkKey, Addrs: f.Addrs})
	}
	for _, a := range n.Authorities {
		authorities = append(authorities, link.Target{ID: a.ID, Key: a.LinkKey, Addrs: a.Addrs})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rng.Shuffle(len(mirrors), func(i, j int) { mirrors[i], mirrors[j] = mirrors[j], mirrors[i] })
	c.rng.Shuffle(len(authorities), func(i, j int) { authorities[i], authorities[j] = authorities[j], authorities[i] })
	return mirrors[:min(len(mirrors), bootstrapMirrors)], authorities
}
