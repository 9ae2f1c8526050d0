package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/cell"
	"tunic/circuit"
	"tunic/client/path"
	"tunic/directory"
	"tunic/directory/keys"
)

const ( // fixed by docs/protocol.md, "Clients"
	firstTry    = 10 * time.Second // for the exit's answer, the first and second time
	laterTry    = 15 * time.Second
	maxDial     = 2 * time.Minute // for a whole request, whatever its context says
	maxTries    = 12              // circuits that one request is put on
	maxExitWord = 3               // exits whose word about the destination is asked for
	otherWord   = firstTry        // for a circuit to another exit than those that have said it
	maxBusy     = 6               // times that an exit may say that it takes no streams
)

const ( // our choice
	muteLimit = time.Second // how long a circuit that avoids silent and busy exits is waited for
	lateDoubt = time.Second // at most, after the begin of a try that got no answer: circuits opened before are in doubt
)

type exitID = keys.RelayID

// A trial is one request on its way from circuit to circuit.
type trial struct {
	c      *Client
	wish   wish
	mute   []exitID // exits to avoid while there are others: silent or busy ones
	tries  int
	words  int    // exits that gave a reason which another exit may not give
	busy   int    // exits that took no streams
	failed *Error // what the last one that was told something said
}

// newTrial bounds a request's time.
func (c *Client) newTrial(ctx context.Context, key string, n path.Need) (*trial, context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, maxDial)
	return &trial{c: c, wish: wish{key: key, need: n}}, ctx, cancel
}

// run puts the request on circuits until one try succeeds or no other would:
// try does it once, within the time that its context leaves.
func (t *trial) run(ctx context.Context, try func(context.Context, *entry) error) error {
	for {
		e, err := t.acquire(ctx)
		if err != nil {
			return t.giveUp(ctx, err)
		}
		began := time.Now()
		err = t.once(ctx, e, try)
		if err == nil {
			return nil // e is released by what try made of it
		}
		t.c.release(e)
		if again := t.judge(ctx, e, err); !again {
			return t.failed
		}
		if errors.Is(err, errTry) { // what was well when it began may not be now
			t.wish.since = began.Add(min(lateDoubt, t.c.patience()))
		}
	}
}

// acquire returns a circuit. Exits that were silent or busy are avoided only
// where that costs little: what was silent may have been another relay, and
// what was busy a circuit. Another exit than those that have given their word is
// waited for only so long: all others may be down.
func (t *trial) acquire(ctx context.Context) (*entry, error) {
	if len(t.wish.need.NotExit) > 0 {
		bounded, cancel := context.WithTimeout(ctx, otherWord)
		defer cancel()
		ctx = bounded
	}
	if len(t.mute) > 0 {
		soon, cancel := context.WithTimeout(ctx, muteLimit)
		defer cancel()
		w := t.wish
		w.need.NotExit = slices.Concat(w.need.NotExit, t.mute)
		if e, err := t.c.acquire(soon, w); err == nil || ctx.Err() != nil {
			return e, err
		}
		t.mute = nil
	}
	return t.c.acquire(ctx, t.wish)
}

// errTry is why a circuit is left for another.
var errTry = errors.New("no answer in time")

func (t *trial) once(ctx context.Context, e *entry, try func(context.Context, *entry) error) error {
	limit := firstTry
	if t.tries++; t.tries > 2 {
		limit = laterTry
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTry)
	defer cancel()
	ctx, leave := context.WithCancelCause(ctx)
	defer t.c.listen(ctx, e, func() { leave(errTry) })()
	return try(ctx, e)
}

// judge decides whether to try again, and where not to.
func (t *trial) judge(ctx context.Context, e *entry, err error) (again bool) {
	exit := e.path[path.Exit].ID
	end, fromExit := errors.AsType[*circuit.EndError](err)
	final, decided := errors.AsType[*Error](err)
	switch {
	case t.c.ctx.Err() != nil:
		t.failed = &Error{General, ErrClosed}
		return false
	case ctx.Err() != nil:
		t.failed = timeUp(ctx, t.failed)
		return false
	case decided:
		t.failed = final
		return false
	case fromExit:
		return t.judgeEnd(e, end)
	case errors.Is(err, errTry):
		t.failed = &Error{Timeout, err}
		t.mute = append(t.mute, exit)
		t.c.retire(e) // its other streams may be well
	case errors.Is(err, circuit.ErrTooManyStreams), errors.Is(err, circuit.ErrBusy):
		t.failed = &Error{General, err}
		t.c.retire(e)
	default: // the circuit is gone, or as good as
		t.failed = &Error{General, err}
		t.c.discard(e)
	}
	return t.tries < maxTries
}

