package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"strings"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
	"tunic/relay"
)

// defaultNickname is a relay's that names none: the machine's name may tell
// more than its operator wants.
const defaultNickname = "unnamed"

// RunRelay runs a relay until ctx ends.
func RunRelay(ctx context.Context, cfg RelayConfig, o Options) error {
	if err := cfg.check(); err != nil {
		return err
	}
	network, lock, err := cfg.open(o)
	if err != nil {
		return err
	}
	defer lock.Close()
	set, err := loadKeys(cfg.State, keys.LoadOrCreate)
	if err != nil {
		return err
	}
	rc, err := cfg.relay(network, set, o)
	if err != nil {
		return err
	}
	r, err := relay.New(rc)
	if err != nil {
		return err
	}
	var file RelayConfig // cfg without the flags over it
	if o.Config != "" {
		if err := Load(o.Config, &file); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	reload := func() error { return cfg.reload(r, file, o) }
	return runRelay(ctx, r, newStatus("relay", network), cfg.State, o, nil, reload)
}

// relay returns what package relay needs.
func (c *RelayConfig) relay(network *directory.Network, set *keys.Set, o Options) (relay.Config, error) {
	policy, err := directory.ParsePolicy(c.ExitPolicy)
	if err != nil {
		return relay.Config{}, fmt.Errorf("exit_policy: %w", err)
	}
	if c.Nickname == "" {
		c.Nickname = defaultNickname
	}
	families, err := c.families(set.ID())
	if err != nil {
		return relay.Config{}, err
	}
	most := c.queueMemory()
	links, streams := shareFiles(openFiles(), !policy.RejectsAll())
	return relay.Config{
		MaxMemory: most, MaxLinks: links, MaxStreams: streams, Release: o.tuneMemory(most),
		Network: network, Keys: set, Dir: c.State, Listen: c.Listen, Address: c.Address,
		Nickname: c.Nickname, Contact: c.Contact, Platform: platform(), Families: families,
		Transit: true, Policy: policy, Resolvers: c.Resolvers,
		BandwidthRate: c.BandwidthRate, BandwidthBurst: c.Burst, DirectoryRate: c.DirectoryRate,
		ShowAddresses: c.Log.Addresses, Log: o.Log,
	}, nil
}

// families parses the certificates by which families count the relay as theirs.
// One that has run out is the relay's to pass over.
func (c *RelayConfig) families(id keys.RelayID) ([]keys.Certificate, error) {
	var all []keys.Certificate
	for _, text := range c.Family {
		var cert keys.Certificate
		if err := cert.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("family: not a certificate that 'tunic keys family' makes: %w", err)
		}
		if _, err := cert.FamilyMember(id, cert.NotBefore); err != nil {
			return nil, fmt.Errorf("family: not a certificate for this relay, %v: %w", id, err)
		}
		all = append(all, cert)
	}
	return all, nil
}

// platform names the program and the system, as descriptors show it.
func platform() string { return "tunic " + Version + " on " + runtime.GOOS }

// check says which key has a value that the relay could not work or be published
// with.
func (c *RelayConfig) check() error {
	if err := c.Common.check(); err != nil {
		return err
	}
	switch {
	case len(c.Listen) == 0:
		return errors.New("no address to listen on: set listen")
	case c.Nickname != "" && !directory.ValidNickname(c.Nickname):
		return fmt.Errorf("nickname %q: use 1 to %d letters and digits", c.Nickname, directory.MaxNickname)
	case !directory.ValidContact(c.Contact):
		return fmt.Errorf("contact: use at most %d characters of ASCII in one line, without a space at either end", directory.MaxContact)
	case len(c.Address) > 0 && !directory.ValidRelayAddrs(c.Address):
		return fmt.Errorf("address %v: use one IPv4 address, and at most one IPv6 address, that others can dial, with their ports", c.Address)
	case c.BandwidthRate < 0 || c.Burst < 0 || c.DirectoryRate < 0:
		return errors.New("a rate or burst is below 0")
	}
	for _, a := range c.Resolvers {
		if a.Port() == 0 {
			return fmt.Errorf("resolvers: %v has no port", a)
		}
	}
	return nil
}

