package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"tunic/cell/link"
	"tunic/circuit"
	"tunic/directory"
	"tunic/directory/mirror"
)

const ( // our choice
	fetchLimit  = 30 * time.Second // for one document from one authority
	maxDocument = 32 << 20         // bytes; the largest, a vote
)

// Fetch fetches a document of the directory from the first authority that
// answers, over a link like any other client's.
func Fetch(ctx context.Context, n *directory.Network, path string) ([]byte, error) {
	pool := link.NewPool(link.Config{Network: n.Digest()})
	defer pool.Close()
	var failed []error
	for _, a := range n.Authorities {
		b, err := fetchFrom(ctx, pool, n, a, path)
		if err == nil {
			return b, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", a.Name, err))
	}
	return nil, errors.Join(failed...)
}

func fetchFrom(ctx context.Context, pool *link.Pool, n *directory.Network, a directory.Authority, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	l, err := pool.Dial(ctx, link.Target{ID: a.ID, Key: a.LinkKey, Addrs: a.Addrs})
	if err != nil {
		return nil, err
	}
	c, err := circuit.OpenDir(ctx, l, circuit.Params{Network: n.Digest()})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m := mirror.Client{Dial: func(context.Context) (net.Conn, error) { return c.BeginDir() }}
	return m.Get(ctx, path, maxDocument)
}

// VotePath returns where authorities keep a vote, for a while after the
// consensus that it went into.
func VotePath(validAfter time.Time, v directory.VoteRef) string {
	return fmt.Sprintf("%s%d/%v/%v", pathVote, validAfter.UnixMilli(), v.Author, v.Digest)
}

const pathVote = "/tunic/1/vote/" // fixed by docs/protocol.md, "Directory over HTTP"