// judgeEnd decides by the exit's reason.
func (t *trial) judgeEnd(e *entry, end *circuit.EndError) (again bool) {
	exit := e.path[path.Exit].ID
	t.failed = &Error{codeOf(end.Reason), end}
	switch end.Reason {
	case cell.EndHibernating, cell.EndResource: // the exit, or this circuit, has enough
		t.mute = append(t.mute, exit)
		t.c.retire(e)
		t.c.shun(exit)
		t.busy++
		return t.busy < maxBusy
	case cell.EndPolicy:
		t.wish.need.NotExit = append(t.wish.need.NotExit, exit)
		return t.tries < maxTries
	case cell.EndResolve, cell.EndTimeout, cell.EndNoRoute, cell.EndMisc:
		t.wish.need.NotExit = append(t.wish.need.NotExit, exit)
		t.words++
		return t.words < maxExitWord
	}
	return false
}

// giveUp turns the lack of a circuit into an error. What an exit has said
// before says more.
func (t *trial) giveUp(ctx context.Context, err error) error {
	none, noPath := errors.AsType[*path.NoPathError](err)
	_, overBudget := errors.AsType[*path.BudgetError](err)
	switch {
	case ctx.Err() != nil:
		return timeUp(ctx, t.failed)
	case t.failed != nil && (noPath || len(t.wish.need.NotExit) > 0):
		return t.failed
	case noPath && (none.Rule() == path.RulePort || none.Position == path.Exit && none.Rule() == path.RuleFlag):
		return &Error{NotAllowed, err}
	case noPath, overBudget, errors.Is(err, directory.ErrExpired):
		return &Error{NetUnreachable, err}
	}
	return &Error{General, err}
}

// timeUp is the error of a request whose context has ended.
func timeUp(ctx context.Context, last *Error) *Error {
	err := ended(ctx)
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{General, err}
	}
	if last != nil && last.Err != nil {
		return &Error{Timeout, errors.Join(err, last.Err)}
	}
	return &Error{Timeout, err}
}

// ended returns why ctx has ended: whether by time or by its owner, and with what
// cause if the owner gave one.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}

// codeOf maps what an exit says to what an application is told.
func codeOf(r cell.EndReason) Code {
	switch r {
	case cell.EndRefused, cell.EndReset, cell.EndDone:
		return Refused
	case cell.EndPolicy:
		return NotAllowed
	case cell.EndResolve, cell.EndNoRoute:
		return HostUnreachable
	case cell.EndTimeout:
		return Timeout
	}
	return General
}

// acquire returns a circuit for a request, counted as used. It waits for one.
func (c *Client) acquire(ctx context.Context, want wish) (*entry, error) {
	c.mu.Lock()
	now := time.Now()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if err := c.tooOld; err != nil {
		c.mu.Unlock()
		return nil, err
	}
	c.pool.predict(want.need.Port, now)
	if e, unused := c.pool.take(want, now); e != nil {
		c.mu.Unlock()
		if unused < portCircuits {
			c.nudge() // the stock runs out
		} else {
			c.nudgeLater()
		}
		return e, nil
	}
	if len(c.pool.waiters) >= maxWaiters {
		c.mu.Unlock()
		return nil, ErrTooMany
	}
	w := &waiter{want, make(chan grant, 1)}
	c.pool.waiters = append(c.pool.waiters, w)
	c.mu.Unlock()
	c.nudge()
	return c.await(ctx, w)
}

// await waits until the pool answers.
func (c *Client) await(ctx context.Context, w *waiter) (*entry, error) {
	var g grant
	select {
	case g = <-w.got:
	case <-ctx.Done():
		c.mu.Lock()
		c.pool.waiters = slices.DeleteFunc(c.pool.waiters, func(x *waiter) bool { return x == w })
		c.mu.Unlock()
		select {
		case g = <-w.got: // given in the last moment
		default:
			return nil, ErrNoCircuit
		}
	}
	if g.err != nil {
		return nil, g.err
	}
	c.nudgeLater()
	return g.e, nil
}

// used notes that a circuit's guard carries traffic. For a new guard that may
// take the last of the draw budget: circuits through other new ones are then no
// longer of use. mu is held.
func (c *Client) used(e *entry) {
	now := time.Now()
	if !c.guards.Used(e.attempt, now, c.rng) {
		return
	}
	for _, other := range c.pool.entries {
		if other != e && !c.guards.May(other.attempt, now) {
			other.retired = true
		}
	}
}

// release undoes one use of a circuit.
func (c *Client) release(e *entry) {
	c.mu.Lock()
	c.pool.release(e, time.Now())
	c.mu.Unlock()
	c.nudgeLater()
}

// retire keeps new streams off a circuit.
func (c *Client) retire(e *entry) {
	c.mu.Lock()
	e.retired = true
	c.mu.Unlock()
}

// discard takes a dead circuit out of the pool.
func (c *Client) discard(e *entry) {
	c.mu.Lock()
	e.retired = true
	c.pool.remove(e)
	c.mu.Unlock()
	_ = e.circuit.Close()
	c.nudge()
}

// refused reports whether an exit's answer is one that the client must not
// believe: a private address for a name of the public network.
func (c *Client) refused(reply cell.ConnectedReply) bool {
	return !c.netfile.PrivateAddresses && reply.Addr.IsValid() && directory.Private(reply.Addr)
}
