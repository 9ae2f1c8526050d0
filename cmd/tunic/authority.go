package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
	"tunic/directory/authority"
)

// asked are the flags of the commands that ask a running authority.
type asked struct {
	state, config string
	json          bool
}

func (a *asked) register(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&a.state, "state", "", "state `directory` of the running authority")
	p.StringVarP(&a.config, "config", "c", "", "configuration `file` of the running authority")
	p.BoolVar(&a.json, "json", false, "print JSON")
}

// where returns the state directory.
func (a *asked) where() (string, error) {
	switch {
	case a.state != "":
		return a.state, nil
	case a.config != "":
		return node.StateOf(a.config)
	}
	return "", usageError{errors.New("which authority? give --state or --config")}
}

// print writes v as JSON, or as text writes it.
func (a *asked) print(w io.Writer, v any, text func(io.Writer)) error {
	if !a.json {
		text(w)
		return nil
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func newAuthorityRelays() *cobra.Command {
	var a asked
	var reasons bool
	cmd := &cobra.Command{
		Use:   "relays",
		Short: "list all relays with their flags, and why they have them or not",
		Long: `Lists all relays that published themselves at this authority, whether the consensus
lists them or not: the flags that it would vote for now, for how many days they
served, what they count as guard, middle and exit (in thousandths of a kB/s), and
why they are refused, in quarantine, or lack a flag.`,
		Example: `  tunic authority relays --state state
  tunic authority relays --config authority.toml --reasons
  tunic authority relays --state state --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := a.where()
			if err != nil {
				return err
			}
			list, err := node.Relays(cmd.Context(), state)
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), list, func(w io.Writer) { printRelays(w, list, reasons) })
		},
	}
	a.register(cmd)
	cmd.Flags().BoolVar(&reasons, "reasons", false, "also say why for the flags that a relay has")
	return cmd
}

func newAuthorityHistory() *cobra.Command {
	var a asked
	cmd := &cobra.Command{
		Use:   "history RELAY",
		Short: "print all that this authority knows of a relay",
		Long: `Prints what this authority has seen of one relay, by its identity or its nickname:
when it was there, its addresses, keys and other attributes with their times, its
restarts and key changes, and why it has the flags that it has.`,
		Example: `  tunic authority history quince --state state
  tunic authority history x1sfiNGGRLcpc-_rnS8wQyW2N3rc3E5ycdNNavofDKo --state state --json`,
		Args: oneArg("which relay?"),
		RunE: func(cmd *cobra.Command, args []string) error {
			state, err := a.where()
			if err != nil {
				return err
			}
			h, err := node.History(cmd.Context(), state, args[0])
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), h, func(w io.Writer) { printHistory(w, &h) })
		},
	}
	a.register(cmd)
	return cmd
}

// oneArg wants exactly one argument.
func oneArg(question string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usageError{fmt.Errorf("%s\nsee '%s --help'", question, cmd.CommandPath())}
	}
}

func newAuthorityQuarantine() *cobra.Command {
	return group(&cobra.Command{
		Use:   "quarantine",
		Short: "see groups of relays that behave as one, and decide about them",
		Long: `Detection puts relays that arrive together or behave as one into quarantine: for a
time they are middles only, and carry little. Here an operator sees whom that is
about and decides: what is decided is this authority's vote, and counts when more
than half of the authorities decide alike. All of it is in quarantine.jsonl in the
state directory as well.`,
		Example: `  tunic authority quarantine list --state state
  tunic authority quarantine lift q9Xw2kLm --note "a university, they wrote to us" --state state
  tunic authority quarantine confirm quince --days 90 --state state`,
	}, newQuarantineList(), newQuarantineConfirm(), newQuarantineLift(), newQuarantineForget())
}

func newQuarantineList() *cobra.Command {
	var a asked
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list groups, relays in quarantine, and decisions",
		Example: "  tunic authority quarantine list --state state\n  tunic authority quarantine list --state state --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := a.where()
			if err != nil {
				return err
			}
			r, err := node.Quarantine(cmd.Context(), state)
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), r, func(w io.Writer) { printQuarantine(w, &r) })
		},
	}
	a.register(cmd)
	return cmd
}

// maxQuarantineDays is the longest quarantine that an operator can vote for at once.
const maxQuarantineDays = 365

func newQuarantineConfirm() *cobra.Command {
	var days int
	cmd := decision(authority.Confirm, &cobra.Command{
		Short: "keep a group or relay in quarantine for longer, or put it there",
		Example: `  tunic authority quarantine confirm q9Xw2kLm --days 90 --state state
  tunic authority quarantine confirm quince --note "asks others to run its software" --state state`,
	}, func() (time.Time, error) {
		if days < 1 || days > maxQuarantineDays {
			return time.Time{}, usageError{fmt.Errorf("--days: use 1 to %d", maxQuarantineDays)}
		}
		return time.Now().UTC().Truncate(time.Second).AddDate(0, 0, days), nil
	})
	cmd.Flags().IntVar(&days, "days", 30, "for how many `days` from now")
	return cmd
}

func newQuarantineLift() *cobra.Command {
	return decision(authority.Lift, &cobra.Command{
		Short:   "vote against the quarantine of a group or relay, whatever detection finds",
		Example: "  tunic authority quarantine lift quince --note \"known to us\" --state state",
	}, nil)
}

func newQuarantineForget() *cobra.Command {
	return decision(authority.Forget, &cobra.Command{
		Short:   "take back what was decided about a group or relay",
		Example: "  tunic authority quarantine forget quince --state state",
	}, nil)
}

// decision completes a command that hands a decision to the running authority.
func decision(action string, cmd *cobra.Command, until func() (time.Time, error)) *cobra.Command {
	var a asked
	d := node.Decision{Action: action}
	cmd.Use = action + " RELAY|GROUP"
	cmd.Args = oneArg("which relay or group?")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		d.About = args[0]
		if until != nil {
			if d.Until, err = until(); err != nil {
				return err
			}
		}
		state, err := a.where()
		if err != nil {
			return err
		}
		about, err := node.Decide(cmd.Context(), state, d)
		if err != nil {
			return err
		}
		return a.print(cmd.OutOrStdout(), about, func(w io.Writer) { printDecided(w, action, d.Until, about) })
	}
	a.register(cmd)
	cmd.Flags().StringVar(&d.Note, "note", "", "why, for the other operators: `text` for the journal")
	return cmd
}
