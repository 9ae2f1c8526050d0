//go:build !unix

package main

import "context"

// reloads returns a channel without values: there is no SIGHUP here.
func reloads(context.Context) <-chan struct{} { return nil }

// untilHangup returns ctx: terminals that close say so otherwise here.
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
