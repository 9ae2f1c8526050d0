package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tunic/cmd/demo"
)

func newDemo() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "see a whole network work on this machine",
		Long: `Starts 3 authorities, 7 relays (3 of them exits) and a client on this machine,
each a process of its own; waits for the first consensus; fetches a page of a small
web site through three relays; shows what each of them could see; kills the middle
one and fetches again over another path; measures one stream; and stays up for your
own browser until Ctrl-C.`,
		Example: `  tunic demo
  tunic demo --check              # all of it without staying; status 1 when a step fails
  tunic demo --url https://example.org/ --no-site`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.NoSite && o.Check && o.URL == "" {
				return usageError{fmt.Errorf("--check with --no-site has nothing to fetch: add --url")}
			}
			o.Out = cmd.OutOrStdout()
			ctx, stop := untilHangup(cmd.Context())
			defer stop()
			return demo.Run(ctx, o)
		},
	}
	p := cmd.Flags()
	p.BoolVar(&o.Check, "check", false, "do not stay: exit with 0 if every step worked, else with 1")
	p.BoolVar(&o.NoSite, "no-site", false, "start no web site; use real destinations")
	p.StringVar(&o.URL, "url", "", "fetch this `URL` instead of the demo's own site")
	p.Uint16Var(&o.Socks, "port", 1080, "`port` of the SOCKS proxy; if it is taken, another is used")
	p.StringVar(&o.Keep, "keep", "", "write the network's files to this `directory` and leave them there")
	return cmd
}
