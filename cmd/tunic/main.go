// Command tunic is an onion-routing overlay in one program: the client, the
// relay, the directory authority, and a whole private network to try it with.
// One file per subcommand; what deserves a test of its own is in a package.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tunic/cmd/node"
)

func main() { os.Exit(run()) }

// run is main with an exit status: 0, 1 for a failure, 2 for a wrong call.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // ends with the process
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	return conclude(ctx, newRoot().ExecuteContext(ctx), os.Stderr)
}

// conclude says how a command ended, if not well, and returns the exit status.
func conclude(ctx context.Context, err error, to io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(to, "tunic: %v\n", err)
		return 2
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(to, "tunic: interrupted")
		return 1
	default:
		fmt.Fprintf(to, "tunic: %v\n", err)
		return 1
	}
}

// A usageError is a call that cannot be meant.
type usageError struct{ error }

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("unknown command or argument %q\nsee '%s --help'", args[0], cmd.CommandPath())}
}

// group makes a command that only holds others: alone it shows its help.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}

func newRoot() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "tunic",
		Short: "an onion-routing anonymity overlay: client, relay, authority and test network",
		Long: `tunic routes TCP connections through three relays, with one layer of
post-quantum hybrid encryption per hop, so that no single relay knows both ends.

To see it work:    tunic demo
To use a network:  tunic client --network network.toml
To help it:        tunic relay --config relay.toml`,
		Version:       node.Version + " " + revision(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}, newClient(), newRelay(), newAuthority(), newNetwork(), newKeys(), newDemo(), newTestnet(), newBench(), newSim(), newStatus())
	wrong := func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nsee '%s --help'", err, cmd.CommandPath())}
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if _, ok := errors.AsType[*pflag.NotExistError](err); ok { // one identity in 64 looks like flags
			err = fmt.Errorf("%w; an identity that begins with a hyphen goes behind --", err)
		}
		return wrong(cmd, err)
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { // looks for flags that lack, as the library does later
		if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return wrong(cmd, err)
		}
		return nil
	}
	return root
}

// revision says which Go made this binary, and of which commit, where known.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown build)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return fmt.Sprintf("(%s, %s)", s.Value[:12], info.GoVersion)
		}
	}
	return "(" + info.GoVersion + ")"
}
