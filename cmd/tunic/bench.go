package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tunic/cmd/bench"
)

func newBench() *cobra.Command {
	var o bench.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "measure what tunic costs on this machine",
		Long: `Measures the layers of a cell, records, handshakes, what one relay can forward,
and three hops through a whole network, in one process and with a process for each
node; prints a table, and what bandwidth_rate a relay on this machine can carry.
Let the machine be quiet meanwhile.

Measurements: ` + strings.Join(bench.Names(), ", ") + `.

--floor measures what Go's primitives and the kernel alone cost for a GiB through
three hops: six layers of each cell, three records sealed and opened, four TCP hops
over loopback; and how far the networks are from it.

--json prints {version, machine, results, notes}; a result is {measurement, case,
figures}, and the name of a figure ends in its unit. Names stay.`,
		Example: `  tunic bench
  tunic bench --floor
  tunic bench --only layers,relay --time 5s
  tunic bench --json | jq '.results[] | select(.measurement == "relay") | {case, cpu: .figures.cpu_s_per_gib}'
  tunic bench --short             # does everything work? a few seconds; the figures are rough`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("time") && (o.Time < bench.MinTime || o.Time > bench.MaxTime) {
				return usageError{fmt.Errorf("--time %v: use %v to %v", o.Time, bench.MinTime, bench.MaxTime)}
			}
			ctx, stop := untilHangup(cmd.Context())
			defer stop()
			o.Progress = cmd.ErrOrStderr()
			report, err := bench.Run(ctx, o)
			switch {
			case errors.Is(err, bench.ErrUnknown):
				return usageError{err}
			case err != nil:
				return fmt.Errorf("bench: %w", err)
			case asJSON:
				return report.WriteJSON(cmd.OutOrStdout())
			}
			return report.WriteTable(cmd.OutOrStdout())
		},
	}
	p := cmd.Flags()
	p.StringSliceVar(&o.Only, "only", nil, "only these measurements, by `name`")
	p.BoolVar(&o.Floor, "floor", false, "what Go and the kernel cost at least, and our distance from it")
	p.DurationVar(&o.Time, "time", 0, "`duration` of each figure (default 1s, 30ms with --short)")
	p.BoolVar(&o.Short, "short", false, "everything, each for a moment: for errors, not for figures")
	p.BoolVar(&asJSON, "json", false, "print JSON instead of tables")
	_ = cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(bench.Names(), cobra.ShellCompDirectiveNoFileComp))
	cmd.AddCommand(newBenchPart())
	return cmd
}

// newBenchPart is what 'tunic bench' starts of itself.
func newBenchPart() *cobra.Command {
	return &cobra.Command{
		Use:    "part NAME",
		Short:  "be what 'tunic bench' measures",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		// It ends with its standard input: a Ctrl-C in the terminal is for its parent.
		RunE: func(_ *cobra.Command, args []string) error { return bench.ServePart(args[0], os.Stdin, os.Stdout) },
	}
}
