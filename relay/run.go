package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tunic/cell"
)

// Run listens, serves and publishes until ctx ends or the relay is closed; then
// streams get an END, links close, and Run returns nil when nothing runs any
// more. An address that cannot be listened on is an error.
func (r *Relay) Run(ctx context.Context) error {
	if err := r.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(r.ctx, cancel)
	defer stop()
	var loops sync.WaitGroup // each ends with ctx, or when its listener closes
	failed := make(chan error, len(r.listeners))
	for _, l := range r.listeners {
		loops.Go(func() {
			if err := r.pool.Serve(l); err != nil {
				failed <- fmt.Errorf("relay: %w", err)
			}
		})
	}
	loops.Go(r.serveDirectory)
	loops.Go(func() { r.keepKeys(ctx) })
	loops.Go(func() { r.memory.Run(ctx) })
	if r.cache != nil {
		loops.Go(func() { r.followConsensus(ctx) })
	}
	if r.cfg.Transit {
		loops.Go(func() { r.keepPublished(ctx) })
		loops.Go(func() { r.keepHistory(ctx) })
	}
	close(r.ready)
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	cancel()
	r.drain()
	loops.Wait()
	close(r.stopped)
	return err
}

// start opens the listeners; only once in a relay's life.
func (r *Relay) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != made {
		return ErrClosed
	}
	for _, a := range r.cfg.Listen {
		l, err := r.cfg.Transport.Listen(a)
		if err != nil {
			for _, l := range r.listeners {
				l.Close()
			}
			r.listeners = nil
			return fmt.Errorf("relay: listen on %v: %w", a, err)
		}
		r.listeners = append(r.listeners, l)
	}
	r.state = serving
	return nil
}

// spawn runs f in a goroutine that drain waits for; false when the relay stops.
func (r *Relay) spawn(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != serving {
		return false
	}
	r.running.Go(f)
	return true
}

// Close stops the relay as the end of Run's context does, and waits for it.
func (r *Relay) Close() error {
	r.mu.Lock()
	was := r.state
	if was == made {
		r.state = closed
	}
	r.mu.Unlock()
	if was == made {
		r.drain()
		close(r.stopped)
	}
	r.cancel()
	<-r.stopped
	return nil
}

// drain ends everything in the order in which peers learn the most: streams get
// an END with a reason, what is queued is sent, links close.
func (r *Relay) drain() {
	r.draining.Store(true)
	r.mu.Lock()
	r.state = closed
	r.mu.Unlock()
	ended := r.streams.refuseAll(cell.EndHibernating)
	r.cancel() // dials and EXTENDs under way
	if r.exit != nil {
		r.exit.Close()
	}
	r.running.Wait()
	if ended > 0 {
		<-time.After(lastWords)
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if r.dirHTTP.Shutdown(ctx) != nil {
		r.dirHTTP.Close()
	}
	r.dirs.Close()
	r.pool.Close()
	r.work.Close()
	r.turns.close()
	if r.cfg.Transit {
		r.saveHistory()
	}
}

func (r *Relay) serveDirectory() {
	if err := r.dirHTTP.Serve(r.dirs); !errors.Is(err, http.ErrServerClosed) {
		r.log.Debug("directory closed", slog.Any("error", err))
	}
}

const ( // our choice
	saveEvery = time.Hour // a crash loses at most that much of the bandwidth history
	// lastWords is how long ENDs have to reach clients before the links close: a
	// link that closes takes along what its circuits have queued further on.
	lastWords = 500 * time.Millisecond
)

// keepHistory saves the bandwidth history from time to time, until ctx ends.
func (r *Relay) keepHistory(ctx context.Context) {
	for sleep(ctx, saveEvery) {
		r.saveHistory()
	}
}

func (r *Relay) saveHistory() {
	if err := saveHistory(r.cfg.Dir, r.read, r.write, time.Now()); err != nil {
		r.log.Warn("bandwidth history not saved", slog.Any("error", err))
	}
}
