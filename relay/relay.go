// Package relay is a running relay: it answers the handshakes of links and
// circuits, extends circuits to other relays, opens streams to the world where
// its policy allows (package exit) and to its directory, keeps a copy of the
// consensus, and publishes its descriptor. What cells mean is package circuit's,
// how they travel package link's; this package decides whether and where.
//
// An authority's process is a relay without transit ([Config.Transit]) that
// serves the authority's handler in place of a mirror's.
//
// What strangers can ask for is bounded: reassemblies of handshakes, handshakes
// (package work), circuits by source and by link, EXTENDs and streams under way,
// directory streams. A third of what is scarce is kept for relays and a third
// for authorities. Each limit stands beside its reason in limits.go.
//
// Specification: docs/protocol.md, "Relays". The two change together.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"tunic/cell/ceiling"
	"tunic/cell/hybrid"
	"tunic/cell/link"
	"tunic/cell/work"
	"tunic/circuit"
	"tunic/directory"
	"tunic/directory/keys"
	"tunic/directory/mirror"
	"tunic/relay/exit"
)

// Config is what a relay is made from. Network, Keys, Dir and Listen are needed.
type Config struct {
	Network *directory.Network
	Keys    *keys.Set
	Dir     string           // state: consensus, bandwidth history; exists
	Listen  []netip.AddrPort // of links; port 0 takes any
	// Address is what the descriptor says, one per family at most; when empty,
	// the address that a majority of authorities saw, with the port of Listen.
	Address  []netip.AddrPort
	Nickname string
	Contact  string // may be empty
	Platform string // such as "tunic 1.0 on linux"
	Families []keys.Certificate

	// Transit says that strangers' circuits go through here: circuits may be
	// extended, and streams opened as Policy allows. An authority's process has
	// it false: it takes circuits for its directory alone, publishes nothing
	// and fetches nothing.
	Transit bool
	// Policy says where streams may lead; the zero Policy: this is no exit.
	Policy    directory.Policy
	Resolvers []netip.AddrPort // see exit.Config

	// BandwidthRate and BandwidthBurst, in bytes/s and bytes, bound each
	// direction of the whole process; 0: no limit, and one second of the rate.
	BandwidthRate, BandwidthBurst int64
	// DirectoryRate bounds the answers of the directory, in bytes/s; 0: a
	// quarter of BandwidthRate.
	DirectoryRate int64

	// MaxMemory bounds what peers can make the relay hold, in bytes; 0: 512 MiB.
	// Beyond it the circuits whose data has waited longest are ended.
	MaxMemory int64
	// MaxLinks and MaxStreams bound links and, at an exit, streams: each takes a
	// file. 0, and the most: 49,152 and 16,384; links also take at most a third of
	// MaxMemory.
	MaxLinks, MaxStreams int
	// Release gives memory that is not used back to the system, when a load is
	// over; nil: the runtime does so in its own time.
	Release func()

	// Directory serves directory streams; nil: a mirror of the relay's own.
	// Source then says what the newest consensus is; nil: what the relay
	// fetches. Both may be set later, by SetDirectory.
	Directory http.Handler
	Source    mirror.Source

	// ShowAddresses puts addresses of peers and destinations into Status.
	ShowAddresses bool

	Transport link.Transport // nil: TCP
	Log       *slog.Logger   // nil: silent
}

// A Relay is a relay. Its methods may be called from any goroutine.
type Relay struct {
	cfg      Config
	id       keys.RelayID
	log      *slog.Logger
	params   circuit.Params
	pool     *link.Pool
	work     *work.Pool // handshakes with hops
	replay   *hybrid.Replay
	exit     *exit.Exit // nil without transit
	cache    *mirror.Cache
	mirror   *mirror.Handler // nil when another handler serves from the start
	dirs     *mirror.Listener
	dirHTTP  *http.Server
	sources  *sourceLimit
	read     *meter
	write    *meter
	memory   *ceiling.Guard
	breath   *breath
	turns    *turns        // of dials
	refusals *rate.Limiter // circuits refused for want of resources
	started  time.Time
	tested   tested           // owned by keepPublished
	member   keys.Certificate // of the family whose key is here; owned by keepPublished

	view    viewer
	creates creates
	hops    hops
	streams *streams
	fetch   fetcher
	publish publisher
	counts  counts

	handler   atomic.Pointer[http.Handler] // of directory streams
	policy    atomic.Pointer[directory.Policy]
	exits     atomic.Bool // policy accepts something
	bandwidth atomic.Pointer[bandwidth]
	resolves  atomic.Int64
	draining  atomic.Bool   // no new circuits, no new streams
	ready     chan struct{} // closed when the relay listens
	stopped   chan struct{} // closed when nothing of it runs any more

	ctx    context.Context // ends when the relay stops
	cancel context.CancelFunc

	mu        sync.Mutex // guards what follows
	state     state
	listeners []net.Listener
	running   sync.WaitGroup // goroutines of streams and EXTENDs; added to under mu while serving
}

