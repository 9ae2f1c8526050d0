package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"tunic/directory"
	"tunic/directory/mirror"
)

const ( // our choice
	fetchTimeout = 30 * time.Second // one fetch of a consensus from one authority
	maxBehind    = 3                // authorities without anything newer that are believed
)

// A fetcher keeps the relay's copy of the consensus new. One fetch runs at a
// time; those who need the newest consensus wait for it.
type fetcher struct {
	run func(ctx context.Context) error // fetches once from somebody; set before use

	mu     sync.Mutex    // guards what follows
	flight chan struct{} // closed when the fetch under way ends; nil if there is none
	last   time.Time     // when the last one began
	err    error         // what became of the last one
	gap    func() time.Duration
}

// fetch fetches now, or waits for the fetch under way.
func (f *fetcher) fetch(ctx context.Context) error {
	f.mu.Lock()
	if f.run == nil { // this relay fetches nothing
		f.mu.Unlock()
		return mirror.ErrNotNewer
	}
	flight := f.flight
	if flight == nil {
		flight = make(chan struct{})
		f.flight, f.last = flight, time.Now()
		f.mu.Unlock()
		err := f.run(ctx)
		f.mu.Lock()
		f.flight, f.err = nil, err
		f.mu.Unlock()
		close(flight)
		return err
	}
	f.mu.Unlock()
	select {
	case <-flight:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refresh fetches the newest consensus because somebody named a relay that the
// one here does not list; at most once in [refreshAfter], whoever asks. Where the
// next may be fetched within [refreshWait] it waits for that: a neighbour that has
// the first consensus some milliseconds earlier is no stranger.
func (f *fetcher) refresh(ctx context.Context) {
	asked := time.Now()
	for {
		f.mu.Lock()
		var wait time.Duration
		if f.flight == nil && f.gap != nil && !f.last.IsZero() {
			wait = f.gap() - time.Since(f.last)
		}
		fetched := f.flight == nil && f.last.After(asked)
		f.mu.Unlock()
		switch {
		case fetched: // by another that waited
			return
		case wait <= 0:
			_ = f.fetch(ctx) // the consensus that is there shows what came of it
			return
		case wait > refreshWait || !sleep(ctx, wait):
			return
		}
	}
}

// fetchOnce asks the authorities in a drawn order until one has something newer.
func (r *Relay) fetchOnce(ctx context.Context) error {
	err := error(mirror.ErrNotNewer)
	behind := 0 // authorities that have nothing newer
	for _, i := range rand.Perm(len(r.cfg.Network.Authorities)) {
		a := &r.cfg.Network.Authorities[i]
		one := r.fetchFrom(ctx, a)
		switch {
		case one == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(one, mirror.ErrNotNewer):
			if behind++; behind == maxBehind {
				return err
			}
		default:
			r.log.Debug("consensus not fetched", slog.String("authority", a.Name), slog.Any("error", one))
			err = one
		}
	}
	return err
}

func (r *Relay) fetchFrom(ctx context.Context, a *directory.Authority) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var have *directory.Checkpoint
	if b := r.cache.Current(); b != nil {
		have = &b.Signed.Checkpoint
	}
	b, err := r.ask(a).Consensus(ctx, r.cfg.Network, have)
	if err != nil {
		return err
	}
	if _, err := b.Consensus.Usable(r.cfg.Network, time.Now()); err != nil {
		return err
	}
	err = r.cache.Put(b)
	if err == nil || errors.Is(err, directory.ErrOlder) {
		return err
	}
	r.log.Warn("consensus not saved", slog.Any("error", err)) // it is the newest all the same
	return nil
}

// followConsensus fetches each consensus when it is due, until ctx ends.
func (r *Relay) followConsensus(ctx context.Context) {
	var s mirror.Schedule
	rng := newRand()
	told := false // that what the authorities have is of another time
	for {
		now := time.Now()
		next := s.Next(r.cfg.Network, r.consensus(), mirror.AsMirror, now, rng)
		if !sleep(ctx, next.Sub(now)) {
			return
		}
		before := r.consensus()
		err := r.fetch.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && r.consensus() == before {
			if otherTime := errors.Is(err, directory.ErrExpired) || errors.Is(err, directory.ErrFuture); otherTime && !told {
				told = true
				r.log.Warn("consensus not usable: is this machine's clock right?", slog.Any("error", err))
			}
			putOff(&s, r.cfg.Network, err, time.Now(), rng)
			continue
		}
		told = false
		s.Succeeded()
		r.log.Debug("consensus fetched", slog.Int("relays", len(r.consensus().Relays)))
	}
}

// putOff notes a fetch that brought nothing, and that whom it asked may want to be
// left alone for a while.
func putOff(s *mirror.Schedule, n *directory.Network, err error, now time.Time, rng *rand.Rand) {
	s.Failed(n, now, rng)
	if busy, ok := errors.AsType[*mirror.BusyError](err); ok {
		s.Busy(n, busy.RetryAfter, now)
	}
}

// consensus returns the newest consensus, nil if there is none.
func (r *Relay) consensus() *directory.Consensus {
	if b := r.view.current(); b != nil {
		return b.Consensus
	}
	return nil
}

// sleep waits for d and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
