// Package authority is a directory authority: it admits relays' descriptors,
// tests whether relays answer, keeps their history, and with the other
// authorities of the network makes the consensus of every period. It is an
// http.Handler and a loop; links, circuits and the streams that requests come
// on are the relay's beside it, with which it shares a link pool.
//
// One period goes through three machines without I/O, which tests drive
// directly: [agreement] agrees on a set of votes, [Tally] makes a consensus of
// them, [signing] gathers signatures. Around them [registry] knows the relays,
// and store keeps on the disk what must outlive the process.
//
// Specification: docs/protocol.md, "Voting" and "Authorities". The two change
// together.
package authority

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tunic/cell/link"
	"tunic/directory"
	"tunic/directory/admission/origin"
	"tunic/directory/keys"
	"tunic/directory/mirror"
)

// Config is what an authority needs.
type Config struct {
	Network *directory.Network
	Keys    *keys.Set         // an authority's; whoever made it renews it
	Dir     string            // state directory, this authority's alone
	Pool    *link.Pool        // for tests of relays and for talking to the other authorities
	Origins *origin.Table     // where addresses lie, nil: not known
	Params  []directory.Param // consensus parameters to vote for, ascending by name; nil: none
	Rate    int64             // bytes/s of answers to strangers and relays; 0: no limit
	Log     *slog.Logger      // nil: silent
}

// An Authority is one running authority. Its methods may be called at the same
// time.
type Authority struct {
	cfg     Config
	log     *slog.Logger
	network *directory.Network
	self    keys.RelayID
	own     *directory.Authority // this authority's entry in the network file
	store   *store
	reg     *registry
	watch   *watch
	tickets *tickets
	cache   *mirror.Cache
	docs    *mirror.Handler
	peers   *peers
	test    tester
	release func() // of what New made

	probes  chan struct{}  // places for tests under way
	asked   chan struct{}  // places for tests that relays ask for
	due     chan struct{}  // holds a token when a test may be due sooner than planned
	unsaved chan struct{}  // holds a token when there is a descriptor to be written
	steps   chan struct{}  // holds a token when a period has steps to take
	errands sync.WaitGroup // messages and fetches that Run has started

	mu       sync.Mutex         // guards what follows
	periods  []*period          // the one being voted on and those just before it, the oldest first
	previous *directory.History // the newest known, nil if none
	failed   error              // why the last period brought no consensus, nil if it brought one
	closed   bool
}

// errNotAuthority says that the keys are not an authority's of the network.
var errNotAuthority = errors.New("the network file does not name this authority")

// New returns an authority with the state of its directory. Run makes it work;
// Close releases the directory.
func New(c Config) (*Authority, error) {
	to := newCircuits(c.Network, c.Pool)
	a, err := newAuthority(c, to.dial, c.Pool.Test)
	if err != nil {
		return nil, err
	}
	a.release = to.close
	return a, nil
}

// newAuthority returns an authority that talks to the others by dial and tests
// relays by test.
func newAuthority(c Config, dial dialer, test tester) (*Authority, error) {
	a := &Authority{
		cfg: c, log: c.Log, network: c.Network, self: c.Keys.ID(), own: c.Network.Authority(c.Keys.ID()),
		peers: newPeers(c.Network, c.Keys.ID(), dial), test: test, release: func() {},
		probes: make(chan struct{}, maxProbes), asked: make(chan struct{}, maxAsked),
		due: make(chan struct{}, 1), steps: make(chan struct{}, 1), unsaved: make(chan struct{}, 1),
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.own == nil {
		return nil, errNotAuthority
	}
	if key, _ := c.Keys.Note(); key == nil {
		return nil, fmt.Errorf("authority without a note key: %w", errNotAuthority)
	}
	if err := a.open(); err != nil {
		return nil, err
	}
	return a, nil
}

// open reads the state directory.
func (a *Authority) open() (err error) {
	if a.store, err = openStore(a.cfg.Dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.store.close())
		}
	}()
	defer damage(&err)
	now := time.Now()
	a.reg = newRegistry(a.network, now, newRand())
	a.reg.params = a.cfg.Params
	skipped, err := a.store.loadRelays(a.reg, now)
	if err != nil {
		return fmt.Errorf("load relays: %w", err)
	}
	if skipped > 0 {
		a.log.Info("descriptors passed over", keyCount, skipped)
	}
	if a.watch, err = openWatch(a.network, a.store, a.cfg.Dir, a.log); err != nil {
		return fmt.Errorf("state of detection: %w", err)
	}
	if a.tickets, err = openTickets(a.store); err != nil {
		return fmt.Errorf("shared randomness: %w", err)
	}
	if a.previous, err = a.store.loadHistory(a.network); err != nil {
		a.log.Warn("last checkpoint is unreadable, the others will tell it", keyError, err)
	}
	if a.cache, err = mirror.OpenCache(filepath.Join(a.cfg.Dir, "consensus"), a.network); err != nil {
		return fmt.Errorf("consensus: %w", err)
	}
	if b := a.cache.Current(); b != nil {
		a.reg.listed(b.Consensus)
	}
	a.docs = mirror.NewHandler(mirror.HandlerConfig{Source: source{a}, Rate: a.cfg.Rate})
	return os.MkdirAll(filepath.Join(a.cfg.Dir, evidenceDir), 0o700)
}

// newRand returns a generator for spreading work in time; nothing secret.
func newRand() *rand.Rand {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	return rand.New(rand.NewChaCha8(seed))
}

// source is what mirrors and clients may fetch.
type source struct{ a *Authority }

// Current returns the newest consensus.
func (s source) Current() *directory.Bundle { return s.a.cache.Current() }

// Descriptor returns a relay's newest descriptor.
func (s source) Descriptor(id keys.RelayID) []byte { return s.a.reg.descriptor(id) }

// Cache returns where the consensus is kept that this authority serves.
func (a *Authority) Cache() *mirror.Cache { return a.cache }

// SetRate changes the rate of answers to strangers and relays, bytes/s; 0: no
// limit.
func (a *Authority) SetRate(bytesPerSecond int64) { a.docs.SetRate(bytesPerSecond) }

// signer returns what this authority signs votes with now.
func (a *Authority) signer() (signer, error) {
	key, cert := a.cfg.Keys.Signing()
	if key == nil {
		return signer{}, errors.New("no signing key")
	}
	return signer{cert: cert, key: key}, nil
}

// Run takes part in voting and tests relays until ctx ends, then returns what
// ctx ended for. Nothing that it started runs any more when it returns.
func (a *Authority) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { a.voteLoop(ctx) })
	loops.Go(func() { a.probeLoop(ctx) })
	loops.Go(func() { a.saveLoop(ctx) })
	loops.Go(func() { a.stepLoop(ctx) })
	loops.Wait()
	a.errands.Wait()
	return context.Cause(ctx)
}

// Close writes the state and releases the directory. Run has returned.
func (a *Authority) Close() error {
	a.mu.Lock()
	closed := a.closed
	a.closed = true
	a.mu.Unlock()
	if closed {
		return nil
	}
	a.release()
	return errors.Join(a.store.saveRelays(a.reg), a.store.close())
}