// bandwidth is what the operator gives, as in Config.
type bandwidth struct{ rate, burst, directory int64 }

// A state says how far a relay's life is.
type state uint8

const (
	made state = iota
	serving
	closed
)

// ErrClosed is the error of Run on a relay that has run or was closed.
var ErrClosed = errors.New("relay closed")

// New makes a relay. It listens and talks to nobody before [Relay.Run]; a relay
// that is never run is to be closed.
func New(cfg Config) (*Relay, error) {
	if err := check(&cfg); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &Relay{
		cfg: cfg, id: cfg.Keys.ID(), log: cfg.Log,
		params:  circuit.Params{Network: cfg.Network.Digest()},
		replay:  hybrid.NewReplay(),
		dirs:    mirror.NewListener(),
		sources: newSourceLimit(strangerRate, strangerBurst),
		started: time.Now(),
		ready:   make(chan struct{}), stopped: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.memory = r.newGuard()
	r.refusals = rate.NewLimiter(rate.Limit(refusalRate*runtime.GOMAXPROCS(0)), refusalBurst)
	r.breath = newBreath(func() uint64 { return r.memory.In.Total() + r.memory.Out.Total() })
	r.turns = newTurns(r.breath.flows)
	r.work = work.New(work.Config{Busy: r.breath.flows})
	r.read, r.write = newMeter(&r.memory.In), newMeter(&r.memory.Out)
	r.creates.links = make(map[*link.Link]*linkCreates)
	r.hops.all = make(map[*circuit.Hop]*allowance)
	r.streams = newStreams(cfg.MaxStreams)
	r.publish.kick = make(chan struct{}, 1)
	r.view.turned = r.reclassify
	r.view.network, r.view.byAddr = cfg.Network, addressClasses(cfg.Network, nil)
	if cfg.Network.PrivateAddresses {
		r.sources = newSourceLimit(privateRate, privateBurst)
	}
	r.policy.Store(&cfg.Policy)
	r.exits.Store(cfg.Transit && !cfg.Policy.RejectsAll())
	r.dirHTTP = mirror.NewServer(http.HandlerFunc(r.dirHandler))
	r.pool = link.NewPool(r.linkConfig())
	if err := r.open(); err != nil {
		r.Close()
		return nil, fmt.Errorf("relay: %w", err)
	}
	r.SetBandwidth(cfg.BandwidthRate, cfg.BandwidthBurst, cfg.DirectoryRate)
	return r, nil
}

// check fills in defaults, and says what is missing.
func check(cfg *Config) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Transport == nil {
		cfg.Transport = link.TCP{}
	}
	if cfg.MaxMemory <= 0 {
		cfg.MaxMemory = defaultMemory
	}
	cfg.MaxLinks, cfg.MaxStreams = linksWithin(cfg.MaxLinks, cfg.MaxMemory), streamsWithin(cfg.MaxStreams)
	if cfg.Nickname == "" {
		cfg.Nickname = "unnamed"
	}
	if cfg.Platform == "" {
		cfg.Platform = "tunic"
	}
	switch {
	case cfg.Network == nil:
		return errors.New("no network")
	case cfg.Keys == nil:
		return errors.New("no keys")
	case cfg.Dir == "":
		return errors.New("no state directory")
	case len(cfg.Listen) == 0:
		return errors.New("no address to listen on")
	}
	return nil
}

// linkConfig returns what the links of this relay have in common.
func (r *Relay) linkConfig() link.Config {
	var limits link.Limits
	if r.cfg.Network.PrivateAddresses {
		// All nodes and clients may share one address, and restart often.
		limits = link.Limits{DialMemory: 100 * time.Millisecond, SourceLinks: 10_000, SourceRate: privateRate, SourceBurst: privateBurst}
	}
	return link.Config{
		Network: r.params.Network, ID: r.id, Keys: r.cfg.Keys.LinkKeys, Proof: r.cfg.Keys.Proof,
		Classify: r.view.classify, SourceClass: r.view.classifyAddr,
		Handler: r, ReadLimit: r.read, WriteLimit: r.write, MaxLinks: r.cfg.MaxLinks,
		Transport: r.cfg.Transport, Limits: limits, Log: r.log, Busy: r.breath.flows,
	}
}

