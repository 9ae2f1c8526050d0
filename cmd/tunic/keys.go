package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tunic/cmd/node"
	"tunic/directory"
	"tunic/directory/keys"
)

func newKeys() *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "create, show and renew the keys of a relay or an authority",
		Long: `Creates, shows and renews keys. An identity key certifies a signing key, and that
certifies the keys that answer handshakes. The identity may be kept under a
passphrase, or off the machine: it is needed only to renew the signing key.
A relay makes its keys by itself at the first start.`,
		Example: `  tunic keys show --state state
  tunic keys create-authority --state state --name alice --address 203.0.113.5:9030`,
	}, newKeysCreate(), newKeysCreateAuthority(), newKeysFacts(), newKeysShow(), newKeysRenew(), newKeysProtect(), newKeysFamily(), newKeysVoucher())
}

// stateFlag registers --state, which every command here needs.
func stateFlag(cmd *cobra.Command, state *string) {
	cmd.Flags().StringVar(state, "state", "", "state `directory` of the node")
	_ = cmd.MarkFlagRequired("state")
}

func newKeysCreate() *cobra.Command {
	var state string
	var passphrase bool
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "create a relay's keys",
		Example: "  tunic keys create --state state --passphrase",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := create(state, keys.LoadOrCreate)
			if err != nil {
				return err
			}
			if passphrase {
				if err := protect(set); err != nil {
					return err
				}
			}
			return showKeys(cmd.OutOrStdout(), set)
		},
	}
	stateFlag(cmd, &state)
	cmd.Flags().BoolVar(&passphrase, "passphrase", false, "put the identity key under a passphrase")
	return cmd
}

func newKeysCreateAuthority() *cobra.Command {
	var state, name string
	var addresses []string
	var passphrase bool
	cmd := &cobra.Command{
		Use:   "create-authority",
		Short: "create an authority's keys and what the network file says of it",
		Long: `Creates an authority's keys and writes the public facts that the network file
needs to authority.toml in the state directory. Hand that file to whoever runs
'tunic network new'.`,
		Example: "  tunic keys create-authority --state state --name alice --address 203.0.113.5:9030",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			addrs, err := addrPorts(addresses)
			if err != nil {
				return err
			}
			if err := directory.CheckAuthority(name, addrs); err != nil {
				return usageError{err}
			}
			set, err := create(state, keys.LoadOrCreateAuthority)
			if err != nil {
				return err
			}
			if passphrase {
				if err := protect(set); err != nil {
					return err
				}
			}
			if err := writeFacts(cmd.ErrOrStderr(), state, node.AuthorityEntry(set, name, addrs)); err != nil {
				return err
			}
			return showKeys(cmd.OutOrStdout(), set)
		},
	}
	stateFlag(cmd, &state)
	p := cmd.Flags()
	p.StringVar(&name, "name", "", "`name` of the authority, shown to people")
	p.StringSliceVar(&addresses, "address", nil, "`address:port` where it is reached")
	p.BoolVar(&passphrase, "passphrase", false, "put the identity key under a passphrase")
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.MarkFlagRequired("address")
	return cmd
}

// factsFile is the file in an authority's state directory with what the network
// file says of it.
const factsFile = "authority.toml"

func writeFacts(out io.Writer, state string, a directory.Authority) error {
	path := filepath.Join(state, factsFile)
	if err := node.WriteFacts(path, a); err != nil {
		return err
	}
	fmt.Fprintf(out, "facts for the network file are in %s\n", path)
	return nil
}

func newKeysFacts() *cobra.Command {
	var state, name string
	var addresses []string
	cmd := &cobra.Command{
		Use:   "facts",
		Short: "write anew what the network file says of an authority",
		Long: `Writes authority.toml in the state directory anew: after a new link or note key, or
for another name or address. Those that are not given stay as they were.`,
		Example: `  tunic keys facts --state state
  tunic keys facts --state state --address 203.0.113.9:9030`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := keys.Load(node.KeyDir(state))
			if err != nil {
				return err
			}
			if !set.Authority() {
				return fmt.Errorf("the keys in %s are a relay's", node.KeyDir(state))
			}
			addrs, err := addrPorts(addresses)
			if err != nil {
				return err
			}
			old, err := node.ReadFacts(filepath.Join(state, factsFile))
			if err != nil && (name == "" || len(addrs) == 0) {
				return fmt.Errorf("--name and --address are needed: %w", err)
			}
			if len(addrs) == 0 {
				addrs = old.Addrs
			}
			name = cmp.Or(name, old.Name)
			if err := directory.CheckAuthority(name, addrs); err != nil {
				return usageError{err}
			}
			return writeFacts(cmd.ErrOrStderr(), state, node.AuthorityEntry(set, name, addrs))
		},
	}
	stateFlag(cmd, &state)
	p := cmd.Flags()
	p.StringVar(&name, "name", "", "new `name` of the authority")
	p.StringSliceVar(&addresses, "address", nil, "new `address:port` where it is reached")
	return cmd
}

// create makes a set of keys below state, and refuses where there is one.
func create(state string, make func(string, time.Time) (*keys.Set, error)) (*keys.Set, error) {
	dir := node.KeyDir(state)
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s holds keys already; 'tunic keys show --state %s' shows them", dir, state)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	return make(dir, time.Now())
}

