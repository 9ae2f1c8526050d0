package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
	"tunic/directory"
	"tunic/directory/mirror"
)

func newNetwork() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "network",
		Short: "make a network file, and read a network's documents",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNetworkNew(), newNetworkShow())
	return cmd
}

func newNetworkNew() *cobra.Command {
	var n directory.Network
	var authorities []string
	var start, out string
	var period time.Duration
	var test bool
	cmd := &cobra.Command{
		Use:   "new",
		Short: "make a network file from the authorities' public facts",
		Long: `Makes a network file from the files that 'tunic keys create-authority' wrote: name,
keys and addresses of the authorities, and the timeline. It is all that users,
relays and authorities need to be handed.`,
		Example: `  tunic network new --name example --authority alice.toml --authority bob.toml \
      --authority carol.toml --start 2026-12-01T12:00:00Z --out network.toml
  tunic network new --name lab --authority state/authority.toml --test --out network.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, path := range authorities {
				a, err := node.ReadFacts(path)
				if err != nil {
					return err
				}
				n.Authorities = append(n.Authorities, a)
			}
			at := time.Now()
			if start != "" {
				var err error
				if at, err = time.Parse(time.RFC3339, start); err != nil {
					return usageError{fmt.Errorf("--start %s: use a time as 2026-12-01T12:00:00Z", start)}
				}
			}
			if n.Timing = directory.DefaultTiming(at); test {
				n.Timing, n.PrivateAddresses = directory.TestTiming(at), true
			} else if start != "" {
				n.Timing.Start = at
			}
			if period != 0 {
				n.Timing.Period = period
			}
			b, err := n.Encode()
			if err != nil {
				return err
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(b)
				return err
			}
			f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if err != nil {
				return err
			}
			_, err = f.Write(b)
			return errors.Join(err, f.Close())
		},
	}
	p := cmd.Flags()
	p.StringVar(&n.Name, "name", "", "the network's `name`")
	p.StringArrayVar(&authorities, "authority", nil, "`file` of an authority's facts; once for each")
	p.StringVar(&start, "start", "", "when the first consensus becomes valid (default: the next full hour)")
	p.DurationVar(&period, "period", 0, "time between two consensuses (default 1h)")
	p.BoolVar(&n.SameSubnet, "same-subnet", false, "let relays of one /16 share a circuit (for networks in one place)")
	p.BoolVar(&test, "test", false, "a test network: at once, with private addresses; never for real use")
	p.StringVar(&out, "out", "", "`file` to write (default: standard output)")
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.MarkFlagRequired("authority")
	return cmd
}

func newNetworkShow() *cobra.Command {
	var network string
	var raw bool
	cmd := &cobra.Command{
		Use:   "show FILE | --network FILE [consensus|descriptor ID]",
		Short: "print any document of a network in readable form",
		Long: `Prints a network file, descriptor, vote, checkpoint or consensus in readable form,
from a file or, with --network, fetched from the network's authorities. What is
signed is verified where the network file is given.`,
		Example: `  tunic network show network.toml
  tunic network show --network network.toml consensus
  tunic network show --network network.toml descriptor 4LxPg...
  tunic network show --network network.toml state/consensus`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var n *directory.Network
			if network != "" {
				var err error
				if n, err = node.LoadNetwork(network); err != nil {
					return err
				}
			}
			b, err := document(cmd.Context(), n, network, args)
			if err != nil {
				return err
			}
			if raw {
				_, err = cmd.OutOrStdout().Write(b)
				return err
			}
			return showDocument(cmd.OutOrStdout(), b, n)
		},
	}
	cmd.Flags().StringVar(&network, "network", "", "network `file` to verify with and fetch from")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the document as it is")
	return cmd
}

// maxDocument bounds a document read from a file, in bytes: a vote's size.
const maxDocument = 32 << 20

// document fetches or reads what the arguments name.
func document(ctx context.Context, n *directory.Network, network string, args []string) ([]byte, error) {
	switch {
	case len(args) == 0 && n != nil:
		return readFile(network)
	case len(args) == 1 && args[0] == "consensus" && n != nil:
		return node.Fetch(ctx, n, mirror.PathConsensus)
	case len(args) == 2 && args[0] == "descriptor" && n != nil:
		return node.Fetch(ctx, n, mirror.PathOf+args[1])
	case len(args) == 1:
		return readFile(args[0])
	}
	return nil, usageError{errors.New("what to show? a file, or with --network: consensus, or descriptor and an identity")}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDocument))
}

// showDocument finds out what b is, and prints it.
func showDocument(w io.Writer, b []byte, n *directory.Network) error {
	if file, err := directory.ParseNetwork(b); err == nil {
		showNetwork(w, file, time.Now())
		return nil
	}
	if n != nil {
		if bundle, err := directory.OpenBundle(b, n); err == nil {
			showBundle(w, bundle, n)
			return nil
		}
		if d, err := directory.ParseDescriptor(b, n, time.Now()); err == nil {
			showDescriptor(w, d)
			return nil
		}
		if v, err := directory.ParseVote(b, n); err == nil {
			showVote(w, v, n)
			return nil
		}
	}
	if c, err := directory.ParseConsensus(b); err == nil {
		fmt.Fprintln(w, "not verified: a consensus without its signatures")
		showConsensus(w, c)
		return nil
	}
	if s, err := directory.ParseSignedCheckpoint(b); err == nil {
		fmt.Fprint(w, "not verified\n", s.Checkpoint.Text())
		return nil
	}
	hint := ""
	if n == nil {
		hint = "; signed documents need --network, to verify them"
	}
	return errors.New("no document that this version knows, or one that does not verify" + hint)
}

func showNetwork(w io.Writer, n *directory.Network, now time.Time) {
	fmt.Fprintf(w, "network %s, digest %v\n", n.Name, n.Digest())
	if n.PrivateAddresses {
		fmt.Fprintln(w, "private_addresses: a test network; its exits reach loopback and local networks")
	}
	if n.SameSubnet {
		fmt.Fprintln(w, "same_subnet: relays of one /16 may share a circuit")
	}
	t := n.Timing
	fmt.Fprintf(w, "first consensus at %s, then every %v", clock(t.Start), t.Period)
	if t.InitialRounds > 0 {
		fmt.Fprintf(w, " after %d rounds of %v", t.InitialRounds, t.InitialPeriod)
	}
	fmt.Fprintf(w, "\nnext at %s\n", clock(n.NextRound(now).ValidAfter))
	fmt.Fprintf(w, "%d authorities, %d signatures make a consensus\n", len(n.Authorities), n.Majority())
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, a := range n.Authorities {
		fmt.Fprintf(tw, "  %s\t%v\t%v\n", a.Name, a.ID, a.Addrs)
	}
	for _, f := range n.Fallbacks {
		fmt.Fprintf(tw, "  fallback\t%v\t%v\n", f.ID, f.Addrs)
	}
	tw.Flush()
}

func showBundle(w io.Writer, b *directory.Bundle, n *directory.Network) {
	var names []string
	for _, id := range b.Signed.Signers(n) {
		names = append(names, n.Authority(id).Name)
	}
	fmt.Fprintf(w, "verified: signed by %d of %d authorities (%s); number %d of the log\n",
		len(names), len(n.Authorities), strings.Join(names, ", "), b.Signed.Checkpoint.Size)
	showConsensus(w, b.Consensus)
}

func showConsensus(w io.Writer, c *directory.Consensus) {
	fmt.Fprintf(w, "consensus of network %s, method %d, from %d votes\n", c.Network, c.Method, len(c.Votes))
	fmt.Fprintf(w, "valid after %s, fresh until %s, valid until %s\n", clock(c.ValidAfter), clock(c.FreshUntil), clock(c.ValidUntil))
	fmt.Fprintf(w, "position weights: %+v of %d\n", c.Weights, directory.WeightScale)
	for _, p := range c.Params {
		fmt.Fprintf(w, "param %s %d\n", p.Name, p.Value)
	}
	showRelays(w, c.Relays)
}

func showRelays(w io.Writer, relays []directory.Relay) {
	fmt.Fprintf(w, "%d relays\n", len(relays))
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "  NICKNAME\tIDENTITY\tADDRESSES\tKB/S\tFLAGS\tPORTS")
	for _, r := range relays {
		fmt.Fprintf(tw, "  %s\t%v\t%v\t%d\t%v\t%v\n", r.Nickname, r.ID, r.Addrs, r.Weight, r.Flags, r.Ports)
	}
	tw.Flush()
}

func showDescriptor(w io.Writer, d *directory.Descriptor) {
	fmt.Fprintf(w, "verified: descriptor of relay %s, %v\n", d.Nickname, d.ID)
	fmt.Fprintf(w, "published %s, up %v, %s\n", clock(d.Published), d.Uptime, d.Platform)
	fmt.Fprintf(w, "addresses %v\n", d.Addrs)
	fmt.Fprintf(w, "bandwidth: offers %s/s, bursts of %s, saw %s/s\n", size(d.Rate), size(d.Burst), size(d.Observed))
	fmt.Fprintf(w, "handshakes: links %v, hops %v\n", d.LinkVersions, d.HopVersions)
	if d.Policy.RejectsAll() {
		fmt.Fprintln(w, "no exit")
	}
	for _, r := range d.Policy.Rules {
		fmt.Fprintf(w, "  %v\n", r)
	}
}

func showVote(w io.Writer, v *directory.Vote, n *directory.Network) {
	name := v.Author.String()
	if a := n.Authority(v.Author); a != nil {
		name = a.Name
	}
	fmt.Fprintf(w, "verified: vote of %s for %s, made %s, votes on %v\n", name, clock(v.ValidAfter), clock(v.Published), v.Known)
	relays := make([]directory.Relay, len(v.Entries))
	for i, e := range v.Entries {
		relays[i] = e.Relay
	}
	showRelays(w, relays)
}
