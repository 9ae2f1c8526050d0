package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
	"tunic/directory"
	"tunic/directory/mirror"
)

func newNetworkShow() *cobra.Command {
	var network string
	var raw bool
	cmd := &cobra.Command{
		Use:   "show FILE | --network FILE [consensus | checkpoint | vote AUTHORITY | descriptor RELAY]",
		Short: "print any document of a network in readable form",
		Long: `Prints a network file, consensus, checkpoint, vote or descriptor in readable form:
from a file, or by its kind from the authorities of the network whose file is
given. With --network, what is signed is verified, and authorities and relays may
be named by their name as well as by their identity.`,
		Example: `  tunic network show network.toml
  tunic network show --network network.toml consensus
  tunic network show --network network.toml checkpoint
  tunic network show --network network.toml vote alice
  tunic network show --network network.toml descriptor quince
  tunic network show --network network.toml state/consensus`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 || len(args) == 0 && network == "" {
				return usageError{fmt.Errorf("what to show?\nsee '%s --help'", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s := shower{out: cmd.OutOrStdout(), path: network}
			if network != "" {
				var err error
				if s.network, err = node.LoadNetwork(network); err != nil {
					return err
				}
			}
			b, err := s.document(cmd.Context(), args)
			if err != nil {
				return err
			}
			if raw {
				_, err = s.out.Write(b)
				return err
			}
			if err := s.show(b); err != nil || len(args) == 0 || args[0] != "consensus" || network == "" {
				return err
			}
			return s.refusals(cmd.Context(), b)
		},
	}
	cmd.Flags().StringVar(&network, "network", "", "network `file` to verify with and fetch from")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the document as it is")
	return cmd
}

// A shower finds documents and prints them.
type shower struct {
	out     io.Writer
	network *directory.Network // nil: not given
	path    string             // of the network file
}

// maxDocument bounds a document read from a file, in bytes: an envelope's size.
const maxDocument = directory.MaxEnvelope

// document fetches or reads what the arguments name.
func (s *shower) document(ctx context.Context, args []string) ([]byte, error) {
	kind := ""
	if s.network != nil {
		if len(args) == 0 {
			return readFile(s.path)
		}
		kind = args[0]
	}
	switch {
	case kind == "consensus" && len(args) == 1:
		return fetchConsensus(ctx, s.network)
	case kind == "checkpoint" && len(args) == 1:
		b, err := s.bundle(ctx)
		if err != nil {
			return nil, err
		}
		return b.Signed.Encode()
	case kind == "vote" && len(args) == 2:
		return s.vote(ctx, args[1])
	case kind == "descriptor" && len(args) == 2:
		return s.descriptor(ctx, args[1])
	case len(args) == 1:
		b, err := readFile(args[0])
		if !errors.Is(err, fs.ErrNotExist) || !slices.Contains([]string{"consensus", "checkpoint", "vote", "descriptor"}, args[0]) {
			return b, err
		}
	}
	return nil, usageError{errors.New("what to show? a file, or with --network: consensus, checkpoint, vote and an authority, descriptor and a relay")}
}

// bundle fetches the newest consensus with its signatures.
func (s *shower) bundle(ctx context.Context) (*directory.Bundle, error) {
	b, err := fetchConsensus(ctx, s.network)
	if err != nil {
		return nil, err
	}
	return directory.OpenBundle(b, s.network)
}

// vote fetches the vote of an authority for the newest consensus.
func (s *shower) vote(ctx context.Context, name string) (doc []byte, err error) {
	a := s.authority(name)
	if a == nil {
		return nil, fmt.Errorf("network %s has no authority %q", s.network.Name, name)
	}
	err = whileThere(io.Discard, func() error {
		b, err := s.bundle(ctx)
		if err != nil {
			return err
		}
		for _, v := range b.Consensus.Votes {
			if v.Author == a.ID {
				doc, err = node.Fetch(ctx, s.network, node.VotePath(b.Consensus.ValidAfter, v))
				return err
			}
		}
		return fmt.Errorf("no vote of %s counted in the consensus valid after %s", a.Name, clock(b.Consensus.ValidAfter))
	})
	return doc, err
}

// refusals prints whom the votes for a consensus that was fetched refuse.
func (s *shower) refusals(ctx context.Context, raw []byte) error {
	b, err := directory.OpenBundle(raw, s.network)
	if err != nil {
		return err
	}
	votes, err := fetchVotes(ctx, s.network, b.Consensus, io.Discard)
	if err != nil {
		fmt.Fprintf(s.out, "whom votes refuse is not known: %v\n", err)
	}
	showRefused(s.out, votes, s.network)
	return nil
}

func (s *shower) authority(name string) *directory.Authority {
	for i := range s.network.Authorities {
		if a := &s.network.Authorities[i]; a.Name == name || a.ID.String() == name {
			return a
		}
	}
	return nil
}

// descriptor fetches a relay's descriptor by its identity, or by its nickname
// where the consensus lists only one of that name.
func (s *shower) descriptor(ctx context.Context, name string) ([]byte, error) {
	id := name
	if b, err := s.bundle(ctx); err == nil {
		found := 0
		for i := range b.Consensus.Relays {
			if r := &b.Consensus.Relays[i]; r.Nickname == name {
				id = r.ID.String()
				found++
			}
		}
		if found > 1 {
			return nil, fmt.Errorf("%d relays are called %s: give an identity", found, name)
		}
	}
	b, err := node.Fetch(ctx, s.network, mirror.PathOf+id)
	if errors.Is(err, mirror.ErrNotFound) {
		return nil, fmt.Errorf("no relay is called %s, and the authorities have no descriptor of that identity", name)
	}
	return b, err
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDocument))
}

