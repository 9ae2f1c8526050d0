package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
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
		Args: noArgs,
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