// reload reads the configuration again and takes over what can change while
// the relay runs: bandwidth and exit policy. c is what the relay runs with, file
// what the file said of it: the flags said the rest.
func (c *RelayConfig) reload(r *relay.Relay, file RelayConfig, o Options) error {
	if o.Config == "" {
		return errors.New("there is no configuration file to read again")
	}
	var fresh RelayConfig
	if err := Load(o.Config, &fresh); err != nil {
		return err
	}
	whole := fresh
	if file.Network == "" {
		whole.Network = cmp.Or(whole.Network, c.Network)
	}
	if file.State == "" {
		whole.State = cmp.Or(whole.State, c.State)
	}
	if len(file.Listen) == 0 && len(whole.Listen) == 0 {
		whole.Listen = c.Listen
	}
	if err := whole.check(); err != nil {
		return err
	}
	policy, err := directory.ParsePolicy(fresh.ExitPolicy)
	if err != nil {
		return fmt.Errorf("exit_policy: %w", err)
	}
	r.SetBandwidth(fresh.BandwidthRate, fresh.Burst, fresh.DirectoryRate)
	r.SetPolicy(policy)
	r.SetLimits(shareFiles(openFiles(), !policy.RejectsAll()))
	if keys := differing(reflect.ValueOf(file.lasting()), reflect.ValueOf(fresh.lasting()), ""); len(keys) > 0 {
		o.Log.Warn("other keys than bandwidth and exit_policy have changed: they count from the next start", "keys", strings.Join(keys, " "))
	}
	return nil
}

// lasting returns what reload does not change.
func (c RelayConfig) lasting() RelayConfig {
	c.BandwidthRate, c.Burst, c.DirectoryRate, c.ExitPolicy = 0, 0, 0, nil
	return c
}

// differing returns the keys, each behind prefix, that two configurations of one
// type give other values.
func differing(a, b reflect.Value, prefix string) (keys []string) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		key := prefix + f.Tag.Get("toml")
		switch {
		case f.Anonymous:
			keys = append(keys, differing(a.Field(i), b.Field(i), prefix)...)
		case f.Type.Kind() == reflect.Struct:
			keys = append(keys, differing(a.Field(i), b.Field(i), key+".")...)
		case !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			keys = append(keys, key)
		}
	}
	return keys
}

// runRelay runs r, alone or as part of an authority, with its control socket.
// status, if not nil, adds what the authority says; more what it answers on the
// control socket.
func runRelay(ctx context.Context, r *relay.Relay, base Status, state string, o Options, status func(*Status), reload func() error, more ...func(*http.ServeMux)) error {
	defer r.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer announceStop(ctx, cancel)()
	control, err := serveControl(state, func() Status {
		s, rs := base, r.Status()
		s.Relay = &rs
		if status != nil {
			status(&s)
		}
		return s
	}, cancel, more...)
	if err != nil {
		return err
	}
	defer control.close()
	go func() { // ends with ctx
		select {
		case <-r.Ready():
			o.event(Event{Phase: "listening", Percent: 100, Message: "listening", Ready: true})
			o.Log.Info("listening", "role", base.Role, "identity", r.ID().String())
		case <-ctx.Done():
		}
	}()
	go o.watchReload(ctx, reload) // ends with ctx
	if err := r.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// loadKeys reads or makes a node's keys.
func loadKeys(state string, load func(string, time.Time) (*keys.Set, error)) (*keys.Set, error) {
	set, err := load(KeyDir(state), time.Now())
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("keys in %s: %w (whose are they?)", KeyDir(state), err)
	}
	if err != nil {
		return nil, fmt.Errorf("keys in %s: %w", KeyDir(state), err)
	}
	return set, nil
}
