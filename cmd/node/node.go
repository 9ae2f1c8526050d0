package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"tunic/directory"
)

// Options are what a node needs beside its configuration.
type Options struct {
	Log    *slog.Logger
	Events func(Event)     // called for each step until the node is ready; nil: nobody listens
	Reload <-chan struct{} // a value asks for the configuration to be read again
	Config string          // the file to read again; empty: reload does nothing
	// Alone says that nothing else runs in this process: the settings of the
	// runtime's memory are the node's to make.
	Alone bool
}

func (o Options) event(e Event) {
	if o.Events != nil {
		o.Events(e)
	}
	notify(e)
}

// maxNetworkFile bounds a network file, in bytes; our choice, a network of nine
// authorities has 4 KiB.
const maxNetworkFile = 1 << 20

// LoadNetwork reads the network file at path.
func LoadNetwork(path string) (*directory.Network, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxNetworkFile+1))
	if err != nil {
		return nil, fmt.Errorf("network file: %w", err)
	}
	if len(b) > maxNetworkFile {
		return nil, fmt.Errorf("network file %s: larger than %d bytes", path, maxNetworkFile)
	}
	n, err := directory.ParseNetwork(b)
	if err != nil {
		return nil, fmt.Errorf("network file %s: %w", path, err)
	}
	return n, nil
}

// open checks what all nodes share, reads the network file and takes the state
// directory until the file returned is closed. It warns where the network gives
// up what keeps exits away from private addresses.
func (c *Common) open(o Options) (*directory.Network, *os.File, error) {
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	n, err := LoadNetwork(c.Network)
	if err != nil {
		return nil, nil, err
	}
	lock, err := Lock(c.State)
	if err != nil {
		return nil, nil, err
	}
	if n.PrivateAddresses {
		o.Log.Warn("this network allows private addresses: exits reach loopback and local networks; for tests only", "network", n.Name)
	}
	return n, lock, nil
}

// errNoReload is why a node that has nothing to take over does not reload.
var errNoReload = errors.New("only a relay takes over changes while it runs: restart this node")

// watchReload calls reload for each value of o.Reload until ctx ends.
func (o Options) watchReload(ctx context.Context, reload func() error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.Reload:
			if err := reload(); err != nil {
				o.Log.Error("reload failed; the old configuration stays", "error", err)
			} else {
				o.Log.Info("configuration reloaded")
			}
		}
	}
}