// open opens what lies on disk, and what depends on the role.
func (r *Relay) open() error {
	if r.cfg.Transit {
		r.exit = exit.New(exit.Config{
			Policy: r.cfg.Policy, Private: r.cfg.Network.PrivateAddresses, Own: r.ownAddrs,
			Resolvers: r.cfg.Resolvers, Log: r.log,
		})
		if err := loadHistory(r.cfg.Dir, r.read, r.write, time.Now()); err != nil {
			r.log.Warn("bandwidth history left aside", slog.Any("error", err))
		}
	}
	source := r.cfg.Source
	switch {
	case source != nil:
	case r.cfg.Transit:
		cache, err := mirror.OpenCache(filepath.Join(r.cfg.Dir, consensusFile), r.cfg.Network)
		if err != nil {
			return err
		}
		r.cache, source = cache, cache
		r.fetch.run = r.fetchOnce
		r.fetch.gap = func() time.Duration { return refreshGap(r.cfg.Network, r.consensus()) }
	default:
		source = nothing{} // until SetDirectory
	}
	r.view.source.Store(&source)
	handler := r.cfg.Directory
	if handler == nil {
		r.mirror = mirror.NewHandler(mirror.HandlerConfig{Source: source})
		handler = r.mirror
	}
	r.handler.Store(&handler)
	return nil
}

const consensusFile = "consensus" // in the state directory

// nothing is a source without a consensus.
type nothing struct{}

func (nothing) Current() *directory.Bundle { return nil }

// refreshGap is how long after one fetch an unknown identity causes no other: of
// a relay of network n that has consensus c, nil if none yet. Where consensuses
// follow one another quickly, neighbours have the next one as quickly.
func refreshGap(n *directory.Network, c *directory.Consensus) time.Duration {
	period := n.Timing.Period
	switch {
	case c != nil:
		period = c.FreshUntil.Sub(c.ValidAfter)
	case n.Timing.InitialRounds > 0:
		period = n.Timing.InitialPeriod
	}
	return min(refreshAfter, period/refreshShare)
}

// ownAddrs returns the addresses that the exit refuses as this relay's own.
func (r *Relay) ownAddrs() []netip.Addr {
	out := r.publish.published()
	for _, a := range r.listening() {
		out = append(out, a.Addr())
	}
	for _, a := range r.cfg.Address {
		out = append(out, a.Addr().Unmap())
	}
	return out
}

// Pool returns the relay's links, for an authority in the same process.
func (r *Relay) Pool() *link.Pool { return r.pool }

// Ready returns a channel that is closed when the relay listens.
func (r *Relay) Ready() <-chan struct{} { return r.ready }

// ID returns the relay's identity.
func (r *Relay) ID() keys.RelayID { return r.id }

// SetDirectory has h serve directory streams from now on, and takes src for the
// newest consensus, as Config.Directory and Source; nil leaves either as it is.
// An authority, which needs the relay's links first, is put in this way before
// Run.
func (r *Relay) SetDirectory(h http.Handler, src mirror.Source) {
	if h != nil {
		r.handler.Store(&h)
	}
	if src != nil {
		r.view.source.Store(&src)
	}
}

// SetBandwidth changes the limits of bandwidth, as Config has them. The
// descriptor follows.
func (r *Relay) SetBandwidth(rate, burst, directory int64) {
	r.bandwidth.Store(&bandwidth{rate, burst, directory})
	r.read.set(rate, burst)
	r.write.set(rate, burst)
	if directory <= 0 {
		directory = rate / 4
	}
	if r.mirror != nil {
		r.mirror.SetRate(directory)
	}
	r.publish.poke()
}

// SetLimits changes MaxLinks and MaxStreams, as Config has them, for links and streams
// from now on: what there is stays.
func (r *Relay) SetLimits(links, streams int) {
	r.pool.SetMaxLinks(linksWithin(links, r.cfg.MaxMemory))
	r.streams.setMost(streamsWithin(streams))
}

// SetPolicy changes the exit policy for streams from now on. The descriptor
// follows. A relay that was no exit becomes one, and the other way round.
func (r *Relay) SetPolicy(p directory.Policy) {
	r.policy.Store(&p)
	r.exits.Store(r.cfg.Transit && !p.RejectsAll())
	if r.exit != nil {
		r.exit.SetPolicy(p)
	}
	r.publish.poke()
}
