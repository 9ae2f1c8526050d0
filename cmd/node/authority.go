package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tunic/circuit/congestion"
	"tunic/directory"
	"tunic/directory/admission/origin"
	"tunic/directory/authority"
	"tunic/directory/keys"
	"tunic/directory/rules"
	"tunic/relay"
)

// doubtParams warns of parameters that no node of this version follows as they
// are. They are voted for all the same: newer versions may know others.
func doubtParams(log *slog.Logger, params []directory.Param) {
	for _, p := range params {
		least, most, known := rules.Bounds(p.Name)
		if !known {
			least, most, known = congestion.Bounds(p.Name)
		}
		switch {
		case !known:
			log.Warn("[params] names a parameter that this version does not know", "name", p.Name)
		case p.Value < least || p.Value > most:
			log.Warn("[params] sets a parameter out of its bounds; nodes take the nearest", "name", p.Name, "value", p.Value, "least", least, "most", most)
		}
	}
}

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
	doubtParams(o.Log, params)
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
