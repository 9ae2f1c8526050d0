package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
	"tunic/directory"
	"tunic/directory/admission/weigh"
	"tunic/directory/authority"
	"tunic/directory/mirror"
)

func newNetworkAudit() *cobra.Command {
	var network, consensus string
	var votes []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "compute a consensus again from its votes, and say where it departs from the rules",
		Long: `Fetches the newest consensus and the votes that it names, or reads them from files,
verifies their signatures, and computes again what the rules make of them: whom each
vote has to refuse, which relays are listed, their flags, ages, quarantine, and what
each counts in each position, under the caps. Where the consensus is not the same,
byte for byte, it says so, and exits with status 1.

What a vote says from its author's own sight (who was reached, for how long, who
behaves like whom) nobody else can compute: of that a majority decides.`,
		Example: `  tunic network audit --network network.toml
  tunic network audit --network network.toml --json
  tunic network show --network network.toml --raw consensus > consensus
  tunic network show --network network.toml --raw vote alice > alice.vote
  tunic network audit --network network.toml --consensus consensus --vote alice.vote --vote bob.vote`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := node.LoadNetwork(network)
			if err != nil {
				return err
			}
			if (consensus == "") != (len(votes) == 0) {
				return usageError{errors.New("give --consensus and each --vote, or none of them")}
			}
			a := auditor{network: n, say: cmd.ErrOrStderr()}
			if consensus == "" {
				err = a.fetch(cmd.Context())
			} else {
				err = a.read(consensus, votes)
			}
			if err != nil {
				return err
			}
			report, err := a.audit()
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				err = e.Encode(report)
			} else {
				printAudit(cmd.OutOrStdout(), n, report)
			}
			if err == nil && len(report.Departures) > 0 {
				err = fmt.Errorf("the consensus departs from the rules in %d places", len(report.Departures))
			}
			return err
		},
	}
	p := cmd.Flags()
	p.StringVar(&network, "network", "", "network `file`")
	p.StringVar(&consensus, "consensus", "", "`file` of a consensus with its signatures")
	p.StringArrayVar(&votes, "vote", nil, "`file` of a vote that it names; once for each")
	p.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("network")
	return cmd
}

// An auditor has what an audit needs.
type auditor struct {
	network *directory.Network
	say     io.Writer // progress
	bundle  *directory.Bundle
	votes   []*directory.Vote
}

// fetchTries is how often a consensus and its votes are fetched: while they are,
// the next period may begin, and authorities forget votes soon.
const fetchTries = 3

// fetch gets the newest consensus and its votes from the authorities.
func (a *auditor) fetch(ctx context.Context) error {
	return whileThere(a.say, func() error { return a.fetchOnce(ctx) })
}

// whileThere does what begins with the newest consensus, and again where a vote
// that it names is gone.
func whileThere(say io.Writer, do func() error) (err error) {
	for range fetchTries {
		if err = do(); !errors.Is(err, mirror.ErrNotFound) {
			return err
		}
		fmt.Fprintln(say, "a vote is gone: beginning again with the newest consensus")
	}
	return err
}

func (a *auditor) fetchOnce(ctx context.Context) error {
	fmt.Fprintln(a.say, "fetching the newest consensus")
	b, err := fetchConsensus(ctx, a.network)
	if err != nil {
		return err
	}
	if a.bundle, err = directory.OpenBundle(b, a.network); err != nil {
		return err
	}
	c := a.bundle.Consensus
	fmt.Fprintf(a.say, "valid after %s: %d relays, %d votes\n", clock(c.ValidAfter), len(c.Relays), len(c.Votes))
	a.votes, err = fetchVotes(ctx, a.network, c, a.say)
	return err
}

// fetchConsensus fetches the newest consensus with its signatures. That there is
// none is no vote that is gone: it does not pass by asking again.
func fetchConsensus(ctx context.Context, n *directory.Network) ([]byte, error) {
	b, err := node.Fetch(ctx, n, mirror.PathConsensus)
	if errors.Is(err, mirror.ErrNotFound) {
		return nil, fmt.Errorf("network %s has no consensus yet, or none that is valid still\n%v", n.Name, err)
	}
	return b, err
}

// fetchVotes gets the votes that a consensus names.
func fetchVotes(ctx context.Context, n *directory.Network, c *directory.Consensus, say io.Writer) (votes []*directory.Vote, err error) {
	for i, ref := range c.Votes {
		doc, err := node.Fetch(ctx, n, node.VotePath(c.ValidAfter, ref))
		if err != nil {
			return nil, fmt.Errorf("vote of %s: %w", authorityName(n, ref.Author), err)
		}
		v, err := directory.ParseVote(doc, n)
		if err != nil {
			return nil, fmt.Errorf("vote of %s: %w", authorityName(n, ref.Author), err)
		}
		fmt.Fprintf(say, "vote %d of %d, of %s: %s, %d relays\n", i+1, len(c.Votes), authorityName(n, ref.Author), size(uint64(len(doc))), len(v.Entries))
		votes = append(votes, v)
	}
	return votes, nil
}

// read gets them from files.
func (a *auditor) read(consensus string, votes []string) error {
	b, err := readFile(consensus)
	if err != nil {
		return err
	}
	if a.bundle, err = directory.OpenBundle(b, a.network); err != nil {
		return fmt.Errorf("%s: %w", consensus, err)
	}
	for _, path := range votes {
		doc, err := readFile(path)
		if err != nil {
			return err
		}
		v, err := directory.ParseVote(doc, a.network)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		a.votes = append(a.votes, v)
	}
	return nil
}

// An auditReport is what an audit comes to.
type auditReport struct {
	ValidAfter string                `json:"valid_after"`
	Digest     directory.Digest      `json:"digest"`
	Relays     int                   `json:"relays"`
	Votes      []auditedVote         `json:"votes"`
	Relaxed    []string              `json:"relaxed"`
	Over       int                   `json:"over"` // relays that a majority lists and the limits keep out
	Cuts       []cut                 `json:"cuts"` // which caps cut, by the rules
	Departures []authority.Departure `json:"departures"`

	weights weigh.Result
}

type auditedVote struct {
	Author  string           `json:"author"`
	Relays  int              `json:"relays"`
	Refused int              `json:"refused"`
	ASTable directory.Digest `json:"as_table"`
}

// audit computes everything again.
func (a *auditor) audit() (*auditReport, error) {
	c := a.bundle.Consensus
	fmt.Fprintln(a.say, "computing the consensus again")
	found, result, err := authority.AuditConsensus(a.network, a.bundle.Document(), a.votes)
	if err != nil {
		return nil, err
	}
	r := &auditReport{
		ValidAfter: directory.FormatTime(c.ValidAfter), Digest: directory.DigestOf(a.bundle.Document()), Relays: len(c.Relays),
		Relaxed: result.Consensus.Relaxed, Over: len(result.Over), Cuts: cuts(result.Weights), Departures: found, weights: result.Weights,
	}
	for _, v := range a.votes {
		one := auditedVote{Author: authorityName(a.network, v.Author), Relays: len(v.Entries), ASTable: v.ASTable}
		for i := range v.Entries {
			if v.Entries[i].Refused != "" {
				one.Refused++
			}
		}
		r.Votes = append(r.Votes, one)
		r.Departures = append(r.Departures, authority.AuditVote(a.network, v)...)
	}
	return r, nil
}
