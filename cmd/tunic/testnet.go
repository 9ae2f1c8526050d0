package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/demo"
	"tunic/cmd/localnet"
	"tunic/cmd/node"
)

// upLimit bounds how long a test network may take to work; our choice: twenty
// times what it takes.
const upLimit = 90 * time.Second // on a machine that misses all initial rounds, the first period after them

func newTestnet() *cobra.Command {
	return group(&cobra.Command{
		Use:   "testnet",
		Short: "run a private test network on this machine",
		Long: `Runs a whole network on this machine, each node a process of its own, for tests
and measurements. Its exits reach loopback and private addresses.`,
		Example: `  tunic testnet up --dir net --authorities 3 --relays 5 --clients 1
  curl --proxy socks5h://$(jq -r '.[] | select(.role == "client") | .socks' net/nodes.json) http://127.0.0.1:8000/
  tunic testnet status --dir net
  tunic testnet down --dir net`,
	}, newTestnetUp(), newTestnetStatus(), newTestnetDown())
}

func newTestnetUp() *cobra.Command {
	var plan localnet.Plan
	cmd := &cobra.Command{
		Use:   "up",
		Short: "start a test network and return when a request through it works",
		Long: `Writes keys, configuration and network file below the directory, starts each node
as a process of its own and returns when a request through the first client
works. The directory then holds nodes.json, a list of
{name, role, dir, pid, socks}. On the directory of a test network that is down it
starts anew from nothing.`,
		Example: `  tunic testnet up --dir net
  tunic testnet up --dir net --authorities 5 --relays 9 --exits 3 --clients 2`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilHangup(cmd.Context())
			defer stop()
			return testnetUp(ctx, plan, cmd.ErrOrStderr())
		},
	}
	p := cmd.Flags()
	p.StringVar(&plan.Dir, "dir", "", "`directory` of the network")
	p.StringVar(&plan.Name, "name", "testnet", "the network's `name`")
	p.IntVar(&plan.Authorities, "authorities", 3, "number of directory authorities")
	p.IntVar(&plan.Relays, "relays", 5, "number of relays")
	p.IntVar(&plan.Exits, "exits", 0, "how many relays are exits (default half of them, rounded up)")
	p.IntVar(&plan.Clients, "clients", 1, "number of clients")
	p.BoolVar(&plan.Addresses, "log-addresses", false, "let the nodes show addresses in logs and status")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

func testnetUp(ctx context.Context, plan localnet.Plan, out io.Writer) error {
	var err error
	if plan.Dir, err = filepath.Abs(plan.Dir); err != nil {
		return err
	}
	if err := localnet.Clear(ctx, plan.Dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, upLimit)
	defer cancel()
	p := demo.NewProgress(out)
	net, err := localnet.Start(ctx, plan, localnet.Options{Report: p.Report(plan)})
	if err != nil {
		p.Line("the network did not start")
		return err
	}
	if err := net.Try(ctx); err != nil {
		_ = net.Stop(context.WithoutCancel(ctx))
		return fmt.Errorf("a request through the network failed: %w", err)
	}
	p.Line("ready after %s: %d authorities, %d relays (%d exits), %d clients", p.Since(),
		plan.Authorities, net.Plan.Relays, net.Plan.Exits, plan.Clients)
	for _, n := range net.Nodes {
		if n.Socks != "" {
			p.Line("  %s  socks5h://%s", n.Name, n.Socks)
		}
	}
	return nil
}

func newTestnetStatus() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "say which nodes of a test network run",
		Example: "  tunic testnet status --dir net",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			nodes, err := localnet.Load(dir)
			if err != nil {
				return err
			}
			down := 0
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NODE\tROLE\tPID\tSTATE\tSOCKS")
			for _, n := range nodes {
				state := "down"
				s, err := node.Ask(cmd.Context(), n.State())
				switch {
				case err == nil:
					state = summary(s)
				case errors.Is(err, node.ErrNotRunning):
					down++
				default:
					state = "no answer: " + err.Error()
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", n.Name, n.Role, n.PID, state, n.Socks)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if down > 0 {
				return fmt.Errorf("%d of %d nodes are down", down, len(nodes))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`directory` of the network")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

func newTestnetDown() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "down",
		Short:   "stop a test network",
		Long:    "Stops all nodes of a test network and waits for them. Logs and keys stay; a later 'up' removes them.",
		Example: "  tunic testnet down --dir net",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := localnet.Down(cmd.Context(), dir)
			fmt.Fprintf(cmd.ErrOrStderr(), "%d nodes stopped\n", n)
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "`directory` of the network")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}
