package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"tunic/cmd/node"
)

// nodeFlags are the flags that client, relay and authority share. A flag that
// is given overrides the configuration file.
type nodeFlags struct {
	config, network, state, logFormat, logLevel string
	addresses, events, stdin                    bool
}

func (f *nodeFlags) register(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVarP(&f.config, "config", "c", "", "configuration `file` (TOML; unknown keys are errors)")
	p.StringVar(&f.network, "network", "", "network `file`, as handed out by the network's operators")
	p.StringVar(&f.state, "state", "", "state `directory`: keys, caches, control socket")
	p.StringVar(&f.logFormat, "log-format", "", "text or json")
	p.StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error")
	p.BoolVar(&f.addresses, "log-addresses", false, "show addresses of clients and destinations in logs and status")
	p.BoolVar(&f.events, "events", false, "print one JSON line per step to standard output until ready, then close it")
	p.BoolVar(&f.stdin, "until-stdin-closes", false, "stop when standard input ends")
}

// apply puts the flags that were given over the configuration.
func (f *nodeFlags) apply(cmd *cobra.Command, c *node.Common) {
	set := func(name string, to *string, v string) {
		if cmd.Flags().Changed(name) {
			*to = v
		}
	}
	set("network", &c.Network, f.network)
	set("state", &c.State, f.state)
	set("log-format", &c.Log.Format, f.logFormat)
	set("log-level", &c.Log.Level, f.logLevel)
	if cmd.Flags().Changed("log-addresses") {
		c.Log.Addresses = f.addresses
	}
}

// options makes what the node needs beside its configuration, and a context
// that also ends with standard input, where that was asked for.
func (f *nodeFlags) options(ctx context.Context, l node.Log) (context.Context, node.Options) {
	o := node.Options{Log: l.Logger(os.Stderr), Reload: reloads(ctx), Config: f.config, Alone: true}
	if f.events {
		o.Events = printEvents(os.Stdout)
	}
	if f.stdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() { // ends with standard input, at the latest with the process
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	return ctx, o
}

// printEvents prints each event as a line, and closes out after the last.
func printEvents(out io.WriteCloser) func(node.Event) {
	done := false
	return func(e node.Event) {
		if done {
			return
		}
		_ = json.NewEncoder(out).Encode(e) // who started us and left does not matter to us
		if done = e.Ready; done {
			_ = out.Close()
		}
	}
}

func newClient() *cobra.Command {
	var f nodeFlags
	var socks []string
	cmd := &cobra.Command{
		Use:   "client",
		Short: "run a client with a local SOCKS5 proxy",
		Long: `Runs a client in the foreground: it fetches the consensus, picks guards, builds
circuits ahead of use and offers a SOCKS5 proxy. Programs resolve names through
it (socks5h). Streams with different SOCKS user names or passwords never share a
circuit.`,
		Example: `  tunic client --network network.toml --state ~/.local/state/tunic
  tunic client --config client.toml --socks 127.0.0.1:9150
  curl --proxy socks5h://127.0.0.1:1080 https://example.org/`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := node.ClientConfig{Socks: node.Socks{Listen: []netip.AddrPort{node.DefaultSocks}}}
			if f.config != "" {
				if err := node.Load(f.config, &cfg); err != nil {
					return err
				}
			}
			f.apply(cmd, &cfg.Common)
			if cmd.Flags().Changed("socks") {
				var err error
				if cfg.Socks.Listen, err = addrPorts(socks); err != nil {
					return err
				}
			}
			ctx, o := f.options(cmd.Context(), cfg.Log)
			return stopped(ctx, node.RunClient(ctx, cfg, o))
		},
	}
	f.register(cmd)
	cmd.Flags().StringSliceVar(&socks, "socks", nil, "`address:port` of the SOCKS5 proxy (default 127.0.0.1:1080)")
	return cmd
}