// show finds out by its first line what b is, and prints it.
func (s *shower) show(b []byte) error {
	first, _, _ := bytes.Cut(b, []byte(" "))
	switch string(first) {
	case "tunic-consensus":
		c, err := directory.ParseConsensus(b)
		if err != nil {
			return err
		}
		fmt.Fprintln(s.out, "not verified: a consensus without its signatures")
		showConsensus(s.out, c, s.network)
		return nil
	case "tunic-checkpoint":
		return s.showSigned(b)
	case "tunic-descriptor":
		return s.showDescriptor(b)
	case "tunic-vote":
		return s.showVote(b)
	case "tunic-envelope":
		return s.showEnvelope(b)
	}
	if c, err := directory.ParseCheckpoint(string(b)); err == nil {
		fmt.Fprintln(s.out, "not verified: a checkpoint without its signatures")
		showCheckpoint(s.out, c)
		return nil
	}
	n, err := directory.ParseNetwork(b)
	if err != nil {
		return fmt.Errorf("no consensus, checkpoint, vote or descriptor, and as a network file: %w", err)
	}
	showNetwork(s.out, n)
	return nil
}

// errNeedsNetwork says what is missing to read a document at all.
var errNeedsNetwork = errors.New("votes and descriptors are verified before they are read: give --network")

// consensusStart is where the consensus begins in a bundle.
var consensusStart = []byte("\ntunic-consensus ")

// showSigned prints a signed checkpoint, or the bundle that begins with one.
func (s *shower) showSigned(b []byte) error {
	head, doc := b, []byte(nil)
	if i := bytes.Index(b, consensusStart); i >= 0 {
		head, doc = b[:i+1], b[i+1:]
	}
	if doc != nil && s.network != nil {
		bundle, err := directory.OpenBundle(b, s.network)
		if err != nil {
			return err
		}
		showSigners(s.out, &bundle.Signed, s.network)
		showCheckpoint(s.out, &bundle.Signed.Checkpoint)
		showConsensus(s.out, bundle.Consensus, s.network)
		return nil
	}
	signed, err := directory.ParseSignedCheckpoint(head)
	if err != nil {
		return err
	}
	if s.network == nil {
		fmt.Fprintf(s.out, "not verified: %d signatures; give --network\n", len(signed.Signatures))
	} else {
		if err := signed.Verify(s.network); err != nil {
			return err
		}
		showSigners(s.out, signed, s.network)
	}
	showCheckpoint(s.out, &signed.Checkpoint)
	if doc == nil {
		return nil
	}
	c, err := directory.ParseConsensus(doc)
	if err != nil {
		return err
	}
	showConsensus(s.out, c, s.network)
	return nil
}

func (s *shower) showVote(b []byte) error {
	if s.network == nil {
		return errNeedsNetwork
	}
	v, err := directory.ParseVote(b, s.network)
	if err != nil {
		return err
	}
	showVote(s.out, v, s.network)
	return nil
}

// showEnvelope prints a vote with the countersignatures it travels with, as the
// authorities keep it for evidence.
func (s *shower) showEnvelope(b []byte) error {
	if s.network == nil {
		return errNeedsNetwork
	}
	e, err := directory.ParseEnvelope(b, s.network)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "verified: vote of %s for %s, countersigned by:", authorityName(s.network, e.Author), clock(e.ValidAfter))
	for _, c := range e.Signatures {
		fmt.Fprintf(s.out, " %s", authorityName(s.network, c.Authority))
	}
	fmt.Fprintln(s.out)
	if e.Vote == nil {
		return nil
	}
	return s.showVote(e.Vote)
}
