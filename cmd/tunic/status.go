package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/client"
	"tunic/cmd/node"
	"tunic/directory/authority"
	"tunic/relay"
)

func newStatus() *cobra.Command {
	var state, config string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "ask a running node how it is",
		Long: `Asks the node with this state directory, over its control socket: how far it has
come, its circuits, guards, links and bandwidth. Only the user who runs the node
can ask.`,
		Example: `  tunic status --state state
  tunic status --config relay.toml --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config != "" && state == "" {
				var err error
				if state, err = node.StateOf(config); err != nil {
					return err
				}
			}
			if state == "" {
				return usageError{errors.New("which node? give --state or --config")}
			}
			s, err := node.Ask(cmd.Context(), state)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(s)
			}
			printStatus(cmd.OutOrStdout(), s, time.Now())
			return nil
		},
	}
	p := cmd.Flags()
	p.StringVar(&state, "state", "", "state `directory` of the node")
	p.StringVarP(&config, "config", "c", "", "configuration `file` of the node")
	p.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printStatus writes s for people.
func printStatus(w io.Writer, s node.Status, now time.Time) {
	fmt.Fprintf(w, "%s of network %s, process %d, up %v\n", s.Role, s.Network, s.PID, now.Sub(s.Started).Round(time.Second))
	switch {
	case s.Client != nil:
		printClient(w, s.Client, now)
	case s.Authority != nil:
		printAuthority(w, s.Authority, now)
	}
	if s.Relay != nil {
		printRelay(w, s.Relay, now)
	}
}

func printClient(w io.Writer, s *client.Status, now time.Time) {
	fmt.Fprintf(w, "%d %% %v\n", s.Percent, s.Phase)
	if s.Problem != "" {
		fmt.Fprintf(w, "problem: %s\n", s.Problem)
	}
	c := s.Consensus
	if c.Relays > 0 {
		fmt.Fprintf(w, "consensus: %d relays, valid after %s, until %s\n", c.Relays, clock(c.ValidAfter), clock(c.ValidUntil))
	}
	fmt.Fprintf(w, "streams: %s read, %s written\n", size(s.Read), size(s.Written))
	for _, g := range s.Guards {
		marks := g.State
		if g.Primary {
			marks += ", primary"
		}
		if g.Confirmed {
			marks += ", confirmed"
		}
		fmt.Fprintf(w, "guard    %-20s %s\n", g.Nickname, marks)
	}
	for _, c := range s.Circuits {
		names := make([]string, len(c.Hops))
		for i, h := range c.Hops {
			names[i] = h.Nickname
		}
		fmt.Fprintf(w, "circuit  %-5d %-9s %s, %d streams, %v old\n", c.ID, c.State, strings.Join(names, " > "), c.Streams, now.Sub(c.Created).Round(time.Second))
	}
}

// clock writes a time for people, in UTC.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// size writes a number of bytes for people.
func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 3 {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[i])
}

func printRelay(w io.Writer, s *relay.Status, now time.Time) {
	fmt.Fprintf(w, "identity %v, nickname %s\n", s.ID, s.Nickname)
	switch {
	case s.Problem != "":
		fmt.Fprintf(w, "problem: %s\n", s.Problem)
	case !s.Published.IsZero():
		fmt.Fprintf(w, "published %v ago to %d authorities at %v\n", now.Sub(s.Published).Round(time.Second), s.Accepted, s.Addresses)
	}
	if s.Listed {
		fmt.Fprintf(w, "listed with weight %d kB/s: %s\n", s.Weight, s.Flags)
	}
	rate := "no limit"
	if s.Rate > 0 {
		rate = size(uint64(s.Rate)) + "/s, bursts of " + size(uint64(s.Burst))
	}
	fmt.Fprintf(w, "bandwidth: %s read, %s written, limit %s, observed %s/s\n", size(s.Read), size(s.Written), rate, size(s.Observed))
	fmt.Fprintf(w, "%d links, %d circuits, %d streams, %d directory streams, %d handshakes answered\n", len(s.Links), s.Circuits, s.Streams, s.DirStreams, s.Handshakes)
	for _, cause := range slices.Sorted(maps.Keys(s.Refused)) {
		if n := s.Refused[cause]; n > 0 {
			fmt.Fprintf(w, "refused  %-30s %d\n", cause, n)
		}
	}
}

// summary says in a few words how a node is.
func summary(s node.Status) string {
	switch {
	case s.Client != nil:
		return s.Client.Phase.String()
	case s.Authority != nil:
		return "up"
	case s.Relay != nil && s.Relay.Listed:
		return "listed"
	case s.Relay != nil && s.Relay.Problem != "":
		return "problem: " + s.Relay.Problem
	}
	return "up"
}

func printAuthority(w io.Writer, s *authority.Status, now time.Time) {
	if s.Consensus.IsZero() {
		fmt.Fprintln(w, "no consensus yet")
	} else {
		fmt.Fprintf(w, "consensus: valid after %s (%v ago), %d relays, signed by %d authorities\n",
			clock(s.Consensus), now.Sub(s.Consensus).Round(time.Second), s.Listed, s.Signatures)
	}
	if s.Problem != "" {
		fmt.Fprintf(w, "problem: %s\n", s.Problem)
	}
	fmt.Fprintf(w, "%d relays published, %d run\n", s.Relays, s.Running)
	if !s.Period.IsZero() {
		fmt.Fprintf(w, "voting on %s, %d votes count so far\n", clock(s.Period), s.Votes)
	}
}
