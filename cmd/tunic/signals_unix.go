//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilHangup returns a context that also ends when the terminal closes: for
// commands that clean up after themselves and have nothing to reload.
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// reloads returns a channel with a value for each SIGHUP, until ctx ends.
func reloads(ctx context.Context) <-chan struct{} {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	out := make(chan struct{}, 1)
	go func() { // ends with ctx
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				select {
				case out <- struct{}{}:
				default: // one reload is waiting already
				}
			}
		}
	}()
	return out
}
