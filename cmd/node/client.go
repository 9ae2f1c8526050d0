package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"tunic/client"
	"tunic/client/proxy"
)

// RunClient runs a client with its proxy until ctx ends.
func RunClient(ctx context.Context, cfg ClientConfig, o Options) error {
	network, lock, err := cfg.open(o)
	if err != nil {
		return err
	}
	defer lock.Close()
	listeners, err := listen(cfg.Socks.Listen)
	if err != nil {
		return fmt.Errorf("SOCKS proxy: %w", err)
	}
	defer closeAll(listeners)
	if slices.ContainsFunc(cfg.Socks.Listen, func(a netip.AddrPort) bool { return !a.Addr().Unmap().IsLoopback() }) {
		o.Log.Warn("other machines may reach the SOCKS proxy: who does can use it, and is not asked who he is")
	}
	ready := make(chan struct{})
	most := cfg.queueMemory()
	c, err := client.Start(client.Config{Network: network, StateDir: cfg.State, Log: o.Log, Notify: clientEvents(o, ready),
		MaxMemory: most, Release: o.tuneMemory(most), GuardOverride: cfg.GuardOverride})
	if err != nil {
		return err
	}
	defer c.Close()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer announceStop(ctx, func() { cancel(nil) })()
	base := newStatus("client", network)
	control, err := serveControl(cfg.State, func() Status {
		s, cs := base, c.Status()
		s.Client = &cs
		return s
	}, func() { cancel(nil) })
	if err != nil {
		return err
	}
	defer control.close()
	go o.watchReload(ctx, func() error { return errNoReload }) // ends with ctx

	// The proxy listens from the start: requests wait until the client is ready.
	socks := proxy.NewServer(c, o.Log)
	defer socks.Close()
	for _, ln := range listeners {
		go func() { // ends with socks.Close
			if err := socks.Serve(ln); !errors.Is(err, net.ErrClosed) {
				cancel(fmt.Errorf("SOCKS proxy: %w", err))
			}
		}()
	}
	select {
	case <-ready:
		o.event(Event{Phase: "ready", Percent: 100, Message: "ready", Ready: true, Socks: listeners[0].Addr().String()})
		o.Log.Info("ready", "socks", listeners[0].Addr().String())
		<-ctx.Done()
	case <-ctx.Done():
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// clientEvents turns the client's progress into events, and closes ready when
// its first circuit is open. Notify is called by one goroutine.
func clientEvents(o Options, ready chan<- struct{}) func(client.Event) {
	done := false
	return func(e client.Event) {
		switch {
		case e.Problem == nil:
		case done:
			o.Log.Warn("trouble", "problem", e.Problem)
		default:
			o.Log.Warn("not ready yet", "phase", e.Phase.String(), "problem", e.Problem)
		}
		switch {
		case done:
		case e.Phase == client.Ready:
			done = true
			close(ready)
		default:
			o.event(Event{Phase: e.Phase.String(), Percent: e.Phase.Percent(), Message: e.Phase.String()})
		}
	}
}
