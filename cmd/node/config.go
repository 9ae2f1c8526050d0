// Package node puts a running node together: it reads a configuration file,
// starts the client, relay or authority that the file describes, answers on a
// local control socket, and tells the service manager how it goes. It knows no
// flags and no terminal: package main has those.
package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// maxConfig bounds a configuration file, in bytes: our choice; real ones have 1 KiB.
const maxConfig = 1 << 20

// Common is what every node's configuration holds.
type Common struct {
	// Network is the network file; relative to the configuration file.
	Network string `toml:"network"`
	// State is the directory of keys, caches and the control socket; relative
	// to the configuration file.
	State string `toml:"state"`
	Log   Log    `toml:"log"`
	// MaxQueueMemory bounds what peers can make the node hold, in bytes; 0: a
	// quarter of the machine's memory.
	MaxQueueMemory int64 `toml:"max_queue_memory"`
}

// Log says what is logged and how.
type Log struct {
	Format string `toml:"format"` // text or json
	Level  string `toml:"level"`  // debug, info, warn or error
	// Addresses allows addresses of clients and destinations in logs and status.
	Addresses bool `toml:"addresses"`
}

// A ClientConfig is the configuration of a client.
type ClientConfig struct {
	Common
	Socks Socks `toml:"socks"`
	// GuardOverride lets the client take more new guards than are safe.
	GuardOverride bool `toml:"guard_override"`
}

// Socks says where the SOCKS5 proxy listens.
type Socks struct {
	Listen []netip.AddrPort `toml:"listen"`
}

// A RelayConfig is the configuration of a relay.
type RelayConfig struct {
	Common
	Nickname string           `toml:"nickname"`
	Listen   []netip.AddrPort `toml:"listen"`
	// Address is what the relay publishes, one per family; empty: what the
	// authorities see.
	Address       []netip.AddrPort `toml:"address"`
	BandwidthRate int64            `toml:"bandwidth_rate"`  // bytes/s in each direction, 0 for no limit
	Burst         int64            `toml:"bandwidth_burst"` // bytes, 0 for one second of the rate
	DirectoryRate int64            `toml:"directory_rate"`  // bytes/s of directory answers, 0 for a quarter of bandwidth_rate
	ExitPolicy    []string         `toml:"exit_policy"`     // lines "accept 0.0.0.0/0:80"; none: not an exit
	Resolvers     []netip.AddrPort `toml:"resolvers"`       // of names at an exit; none: those of the machine
	Family        []string         `toml:"family"`          // certificates that the operator's family key made for this relay
	Contact       string           `toml:"contact"`         // how to reach the operator; published
}

// An AuthorityConfig is the configuration of a directory authority.
type AuthorityConfig struct {
	Common
	Nickname string           `toml:"nickname"`
	Listen   []netip.AddrPort `toml:"listen"`
	// Params are the parameters of the network that the authority votes for.
	Params map[string]int64 `toml:"params"`
	// ASTable is a file that says in which autonomous system and country
	// addresses lie: a maxminddb file or a list of prefixes; relative to the
	// configuration file. Empty: the authority votes on neither.
	ASTable string `toml:"as_table"`
}

// resolve makes the paths relative to dir absolute.
func (c *AuthorityConfig) resolve(dir string) {
	c.Common.resolve(dir)
	if c.ASTable != "" && !filepath.IsAbs(c.ASTable) {
		c.ASTable = filepath.Join(dir, c.ASTable)
	}
}

// Version is the version of this tree; releases change it.
const Version = "0.1.0"

// DefaultSocks is where the SOCKS5 proxy listens unless told otherwise.
var DefaultSocks = netip.MustParseAddrPort("127.0.0.1:1080")

// Load reads the configuration file at path into cfg, which holds the defaults.
// A key that cfg does not know is an error that shows its line.
func Load(path string, cfg any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return err
	}
	if len(text) > maxConfig {
		return fmt.Errorf("%s: larger than %d bytes", path, maxConfig)
	}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(cfg); err != nil {
		return fmt.Errorf("%s:\n%s", path, explain(err))
	}
	if c, ok := cfg.(interface{ resolve(dir string) }); ok {
		c.resolve(filepath.Dir(path))
	}
	return nil
}

// explain shows the line that a configuration error is about.
func explain(err error) string {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		return "unknown keys:\n" + unknown.String()
	}
	var bad *toml.DecodeError
	switch {
	case !errors.As(err, &bad):
		return err.Error()
	case len(bad.Key()) == 0: // no TOML: another file, perhaps one with a private key; it is not shown
		line, column := bad.Position()
		return fmt.Sprintf("line %d, column %d: %v", line, column, bad)
	}
	return bad.String()
}

// resolve makes the paths relative to dir absolute.
func (c *Common) resolve(dir string) {
	for _, p := range []*string{&c.Network, &c.State} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// check says what is missing or out of bounds.
func (c *Common) check() error {
	switch {
	case c.Network == "":
		return errors.New("no network file: set network = \"network.toml\" or --network (its operators hand it out)")
	case c.State == "":
		return errors.New("no state directory: set state = \"state\" or --state")
	case c.MaxQueueMemory != 0 && c.MaxQueueMemory < leastMemory:
		return fmt.Errorf("max_queue_memory is less than %d bytes", leastMemory)
	}
	return c.Log.check()
}

// StateOf returns the state directory that the configuration file at path names,
// whichever role it is for.
func StateOf(path string) (string, error) {
	for _, cfg := range []interface{ state() string }{new(ClientConfig), new(RelayConfig), new(AuthorityConfig)} {
		if err := Load(path, cfg); err == nil {
			if s := cfg.state(); s != "" {
				return s, nil
			}
			return "", fmt.Errorf("%s names no state directory", path)
		}
	}
	return "", Load(path, new(RelayConfig)) // the role with the most keys explains best
}

func (c *Common) state() string { return c.State }
