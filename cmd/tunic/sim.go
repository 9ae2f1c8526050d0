package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tunic/cmd/internal/sim"
	"tunic/cmd/internal/sim/population"
	"tunic/cmd/internal/sim/scenario"
)

func newSim() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "simulate attackers who pose as many relays, in virtual time",
		Example: `  tunic sim run --population synth:2000 --scenario burst --days 30 --clients 10000
  tunic sim table --population consensus-2017-03-10.tsv.gz`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSimRun(), newSimTable())
	return cmd
}

// Clients that are simulated unless told otherwise: a run takes under a minute on
// two cores, a table about four.
const (
	runClients   = 100_000
	tableClients = 20_000
)

// simInputs are the flags that say what is simulated.
type simInputs struct {
	population string
	options    population.Options
	seed       uint64
	clients    int
	meanStay   int
	params     []string
	ablate     []string
	threads    int
	torDelay   int
}

func (in *simInputs) flags(cmd *cobra.Command, clients int) {
	p := cmd.Flags()
	p.StringVar(&in.population, "population", "", "`file` of honest relays: a table (.tsv.gz), a consensus, or synth:N")
	p.Uint64Var(&in.seed, "seed", 1, "`number` that makes a run repeatable")
	p.IntVar(&in.clients, "clients", clients, "`number` of clients of each algorithm and start")
	p.IntVar(&in.meanStay, "mean-stay", 500, "`days` that an honest relay stays on average")
	p.IntVar(&in.options.MeanAge, "mean-age", 700, "mean `days` that honest relays have been listed, where nothing tells")
	p.IntVar(&in.options.Providers, "providers", 900, "`number` of autonomous systems that honest relays are in, where nothing tells")
	p.StringArrayVar(&in.params, "param", nil, "`name=value`: a rule of the network, as in its consensus; once for each")
	p.StringSliceVar(&in.ablate, "ablate", nil, "defences to do without, by `name`")
	p.IntVar(&in.torDelay, "tor-guard-days", 0, "`days` before Tor's authorities make a relay a guard; 0: attackers' are at once, 8 is the least in truth")
	p.IntVar(&in.threads, "threads", 0, "`number` of threads (default: one per processor); results do not depend on it")
	_ = cmd.MarkFlagRequired("population")
}

// The most that flags may say; our choice. Whole lives of networks are less.
const (
	mostMeanDays  = 36_500
	mostProviders = 1_000_000
	mostThreads   = 1024
)

// check says which flag is out of bounds.
func (in *simInputs) check() error {
	for _, f := range []struct {
		flag            string
		is, least, most int
	}{
		{"mean-stay", in.meanStay, 1, mostMeanDays},
		{"mean-age", in.options.MeanAge, 1, mostMeanDays},
		{"providers", in.options.Providers, 1, mostProviders},
		{"tor-guard-days", in.torDelay, 0, sim.MaxDays},
		{"threads", in.threads, 0, mostThreads},
	} {
		if f.is < f.least || f.is > f.most {
			return usageError{fmt.Errorf("--%s %d: use %d to %d", f.flag, f.is, f.least, f.most)}
		}
	}
	return nil
}

// read reads what the flags name.
func (in *simInputs) read() (sim.Options, error) {
	if err := in.check(); err != nil {
		return sim.Options{}, err
	}
	o := sim.Options{Clients: in.clients, Seed: in.seed, MeanStay: in.meanStay, Threads: in.threads, TorDelay: in.torDelay,
		Rules: sim.Rules{Params: map[string]int64{}, Ablate: in.ablate}}
	for _, p := range in.params {
		name, value, ok := strings.Cut(p, "=")
		v, err := strconv.ParseInt(value, 10, 64)
		if !ok || err != nil {
			return o, usageError{fmt.Errorf("--param %s: use NAME=NUMBER", p)}
		}
		o.Rules.Params[name] = v
	}
	in.options.Seed = seedOf(in.seed)
	var err error
	o.Population, err = population.Read(in.population, in.options)
	return o, err
}

