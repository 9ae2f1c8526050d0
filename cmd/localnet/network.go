package localnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"tunic/directory"
)

// A Network is a running network of processes.
type Network struct {
	Plan  Plan
	File  *directory.Network
	Nodes []*Node

	procs []*process
}

// Options say how the nodes of a network run.
type Options struct {
	Executable string       // the tunic program; empty: this process's own
	Tied       bool         // the nodes end with this process
	Report     func(Report) // called for each event of a node, from one goroutine; nil: nobody listens
}

// Start writes the network that the plan describes and starts its nodes. It
// returns when all of them are ready, or after it has stopped them all because
// one failed or ctx ended; the error then holds the end of that node's log.
func Start(ctx context.Context, plan Plan, o Options) (*Network, error) {
	if err := plan.check(); err != nil {
		return nil, err
	}
	if o.Executable == "" {
		var err error
		if o.Executable, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	n, err := write(plan)
	if err != nil {
		return nil, err
	}
	if err := n.launch(ctx, o); err != nil {
		return nil, errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
	}
	return n, nil
}

// launch starts the processes and waits until all are ready.
func (n *Network) launch(ctx context.Context, o Options) error {
	reports := make(chan Report, eventBuffer*len(n.Nodes))
	stop := forward(reports, o.Report)
	defer stop()
	for _, node := range n.Nodes {
		p, err := launch(o.Executable, node, o.Tied, reports)
		if err != nil {
			return err
		}
		n.procs = append(n.procs, p)
	}
	if err := n.save(); err != nil {
		return err
	}
	for _, p := range n.procs {
		if err := n.await(ctx, p); err != nil {
			return err
		}
	}
	return n.save()
}

// await waits until p is ready; the end of any other node ends the wait too.
func (n *Network) await(ctx context.Context, p *process) error {
	failed := make(chan *process, len(n.procs))
	done := make(chan struct{})
	defer close(done)
	for _, q := range n.procs {
		go func() { // ends with await
			select {
			case <-q.exited:
				failed <- q
			case <-done:
			}
		}()
	}
	select {
	case <-p.ready:
		return nil
	case q := <-failed:
		return q.failure()
	case <-ctx.Done():
		return fmt.Errorf("%s was not ready: %w; the end of its log:\n%s", p.node.Name, context.Cause(ctx), tail(p.node.Log()))
	}
}

// forward calls report for each report until the returned function is called.
func forward(reports <-chan Report, report func(Report)) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(done)
		for {
			select {
			case r := <-reports:
				if report != nil {
					report(r)
				}
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// Node returns the node of that name, nil if there is none.
func (n *Network) Node(name string) *Node { return find(n.Nodes, name) }

func find(nodes []*Node, name string) *Node {
	for _, nd := range nodes {
		if nd.Name == name {
			return nd
		}
	}
	return nil
}

// Kill ends a node at once, as SIGKILL does, and waits until it is gone.
func (n *Network) Kill(name string) error {
	for _, p := range n.procs {
		if p.node.Name == name {
			err := p.cmd.Process.Kill()
			<-p.exited
			return err
		}
	}
	return fmt.Errorf("no node %q", name)
}

// Stop stops all nodes: clients first, authorities last, each kind side by side.
func (n *Network) Stop(ctx context.Context) error {
	var all []error
	for _, role := range []Role{Client, Relay, Authority} {
		var wg sync.WaitGroup
		errs := make([]error, len(n.procs))
		for i, p := range n.procs {
			if p.node.Role == role {
				wg.Go(func() { errs[i] = p.stop(ctx) })
			}
		}
		wg.Wait()
		all = append(all, errs...)
	}
	return errors.Join(all...)
}