func newKeysShow() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "show the public keys, and how long each serves",
		Example: "  tunic keys show --state state",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := keys.Load(node.KeyDir(state))
			if err != nil {
				return err
			}
			return showKeys(cmd.OutOrStdout(), set)
		},
	}
	stateFlag(cmd, &state)
	return cmd
}

func showKeys(out io.Writer, set *keys.Set) error {
	role := "relay"
	if set.Authority() {
		role = "authority"
	}
	fmt.Fprintf(out, "%s, identity key %v\n", role, set.Identity())
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tPUBLIC\tMADE\tEXPIRES\tRENEWED\tSTATE")
	now := time.Now()
	for _, i := range set.Items(now) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Kind, i.Public, date(i.Created), date(i.Expires), date(i.Due), keyState(i, now))
	}
	return w.Flush()
}

// keyState says in a word or two what a key is good for now.
func keyState(i keys.Item, now time.Time) string {
	switch {
	case !i.Expires.IsZero() && !now.Before(i.Expires):
		return "expired"
	case now.Before(i.Created):
		return "not valid yet"
	case i.Retired:
		return "retired, still answers"
	}
	return "in use"
}

// date writes a day for people; the zero time is a dash.
func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func newKeysRenew() *cobra.Command {
	var state string
	var link, note bool
	var days int
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "renew the signing key, or an authority's link or note key",
		Long: `Renews the signing key; that needs the identity key, and asks for its passphrase.
Where the identity is kept elsewhere, do it there and carry keys/signing.key over.
--link and --note renew an authority's key that stands in the network file: its
users need a new file ('tunic keys facts', then 'tunic network update'); the old
link key is answered for 30 days.
The node must not run meanwhile: it takes up the new keys when it starts.`,
		Example: `  tunic keys renew --state state --days 30
  tunic keys renew --state state --link`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, release, err := loadAlone(state)
			if err != nil {
				return err
			}
			defer release()
			now := time.Now()
			switch {
			case link:
				err = set.RenewLink(now)
			case note:
				if err = unlock(set); err == nil {
					err = set.RenewNote(now)
				}
			default:
				if err = unlock(set); err == nil {
					err = set.RenewSigning(now, time.Duration(days)*24*time.Hour)
				}
			}
			if err != nil {
				return err
			}
			return showKeys(cmd.OutOrStdout(), set)
		},
	}
	stateFlag(cmd, &state)
	p := cmd.Flags()
	p.BoolVar(&link, "link", false, "renew the link key")
	p.BoolVar(&note, "note", false, "renew the note key of an authority")
	p.IntVar(&days, "days", 30, "how many `days` the new signing key serves")
	cmd.MarkFlagsMutuallyExclusive("link", "note")
	return cmd
}

func newKeysProtect() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use:     "protect",
		Short:   "put the identity key under a new passphrase; an empty one takes it off",
		Example: "  tunic keys protect --state state",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			set, release, err := loadAlone(state)
			if err != nil {
				return err
			}
			defer release()
			if err := unlock(set); err != nil {
				return err
			}
			return protect(set)
		},
	}
	stateFlag(cmd, &state)
	return cmd
}

// loadAlone loads keys that no running node has loaded too, until release.
func loadAlone(state string) (set *keys.Set, release func() error, err error) {
	lock, err := node.Lock(state)
	if errors.Is(err, node.ErrInUse) {
		return nil, nil, fmt.Errorf("stop the node first, it takes up new keys when it starts: %w", err)
	}
	if err != nil {
		return nil, nil, err
	}
	if set, err = keys.Load(node.KeyDir(state)); err != nil {
		lock.Close()
		return nil, nil, err
	}
	return set, lock.Close, nil
}

// unlock asks for the passphrase of a locked identity.
func unlock(set *keys.Set) error {
	if set.Identity() != keys.IdentityLocked {
		return nil
	}
	p, err := askPassphrase("passphrase of the identity key: ")
	if err != nil {
		return err
	}
	defer clear(p)
	return set.Unlock(p)
}

// protect asks twice for a new passphrase and sets it.
func protect(set *keys.Set) error {
	p, err := askPassphrase("new passphrase for the identity key: ")
	if err != nil {
		return err
	}
	defer clear(p)
	if term.IsTerminal(int(os.Stdin.Fd())) {
		again, err := askPassphrase("once more: ")
		if err != nil {
			return err
		}
		defer clear(again)
		if string(p) != string(again) {
			return errors.New("the two differ; nothing was changed")
		}
	}
	return set.Protect(p)
}

// maxPassphrase bounds a passphrase, in bytes: our choice.
const maxPassphrase = 1024

// askPassphrase reads a passphrase: without echo from a terminal, else a line
// of standard input.
func askPassphrase(prompt string) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	if term.IsTerminal(fd) {
		fmt.Fprint(os.Stderr, prompt)
		p, err := term.ReadPassword(fd)
		fmt.Fprintln(os.Stderr)
		return p, err
	}
	p := make([]byte, 0, maxPassphrase)
	var b [1]byte
	for len(p) < maxPassphrase {
		if _, err := io.ReadFull(os.Stdin, b[:]); err != nil || b[0] == '\n' {
			break
		}
		p = append(p, b[0])
	}
	return p, nil
}
