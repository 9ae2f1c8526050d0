package authority

import (
	"context"
	"time"
)

// probeLoop tests relays when they are due, several at a time.
func (a *Authority) probeLoop(ctx context.Context) {
	for {
		select {
		case a.probes <- struct{}{}:
		case <-ctx.Done():
			return
		}
		p := a.nextProbe(ctx)
		if p == nil {
			<-a.probes
			return
		}
		a.errands.Go(func() {
			defer func() { <-a.probes }()
			ok := p.run(ctx, a.test, a.reg.cadence.limit())
			if ctx.Err() != nil {
				return // says nothing about the relay
			}
			a.reg.tested(p.id, ok, time.Now())
			a.testsDue()
		})
	}
}

// nextProbe waits until a test is due; nil: ctx ended first.
func (a *Authority) nextProbe(ctx context.Context) *probe {
	for {
		p, next := a.reg.take(time.Now(), a.own.Addrs)
		if p != nil {
			return p
		}
		timer := time.NewTimer(a.reg.cadence.interval)
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-timer.C:
		case <-a.due:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// testsDue tells probeLoop that a test was planned.
func (a *Authority) testsDue() {
	select {
	case a.due <- struct{}{}:
	default: // a token is there
	}
}

// saveLoop writes what has been seen of relays from time to time, and descriptors
// soon: their relays believe that the authority has them, and were all authorities
// to lose them together, nobody would be listed.
func (a *Authority) saveLoop(ctx context.Context) {
	forgotten := time.Now()
	for a.awaitSaving(ctx) {
		if now := time.Now(); now.Sub(forgotten) >= forgetEvery {
			a.reg.forget(now)
			forgotten = now
		}
		if err := a.store.saveRelays(a.reg); err != nil {
			a.log.Error("state not written", keyError, err)
		}
	}
}

// awaitSaving waits until something is to be written, and reports whether ctx
// lasted.
func (a *Authority) awaitSaving(ctx context.Context) bool {
	timer := time.NewTimer(saveEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.unsaved:
		return sleepUntil(ctx, time.Now().Add(saveSoon)) == nil // others come at the same time
	case <-ctx.Done():
		return false
	}
}

// saveDue tells saveLoop that there is a new descriptor.
func (a *Authority) saveDue() {
	select {
	case a.unsaved <- struct{}{}:
	default: // a token is there
	}
}
