package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
	"tunic/directory"
)

// fallbackFlags are what a relay must be known for to stand in the network file.
const fallbackFlags = directory.Running | directory.Valid | directory.Fast | directory.Stable

func newNetworkUpdate() *cobra.Command {
	var network, out string
	var authorities []string
	var count int
	cmd := &cobra.Command{
		Use:   "update",
		Short: "write a network file anew, with new link keys, addresses or fallback mirrors",
		Long: `Writes a network file anew. Old and new file are of one network, since name and
identity keys stay what they are.

--authority puts in what an authority's new facts say: after a new link or note
key, or a new address. --fallbacks fetches the consensus of the running network and
puts in its fastest stable relays as mirrors that new clients ask first, so that
they do not all come to the authorities; those that the file named before are
dropped. Relays renew their link keys twice a year: make a new file each quarter.`,
		Example: `  tunic network update --network network.toml --fallbacks 20 --out new.toml
  tunic network update --network network.toml --authority alice.toml --out new.toml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(authorities) == 0 && count == 0 {
				return usageError{errors.New("what to change? give --authority or --fallbacks")}
			}
			if count < 0 {
				return usageError{fmt.Errorf("--fallbacks %d: use 1 to %d", count, directory.MaxFallbacks)}
			}
			n, err := node.LoadNetwork(network)
			if err != nil {
				return err
			}
			for _, path := range authorities {
				if err := replaceAuthority(n, path); err != nil {
					return err
				}
			}
			if count > 0 {
				if err := newFallbacks(cmd.Context(), n, count); err != nil {
					return err
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%d fallback mirrors\n", len(n.Fallbacks))
			}
			return writeNetwork(cmd.OutOrStdout(), out, n)
		},
	}
	p := cmd.Flags()
	p.StringVar(&network, "network", "", "network `file` as it is")
	p.StringArrayVar(&authorities, "authority", nil, "`file` of an authority's new facts; once for each")
	p.IntVar(&count, "fallbacks", 0, "how many fallback mirrors to put in, at most")
	p.StringVar(&out, "out", "", "`file` to write (default: standard output)")
	_ = cmd.MarkFlagRequired("network")
	return cmd
}

// replaceAuthority puts the facts in the file at path in the place of those of
// the same authority.
func replaceAuthority(n *directory.Network, path string) error {
	fresh, err := node.ReadFacts(path)
	if err != nil {
		return err
	}
	old := n.Authority(fresh.ID)
	if old == nil {
		return fmt.Errorf("%s: network %s has no authority with that identity; another one makes another network, by 'tunic network new'", path, n.Name)
	}
	*old = fresh
	return nil
}

// newFallbacks puts relays of the newest consensus into n.
func newFallbacks(ctx context.Context, n *directory.Network, count int) error {
	b, err := fetchConsensus(ctx, n)
	if err != nil {
		return err
	}
	bundle, err := directory.OpenBundle(b, n)
	if err != nil {
		return err
	}
	if _, err := bundle.Consensus.Usable(n, time.Now()); err != nil {
		return err
	}
	if n.Fallbacks = fallbacks(bundle.Consensus, count); len(n.Fallbacks) == 0 {
		return errors.New("no relay of the consensus is Running, Valid, Fast and Stable")
	}
	return nil
}

// fallbacks returns the count fastest fit relays of a consensus.
func fallbacks(c *directory.Consensus, count int) []directory.Fallback {
	fit := slices.DeleteFunc(slices.Clone(c.Relays), func(r directory.Relay) bool { return !r.Flags.Has(fallbackFlags) })
	slices.SortFunc(fit, func(a, b directory.Relay) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), directory.CompareID(a.ID, b.ID))
	})
	fit = fit[:min(len(fit), count, directory.MaxFallbacks)]
	all := make([]directory.Fallback, len(fit))
	for i, r := range fit {
		all[i] = directory.Fallback{ID: r.ID, LinkKey: r.LinkKey, Addrs: r.Addrs}
	}
	return all
}