func newRelay() *cobra.Command {
	var f nodeFlags
	var listen, address []string
	var nickname string
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "run a relay",
		Long: `Runs a relay in the foreground. It makes its keys at the first start, publishes
itself once a link from outside has worked, and otherwise says which port to
open. SIGHUP reloads bandwidth_rate, bandwidth_burst, directory_rate and
exit_policy.`,
		Example: `  tunic relay --config relay.toml
  tunic relay --network network.toml --state state --listen 0.0.0.0:9001 --nickname quince

  # relay.toml
  network = "network.toml"
  state = "state"
  nickname = "quince"
  listen = ["0.0.0.0:9001"]
  bandwidth_rate = 12_500_000            # bytes/s each way
  exit_policy = ["accept *:80", "accept *:443", "reject *:*"]`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg node.RelayConfig
			if f.config != "" {
				if err := node.Load(f.config, &cfg); err != nil {
					return err
				}
			}
			f.apply(cmd, &cfg.Common)
			var err error
			if cmd.Flags().Changed("listen") {
				cfg.Listen, err = addrPorts(listen)
			}
			if cmd.Flags().Changed("address") && err == nil {
				cfg.Address, err = addrPorts(address)
			}
			if cmd.Flags().Changed("nickname") {
				cfg.Nickname = nickname
			}
			if err != nil {
				return err
			}
			ctx, o := f.options(cmd.Context(), cfg.Log)
			return stopped(ctx, node.RunRelay(ctx, cfg, o))
		},
	}
	f.register(cmd)
	cmd.Flags().StringSliceVar(&listen, "listen", nil, "`address:port` to listen on")
	cmd.Flags().StringSliceVar(&address, "address", nil, "`address:port` to publish (default: what the authorities see)")
	cmd.Flags().StringVar(&nickname, "nickname", "", "name shown to people, 1 to 19 letters and digits")
	return cmd
}

func newAuthority() *cobra.Command {
	var f nodeFlags
	var listen []string
	cmd := &cobra.Command{
		Use:   "authority",
		Short: "run a directory authority",
		Long: `Runs a directory authority in the foreground: it takes descriptors, tests
relays, votes with the other authorities and signs the consensus. Its keys are
made before, by 'tunic keys create-authority', since the network file holds them.`,
		Example: `  tunic keys create-authority --state state --name alice --address 203.0.113.5:9030
  tunic network new --name example --authority state/authority.toml --authority bob.toml \
      --authority carol.toml --start 2026-12-01T12:00:00Z --out network.toml
  tunic authority --network network.toml --state state --listen 0.0.0.0:9030

  # authority.toml, for tunic authority --config authority.toml
  network = "network.toml"
  state = "state"
  nickname = "alice"
  listen = ["0.0.0.0:9030"]
  as_table = "networks.mmdb"             # optional: where addresses lie`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg node.AuthorityConfig
			if f.config != "" {
				if err := node.Load(f.config, &cfg); err != nil {
					return err
				}
			}
			f.apply(cmd, &cfg.Common)
			if cmd.Flags().Changed("listen") {
				var err error
				if cfg.Listen, err = addrPorts(listen); err != nil {
					return err
				}
			}
			ctx, o := f.options(cmd.Context(), cfg.Log)
			return stopped(ctx, node.RunAuthority(ctx, cfg, o))
		},
	}
	cmd.AddCommand(newAuthorityRelays(), newAuthorityHistory(), newAuthorityQuarantine())
	f.register(cmd)
	cmd.Flags().StringSliceVar(&listen, "listen", nil, "`address:port` to listen on")
	return cmd
}

// stopped tells a stop that was asked for from a failure.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// addrPorts parses the values of a flag.
func addrPorts(values []string) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, v := range values {
		a, err := netip.ParseAddrPort(v)
		if err != nil {
			return nil, usageError{errors.New(v + " is not an address and port, as in 127.0.0.1:1080")}
		}
		all = append(all, a)
	}
	return all, nil
}
