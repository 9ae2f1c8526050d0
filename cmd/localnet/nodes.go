package localnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tunic/cmd/node"
)

// Names of the files in a network's directory, beside one directory per node.
const (
	nodesFile   = "nodes.json"
	networkFile = "network.toml"
)

// ErrRunning says that a network is running in a directory.
var ErrRunning = errors.New("a test network is running there")

// save writes nodes.json.
func (n *Network) save() error {
	b, err := json.MarshalIndent(n.Nodes, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(n.Plan.Dir, nodesFile)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Load reads the nodes of the network in dir.
func Load(dir string) ([]*Node, error) {
	b, err := os.ReadFile(filepath.Join(dir, nodesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not the directory of a test network: no %s in it", dir, nodesFile)
	}
	if err != nil {
		return nil, err
	}
	var nodes []*Node
	if err := json.Unmarshal(b, &nodes); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, nodesFile), err)
	}
	return nodes, nil
}

// Clear makes dir ready for a new network: it removes one that is down. It
// refuses a directory that holds anything else, and with [ErrRunning] one whose
// network runs.
func Clear(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	nodes, err := Load(dir)
	if err != nil {
		return fmt.Errorf("%w; an empty directory is needed", err)
	}
	ours := map[string]bool{nodesFile: true, nodesFile + ".new": true, networkFile: true}
	for _, n := range nodes {
		if _, err := node.Ask(ctx, n.State()); err == nil || runs(n) {
			return fmt.Errorf("%s: %w (tunic testnet down --dir %s)", dir, ErrRunning, dir)
		}
		ours[filepath.Base(n.Dir)] = true
	}
	for _, e := range entries {
		if !ours[e.Name()] {
			return fmt.Errorf("%s holds %s, which is no part of a test network; an empty directory is needed", dir, e.Name())
		}
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Down stops the nodes of the network in dir that another process started, and
// waits until none answers any more. Those that do not stop are killed.
func Down(ctx context.Context, dir string) (stopped int, err error) {
	nodes, err := Load(dir)
	if err != nil {
		return 0, err
	}
	for _, n := range nodes {
		if e := node.Stop(ctx, n.State()); e == nil {
			stopped++
		} else if !errors.Is(e, node.ErrNotRunning) {
			err = errors.Join(err, fmt.Errorf("%s: %w", n.Name, e))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, killAfter)
	defer cancel()
	for _, n := range nodes {
		if e := awaitEnd(ctx, n); e != nil {
			err = errors.Join(err, e)
		}
	}
	return stopped, err
}

// endPoll is how often a process that is not our child is asked whether it
// still runs; there is no other way to learn it that every system has.
const endPoll = 20 * time.Millisecond

// awaitEnd waits until the node's process is gone, and kills it when ctx ends.
func awaitEnd(ctx context.Context, n *Node) error {
	t := time.NewTicker(endPoll)
	defer t.Stop()
	for runs(n) {
		select {
		case <-t.C:
		case <-ctx.Done():
			if p, err := os.FindProcess(n.PID); err == nil {
				_ = p.Kill()
			}
			return fmt.Errorf("%s did not stop within %v and was killed", n.Name, killAfter)
		}
	}
	return nil
}
