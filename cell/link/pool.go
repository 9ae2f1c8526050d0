package link

import (
	"cmp"
	"context"
	"hash/maphash"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tunic/cell/hybrid"
	"tunic/cell/work"
	"tunic/directory/keys"
)

// A Pool is all links of one node. It may be used by several goroutines.
type Pool struct {
	cfg     Config // fixed after construction, as is the rest of this group
	start   time.Time
	seed    maphash.Seed
	work    *work.Pool // handshakes of those who connect
	replay  *hybrid.Replay
	sources *sources
	ctx     context.Context // ends with the pool
	cancel  context.CancelFunc
	counts  counts

	largeWrites atomic.Int32 // buffers for several records that links have

	running sync.WaitGroup // connections in their handshake, dials, listeners
	linked  sync.WaitGroup // links

	mu        sync.Mutex // guards what follows
	closed    bool
	maxLinks  int
	listeners map[net.Listener]struct{}
	waiting   waiting
	share     [work.Authority + 1]int  // links by class
	links     map[*Link]struct{}       // all, until their loops have ended
	peers     map[keys.RelayID][]*Link // those of proven peers, the oldest first
	dials     map[keys.RelayID]*dial   // under way
	failures  map[keys.RelayID]failure // of late
}

// NewPool makes a pool. It panics if the configuration lacks what it needs.
func NewPool(cfg Config) *Pool {
	cfg = cfg.withDefaults()
	p := &Pool{cfg: cfg, maxLinks: cfg.MaxLinks, start: time.Now(), seed: maphash.MakeSeed(),
		sources:   newSources(&cfg.Limits),
		listeners: map[net.Listener]struct{}{},
		links:     map[*Link]struct{}{},
		peers:     map[keys.RelayID][]*Link{},
		dials:     map[keys.RelayID]*dial{},
		failures:  map[keys.RelayID]failure{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if cfg.Keys != nil { // it listens
		p.work = work.New(work.Config{Workers: cfg.Limits.Workers, Busy: cfg.Busy})
		p.replay = hybrid.NewReplay()
	}
	return p
}

// clock returns monotonic nanoseconds, for the age of cells.
func (p *Pool) clock() int64 { return int64(time.Since(p.start)) }

// classify returns the class of a proven peer.
func (p *Pool) classify(id keys.RelayID) work.Class {
	if p.cfg.Classify == nil {
		return work.Relay
	}
	return known(p.cfg.Classify(id))
}

// known returns c, or Stranger if there is no such class.
func known(c work.Class) work.Class {
	if c > work.Authority {
		return work.Stranger
	}
	return c
}

// add makes a link of a handshaken connection and starts it. hold is what the
// connection has taken of its source's share. On an error the caller still owns
// everything.
func (p *Pool) add(h *handshaken, hold *sourceHold) (*Link, error) {
	class := work.Stranger
	if h.proven {
		class = p.classify(h.peer)
	}
	l := newLink(p, h, class)
	if class == work.Stranger {
		l.source = hold
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	if !p.roomLocked(class) || h.proven && len(p.peers[h.peer]) >= maxPeerLinks {
		p.mu.Unlock()
		p.counts.overLinks.Add(1)
		return nil, ErrLinks
	}
	p.share[class]++
	p.links[l] = struct{}{}
	if h.proven {
		p.indexLocked(l)
		delete(p.failures, h.peer)
	}
	p.linked.Add(1) // done by forget
	p.mu.Unlock()
	if class != work.Stranger {
		hold.release()
	}
	go l.readLoop()
	go l.writeLoop()
	return l, nil
}

// roomLocked reports whether one more link of a class fits.
func (p *Pool) roomLocked(class work.Class) bool { return room(&p.share, class, p.maxLinks) }

// MaxLinks returns how many links there may be.
func (p *Pool) MaxLinks() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.maxLinks
}

// SetMaxLinks changes Config.MaxLinks for links from now on; those that there are stay.
func (p *Pool) SetMaxLinks(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.maxLinks = orDefault(n, defaultLinks)
}

// room reports whether one more of a class fits in its share of total, and in those
// that its share is part of.
func room(have *[work.Authority + 1]int, class work.Class, total int) bool {
	sum := 0
	for c := work.Stranger; c <= work.Authority; c++ {
		sum += have[c]
		if c >= class && sum >= c.Share(total) {
			return false
		}
	}
	return true
}

// indexLocked files l under its peer's identity.
func (p *Pool) indexLocked(l *Link) {
	all := append(p.peers[l.peer], l)
	slices.SortStableFunc(all, byAge)
	p.peers[l.peer] = all
	p.relabelLocked(all)
}

// relabelLocked decides which of the links to one peer takes new circuits: the
// oldest that is not too old. The others close once they have none.
func (p *Pool) relabelLocked(all []*Link) {
	now := time.Now()
	var current *Link
	for _, l := range all {
		if current == nil && now.Sub(l.born) < p.cfg.Limits.MaxAge {
			current = l
		}
		// The same hash: we are our own peer, and these are the two ends.
		surplus := l != current && (current == nil || l.hash != current.hash)
		if l.surplus.Swap(surplus) != surplus {
			l.wakeWriter()
		}
	}
}

// byAge orders links, the oldest first. Two that were made at about the same time,
// perhaps in both directions at once, are ordered by their bindings, so that both
// ends come to the same result whatever each saw first.
func byAge(a, b *Link) int {
	if d := a.born.Sub(b.born); d.Abs() >= tieWindow {
		return cmp.Compare(d, 0)
	}
	return slices.Compare(a.hash[:], b.hash[:])
}

// Find returns the link that takes new circuits to id, nil if there is none.
func (p *Pool) Find(id keys.RelayID) *Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.findLocked(id)
}

func (p *Pool) findLocked(id keys.RelayID) *Link {
	now := time.Now()
	for _, l := range p.peers[id] {
		if now.Sub(l.born) < p.cfg.Limits.MaxAge && l.touch(now) {
			return l
		}
	}
	return nil
}

// forget is called once, when both loops of a link have ended.
func (p *Pool) forget(l *Link) {
	p.mu.Lock()
	delete(p.links, l)
	p.share[l.classNow()]--
	p.unindexLocked(l)
	p.mu.Unlock()
	l.source.release()
	p.linked.Done()
}

// unindexLocked takes l out of its peer's links.
func (p *Pool) unindexLocked(l *Link) {
	all := slices.DeleteFunc(p.peers[l.peer], func(o *Link) bool { return o == l })
	if len(all) == 0 {
		delete(p.peers, l.peer)
		return
	}
	p.peers[l.peer] = all
	p.relabelLocked(all)
}

// Links returns all links.
func (p *Pool) Links() []LinkInfo {
	p.mu.Lock()
	all := slices.Collect(maps.Keys(p.links))
	p.mu.Unlock()
	infos := make([]LinkInfo, len(all))
	for i, l := range all {
		infos[i] = l.info()
	}
	return infos
}

// A LinkInfo is what is shown of a link. It holds no address.
type LinkInfo struct {
	ID       keys.RelayID  `json:"id"` // zero for a client
	Class    work.Class    `json:"class"`
	Proven   bool          `json:"proven"`
	Dialled  bool          `json:"dialled"`
	Age      time.Duration `json:"age"` // nanoseconds in JSON
	Circuits int           `json:"circuits"`
	Queued   int           `json:"queued"` // cells, of all circuits
	Read     uint64        `json:"read"`
	Written  uint64        `json:"written"` // bytes
}

func (l *Link) info() LinkInfo {
	l.mu.Lock()
	circuits := slices.Collect(maps.Values(l.circuits))
	l.mu.Unlock()
	i := LinkInfo{ID: l.peer, Class: l.classNow(), Proven: l.proven, Dialled: l.dialled, Age: time.Since(l.born),
		Circuits: len(circuits), Read: l.read.Load(), Written: l.written.Load()}
	for _, c := range circuits {
		i.Queued += c.Queued()
	}
	return i
}

// Close closes all links as Link.Close does, and the listeners, and returns when
// nothing of the pool runs any more: after two seconds or so at most. It must not
// be called from a callback of a link.
func (p *Pool) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	links := slices.Collect(maps.Keys(p.links))
	listeners := p.listeners
	p.listeners = nil
	p.mu.Unlock()
	if first {
		p.cancel()
		for ln := range listeners {
			ln.Close()
		}
	}
	for _, l := range links {
		l.Close()
	}
	p.running.Wait()
	p.linked.Wait()
	if p.work != nil {
		p.work.Close()
	}
	return nil
}
