// Package client is the network's user, as a library: it finds the relays
// through the signed consensus, keeps guards, builds circuits ahead of use and
// opens streams on them, and mends all of that by itself. Front ends (SOCKS and
// the like) are users of it: see package proxy.
//
//	c, err := client.Open(ctx, client.Config{Network: network, StateDir: dir})
//	...
//	conn, err := c.DialContext(ctx, "tcp", "example.com:443")
//
// It never resolves a name itself: names go to the exit. A request that fails
// before anything of the application's has gone in is tried on other circuits,
// within the time that the caller's context leaves; after that it never is.
//
// Specification: docs/protocol.md, "Choosing a path" and "Clients"; for users
// docs/running-a-client.md.
package client

import (
	"context"
	"log/slog"
	"net"

	"tunic/cell"
	"tunic/directory"
)

// Config is what a client needs to know. Network and StateDir are required.
type Config struct {
	Network  *directory.Network
	StateDir string       // guards and the cached consensus; made if it is missing, locked while in use
	Log      *slog.Logger // nil discards
	// Notify is told of progress, in order, by one goroutine; it should return
	// soon. nil is told nothing.
	Notify func(Event)
}

// A Client is a running client. Its methods may be called at the same time.
type Client struct{}

// Open starts a client and waits until it is ready: its first circuit is open.
// On an error, which ends with ctx at the latest, nothing is left running.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	c, err := Start(cfg)
	if err != nil {
		return nil, err
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Start starts a client and returns at once; requests wait until it is ready.
func Start(cfg Config) (*Client, error) { panic("unwritten") }

// WaitReady waits until the client has had a circuit open.
func (c *Client) WaitReady(ctx context.Context) error { panic("unwritten") }

// Dial opens a stream and returns when the destination is connected. It tries
// several circuits and exits where that can help; ctx bounds the whole, two
// minutes do if it has no deadline. The error is an [*Error], the connection a
// [*Conn].
func (c *Client) Dial(ctx context.Context, r Request) (net.Conn, error) { panic("unwritten") }

// DialContext is Dial for "tcp", "tcp4" and "tcp6", in the form that net/http
// and others take.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	panic("unwritten")
}

// Resolve has an exit look a name up, or an address (Reverse). Private
// addresses are left out of the answer unless the network allows them.
func (c *Client) Resolve(ctx context.Context, r cell.ResolveRequest, isolation string) (cell.ResolvedReply, error) {
	panic("unwritten")
}

// Status describes the client at this moment.
func (c *Client) Status() Status { panic("unwritten") }

// Close ends all streams, circuits and links and waits for every goroutine.
func (c *Client) Close() error { panic("unwritten") }
