//go:build !unix

package main

import "context"

// reloads returns a channel without values: there is no SIGHUP here.
func reloads(context.Context) <-chan struct{} { return nil }
