package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tunic/directory"
	"tunic/directory/admission/origin"
	"tunic/directory/authority"
	"tunic/directory/keys"
	"tunic/relay"
)

// RunAuthority runs a directory authority until ctx ends: a relay that carries
// nobody's circuits, whose directory is the authority's.
func RunAuthority(ctx context.Context, cfg AuthorityConfig, o Options) error {
	params, err := directory.Params(cfg.Params)
	if err != nil {
		return err
	}
	network, lock, err := cfg.open(o)
	if err != nil {
		return err
	}
	defer lock.Close()
	set, err := keys.Load(KeyDir(cfg.State))
	if err != nil {
		return fmt.Errorf("an authority's keys are made before the network file, by 'tunic keys create-authority': %w", err)
	}
	if !set.Authority() {
		return fmt.Errorf("the keys in %s are a relay's", KeyDir(cfg.State))
	}
	if network.Authority(set.ID()) == nil {
		return fmt.Errorf("network %s does not name this authority (%v): another network file, or other keys", network.Name, set.ID())
	}
	if _, err := set.Renew(time.Now()); err != nil {
		return err
	}
	most := cfg.queueMemory()
	var origins *origin.Table
	if cfg.ASTable != "" {
		if origins, err = origin.Open(cfg.ASTable); err != nil {
			return fmt.Errorf("as_table: %w", err)
		}
	}
	links, _ := shareFiles(openFiles(), false)
	r, err := relay.New(relay.Config{
		MaxMemory: most, MaxLinks: links, Release: o.tuneMemory(most),
		Network: network, Keys: set, Dir: cfg.State, Listen: cfg.Listen, Nickname: cfg.Nickname,
		Platform: platform(), ShowAddresses: cfg.Log.Addresses, Log: o.Log,
	})
	if err != nil {
		return err
	}
	a, err := authority.New(authority.Config{
		Network: network, Keys: set, Dir: cfg.State, Pool: r.Pool(), Origins: origins, Params: params, Log: o.Log,
	})
	if err != nil {
		return errors.Join(err, r.Close())
	}
	r.SetDirectory(a.Handler(nil), a.Cache())

	ctx, cancel := context.WithCancel(ctx)
	voted := make(chan error, 1)
	go func() { // ends with ctx
		voted <- a.Run(ctx)
		cancel()
	}()
	err = runRelay(ctx, r, newStatus("authority", network), cfg.State, o, func(s *Status) {
		as := a.Status()
		s.Authority = &as
	}, func() error { return errNoReload }, operate(a))
	cancel()
	if e := <-voted; e != nil && !errors.Is(e, context.Canceled) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, a.Close())
}
