package localnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"tunic/cmd/node"
	"tunic/directory"
)

// An InProcess is a network whose nodes all run in this process: for tests and
// benchmarks that look inside, and for those of programs that embed the client.
type InProcess struct {
	Plan  Plan
	File  *directory.Network
	Nodes []*Node

	stop map[string]context.CancelFunc
	done map[string]chan struct{}

	mu     sync.Mutex // guards errs
	errs   []error
	failed chan struct{} // closed with the first error
}

// StartInProcess writes the network that the plan describes and runs its nodes
// until Stop. It returns when all of them are ready.
func StartInProcess(ctx context.Context, plan Plan, log *slog.Logger) (*InProcess, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	written, err := write(plan)
	if err != nil {
		return nil, err
	}
	n := &InProcess{Plan: plan, File: written.File, Nodes: written.Nodes,
		stop: map[string]context.CancelFunc{}, done: map[string]chan struct{}{}, failed: make(chan struct{})}
	ready := make(chan struct{}, len(n.Nodes))
	for _, nd := range n.Nodes {
		n.run(nd, log, ready)
	}
	for range n.Nodes {
		select {
		case <-ready:
		case <-n.failed:
			return nil, n.Stop()
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("network in process: %w", context.Cause(ctx)), n.Stop())
		}
	}
	return n, nil
}

// run runs one node in a goroutine of its own, which ends with its context.
func (n *InProcess) run(nd *Node, log *slog.Logger, ready chan<- struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	n.stop[nd.Name], n.done[nd.Name] = cancel, done
	o := node.Options{Log: log.With("node", nd.Name), Config: nd.Config(), Events: func(e node.Event) {
		if e.Ready {
			nd.Socks = e.Socks
			ready <- struct{}{}
		}
	}}
	go func() {
		defer close(done)
		if err := runNode(ctx, nd, o); err != nil && ctx.Err() == nil {
			n.fail(fmt.Errorf("%s: %w", nd.Name, err))
		}
	}()
}

func (n *InProcess) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.errs = append(n.errs, err); len(n.errs) == 1 {
		close(n.failed)
	}
}

// runNode runs a node by its configuration file.
func runNode(ctx context.Context, nd *Node, o node.Options) error {
	switch nd.Role {
	case Authority:
		var c node.AuthorityConfig
		if err := node.Load(nd.Config(), &c); err != nil {
			return err
		}
		return node.RunAuthority(ctx, c, o)
	case Relay:
		var c node.RelayConfig
		if err := node.Load(nd.Config(), &c); err != nil {
			return err
		}
		return node.RunRelay(ctx, c, o)
	default:
		var c node.ClientConfig
		if err := node.Load(nd.Config(), &c); err != nil {
			return err
		}
		return node.RunClient(ctx, c, o)
	}
}

// Node returns the node of that name, nil if there is none.
func (n *InProcess) Node(name string) *Node { return find(n.Nodes, name) }

// Stop stops all nodes, clients first, and returns what went wrong since the
// start.
func (n *InProcess) Stop() error {
	for _, role := range []Role{Client, Relay, Authority} {
		for _, nd := range n.Nodes {
			if nd.Role == role {
				n.stop[nd.Name]()
			}
		}
		for _, nd := range n.Nodes {
			if nd.Role == role {
				<-n.done[nd.Name]
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(n.errs...)
}
