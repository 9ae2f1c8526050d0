package mirror

import (
	"context"
	"net"

	"tunic/directory"
	"tunic/directory/keys"
)

// A Client asks one mirror or authority, each request on a stream of its own.
// Its methods may be called at the same time.
type Client struct {
	// Dial opens a directory stream. It obeys ctx.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Consensus fetches the newest consensus of network n and verifies it. have is
// the checkpoint of the one held, nil if none: ErrNotNewer when the mirror has
// nothing newer. The time is not looked at: see directory.Consensus.Usable.
func (c *Client) Consensus(ctx context.Context, n *directory.Network, have *directory.Checkpoint) (*directory.Bundle, error) {
	panic("unwritten")
}

// Publish uploads a descriptor to an authority.
func (c *Client) Publish(ctx context.Context, descriptor []byte) error { panic("unwritten") }

// Descriptor fetches a relay's newest descriptor. The caller verifies it.
func (c *Client) Descriptor(ctx context.Context, id keys.RelayID) ([]byte, error) {
	panic("unwritten")
}

// Get fetches any document, of at most limit bytes packed and unpacked.
func (c *Client) Get(ctx context.Context, path string, limit int64) ([]byte, error) {
	panic("unwritten")
}

// Post uploads body and returns the answer, of at most limit bytes.
func (c *Client) Post(ctx context.Context, path string, body []byte, limit int64) ([]byte, error) {
	panic("unwritten")
}
