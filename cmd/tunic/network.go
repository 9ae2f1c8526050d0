package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
	"tunic/directory"
)

func newNetwork() *cobra.Command {
	return group(&cobra.Command{
		Use:   "network",
		Short: "make a network file, and read a network's documents",
		Example: `  tunic network new --name lab --authority state/authority.toml --test --out network.toml
  tunic network show --network network.toml consensus`,
	}, newNetworkNew(), newNetworkUpdate(), newNetworkShow(), newNetworkAudit())
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
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, path := range authorities {
				a, err := node.ReadFacts(path)
				if err != nil {
					return err
				}
				n.Authorities = append(n.Authorities, a)
			}
			n.Timing = directory.DefaultTiming(time.Now())
			if test {
				n.Timing, n.PrivateAddresses = directory.TestTiming(time.Now()), true
			}
			if start != "" {
				at, err := time.Parse(time.RFC3339, start)
				if err != nil {
					return usageError{fmt.Errorf("--start %s: use a time as 2026-12-01T12:00:00Z", start)}
				}
				n.Timing.Start = at
			}
			if period != 0 {
				n.Timing.Period = period
			}
			return writeNetwork(cmd.OutOrStdout(), out, &n)
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

// writeNetwork writes a network file to the file named out, which must not be
// there yet, or to w where none is named.
func writeNetwork(w io.Writer, out string, n *directory.Network) error {
	b, err := n.Encode()
	if err != nil {
		return err
	}
	if out == "" {
		_, err = w.Write(b)
		return err
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) // public
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
