// Package client is the network's user, as a library: it finds the relays
// through the signed consensus, keeps guards, builds circuits ahead of use and
// opens streams on them, and mends all of that by itself. Front ends (SOCKS and
// the like) are users of it: see package proxy.
//
//	c, err := client.Open(ctx, client.Config{Network: network, StateDir: dir})
//	...
//	conn, err := c.DialContext(ctx, "tcp", "example.com:443")
//
// It never resolves a name itself: names go to the exit. A request that fails
// before the exit has said that the destination is reached is tried on other
// circuits, within the time that the caller's context leaves, and what came by
// [Request.First] is sent again on each; after that it never is.
//
// What is decided stands apart from what is done: package path chooses guards
// and paths, [pool] which circuit a request takes and which is built next; both
// know no clock and no network. The goroutines are: the keeper, which does what
// the pool wants; one per circuit, which builds it and notices its end; one per
// probe of a guard; one per request, which notices that its circuit is stuck, two
// more while the exit is asked about that, and one while early data may come; one
// that fetches the consensus, and one per source that it asks; one that saves the
// guards; one that watches memory; one that tells events. All end with Close. One
// lock guards guards, view and pool; it is never held while waiting for anything.
//
// Specification: docs/protocol.md, "Choosing a path" and "Clients"; for users
// docs/running-a-client.md.
package client

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell/ceiling"
	"tunic/cell/link"
	"tunic/client/path"
	"tunic/directory"
	"tunic/directory/mirror"
)

// Config is what a client needs to know. Network and StateDir are required.
type Config struct {
	Network   *directory.Network
	StateDir  string         // guards and the cached consensus; made if it is missing, locked while in use
	Log       *slog.Logger   // nil discards
	Transport link.Transport // nil is TCP
	// Notify is told of progress, in order, by one goroutine; it should return
	// soon, and must not call Close, which waits for it. nil is told nothing.
	Notify func(Event)
	// MaxMemory bounds what all circuits hold for those who read from them, in
	// bytes; 0: 256 MiB. Beyond it circuits end, those first whose data has waited
	// longest.
	MaxMemory int64
	// GuardOverride lets the client take new guards when it has had as many as the
	// network's rules allow, and its own cannot be reached: for a user who knows why.
	GuardOverride bool
	// Release gives memory that is not used back to the system, when a load is
	// over; nil: the runtime does so in its own time.
	Release func()
}

// A Client is a running client. Its methods may be called at the same time.
type Client struct {
	netfile *directory.Network // fixed, as is what follows
	log     *slog.Logger
	net     network
	store   *store
	cache   cache
	status  *progress
	exposed exposed
	read    atomic.Uint64 // bytes of streams
	written atomic.Uint64

	ctx    context.Context // ends with Close; parent of all that runs
	cancel context.CancelFunc
	loops  sync.WaitGroup
	once   sync.Once
	closed error         // what Close returns; set by once
	wake   chan struct{} // the keeper has something to do; room for one
	soon   chan struct{} // it will have, and does not know yet; room for one
	told   atomic.Bool   // it does
	save   chan struct{} // so has the saver

	mu        sync.Mutex // guards what follows
	rng       *rand.Rand
	guards    *path.Guards
	saved     uint64     // revision of the guards on disk
	view      *path.View // nil before the first consensus
	tooOld    error      // why that may not be used any more; nil: it may
	pool      *pool
	shunned   map[post]time.Time // relays that take no streams for now, or are lost, until when
	misses    map[post]int       // failures in a row to extend to a relay, since this consensus
	nextFetch time.Time
}

// Open starts a client and waits until it is ready: its first circuit is open.
// On an error, which comes with the end of ctx at the latest, nothing is left
// running.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	c, err := Start(cfg)
	if err != nil {
		return nil, err
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Start starts a client and returns at once; requests wait until it is ready.
func Start(cfg Config) (*Client, error) {
	if cfg.Network == nil {
		return nil, errors.New("client: no network file given")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Transport == nil {
		cfg.Transport = link.TCP{}
	}
	if cfg.MaxMemory <= 0 {
		cfg.MaxMemory = defaultMemory
	}
	s, err := openStore(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	held, err := mirror.OpenCache(s.consensus(), cfg.Network)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cached consensus: %w", err), s.close())
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails: crypto/rand ends the process first
	rng := rand.New(rand.NewChaCha8(seed))
	var c *Client
	guard := ceiling.New(ceiling.Config{Limit: cfg.MaxMemory, Release: cfg.Release,
		Holdings: func() []ceiling.Holding { return c.holdings() }})
	c, err = start(cfg, s, held, newWire(cfg.Network, cfg.Transport, cfg.Log, &guard.In, &guard.Out), rng)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	c.loops.Go(func() { guard.Run(c.ctx) })
	return c, nil
}

// start starts a client on any network and with any cache. On an error the
// store stays the caller's, and the network is closed.
func start(cfg Config, s *store, held cache, n network, rng *rand.Rand) (*Client, error) {
	now := time.Now()
	guards, err := s.loadGuards(cfg.Network.Name, now)
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	c := &Client{
		netfile: cfg.Network, log: cfg.Log, net: n, store: s, cache: held, status: newProgress(cfg.Notify),
		wake: make(chan struct{}, 1), soon: make(chan struct{}, 1), save: make(chan struct{}, 1),
		rng: rng, guards: guards, pool: newPool(rng, now), shunned: make(map[post]time.Time), misses: make(map[post]int),
	}
	c.guards.Override = cfg.GuardOverride
	c.pool.used = c.used
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.loops.Go(c.keep)
	c.loops.Go(c.fetch)
	c.loops.Go(c.saveGuards)
	if cfg.Notify != nil {
		c.loops.Go(func() { c.status.run(c.ctx.Done()) })
	}
	return c, nil
}

// WaitReady waits until the client has had a circuit open. The error says what
// stood in the way, if the client knows.
func (c *Client) WaitReady(ctx context.Context) error {
	select {
	case <-c.status.ready:
		return nil
	case <-c.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		phase, problem := c.status.now()
		if problem != "" {
			return fmt.Errorf("%v: %s: %w", phase, problem, ended(ctx))
		}
		return fmt.Errorf("%v: %w", phase, ended(ctx))
	}
}

// Close ends all streams, circuits and links and waits for every goroutine.
func (c *Client) Close() error {
	c.once.Do(func() { c.closed = c.end() })
	return c.closed
}

func (c *Client) end() error {
	c.status.reach(Closed)
	c.cancel()
	c.mu.Lock()
	for _, w := range c.pool.waiters {
		w.got <- grant{err: ErrClosed}
	}
	c.pool.waiters = nil
	c.mu.Unlock()
	c.loops.Wait()
	return errors.Join(c.net.close(), c.store.close())
}

// nudge wakes the keeper.
func (c *Client) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// nudgeLater wakes the keeper within settleTime: for what has time. Many requests in a
// row cost one look at all circuits.
func (c *Client) nudgeLater() {
	if c.told.Swap(true) {
		return
	}
	select {
	case c.soon <- struct{}{}:
	default:
	}
}