func newSimRun() *cobra.Command {
	var in simInputs
	var name, start, csv, svg string
	var days int
	var algorithms []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "simulate one attack",
		Long: `Simulates clients of several algorithms while somebody poses as many relays, and
prints what share of them is compromised: had a circuit with guard and exit both
the attacker's. Days count from the attack; the two years before it are simulated too.

Algorithms: tunic, by its own code; tor, C tor's with two guards in use;
tor-noguards; uniform. Rules of tunic's are changed with --param and --ablate.

Scenarios that come along: ` + strings.Join(scenario.Names(), ", ") + `.

` + scenario.Help + `
Defences that --ablate switches off:
` + sim.Defences() + `
--json prints an array with an object for each algorithm. Names stay.`,
		Example: `  tunic sim run --population consensus-2017-03-10.tsv.gz --scenario kax17 --days 365
  tunic sim run --population consensus-2017-03-10.tsv.gz --scenario my.toml --days 90 \
      --clients 100000 --seed 1 --start fresh --algorithms tunic,tor --json
  tunic sim run --population synth:2000 --scenario burst --days 60 --clients 5000 --ablate cap.cohort
  tunic sim run --population synth:2000 --scenario burst --days 60 --param guard_life_least=300 --svg plots`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := in.read()
			if err != nil {
				return err
			}
			if o.Scenario, err = scenario.Read(name); err != nil {
				return err
			}
			o.Days, o.Algorithms, o.Starts = days, algorithms, []string{start}
			results, err := simulate(cmd.Context(), o, cmd.ErrOrStderr(), o.Scenario.Name)
			if err != nil {
				return err
			}
			return errors.Join(writeSim(csv, results, sim.WriteCSV), writeSim(svg, results, sim.WriteSVG),
				printSim(cmd.OutOrStdout(), results, asJSON))
		},
	}
	in.flags(cmd, runClients)
	p := cmd.Flags()
	p.StringVar(&name, "scenario", "", "`file` of the attack, or a name")
	p.IntVar(&days, "days", 90, "`days` from the attack on")
	p.StringVar(&start, "start", sim.Steady, "when clients chose their guards: steady, in the two years before the attack; fresh, as it begins")
	p.StringSliceVar(&algorithms, "algorithms", sim.Algorithms(), "the algorithms, by `name`")
	p.BoolVar(&asJSON, "json", false, "print JSON instead of a table")
	p.StringVar(&csv, "csv", "", "write tables to a `directory`")
	p.StringVar(&svg, "svg", "", "write plots to a `directory`")
	_ = cmd.MarkFlagRequired("scenario")
	_ = cmd.RegisterFlagCompletionFunc("algorithms", cobra.FixedCompletions(sim.Algorithms(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// simulate runs, and shows how far it is where somebody looks.
func simulate(ctx context.Context, o sim.Options, to io.Writer, what string) ([]*sim.Result, error) {
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		var shown time.Time
		o.Progress = func(done, all int) {
			if now := time.Now(); done == all || now.Sub(shown) > 200*time.Millisecond {
				shown = now
				fmt.Fprintf(to, "\r%s: %d %%\x1b[K", what, 100*done/all)
			}
		}
		defer fmt.Fprint(to, "\r\x1b[K")
	}
	results, err := sim.Run(ctx, o)
	for _, known := range []error{sim.ErrAlgorithm, sim.ErrStart, sim.ErrParam, sim.ErrBounds, sim.ErrAblate, sim.ErrClients, sim.ErrDays} {
		if errors.Is(err, known) {
			return nil, usageError{err}
		}
	}
	return results, err
}

// writeSim writes files to a directory, if one is named.
func writeSim(dir string, results []*sim.Result, write func(string, []*sim.Result) error) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return write(dir, results)
}

func printSim(to io.Writer, results []*sim.Result, asJSON bool) error {
	if !asJSON {
		return sim.WriteResults(to, results)
	}
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	return e.Encode(results)
}
