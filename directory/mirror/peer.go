package mirror

import (
	"context"

	"tunic/cell/work"
	"tunic/directory/keys"
)

// A Peer is who opened a directory stream, as far as its link proved it.
type Peer struct {
	ID    keys.RelayID // zero if nothing was proven
	Class work.Class
	Link  uint64 // tells links apart: at most 4 streams of one link at a time
}

type peerKey struct{}

// WithPeer returns a context that carries the proven identity of the link.
func WithPeer(ctx context.Context, id keys.RelayID, class work.Class) context.Context {
	return context.WithValue(ctx, peerKey{}, Peer{ID: id, Class: class})
}

// PeerFrom returns what WithPeer put in; a context without is a stranger's.
func PeerFrom(ctx context.Context) (id keys.RelayID, class work.Class) {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p.ID, p.Class
}
