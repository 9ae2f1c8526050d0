package authority

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tunic/directory"
	"tunic/directory/keys"
)

const (
	forgetAfter  = 90 * 24 * time.Hour // fixed by docs/protocol.md, "Facts": then nothing counts any more
	newRate      = 20                  // our choice: unknown relays a second, so that testing them harms nobody
	newBurst     = 200                 // our choice: and at once: a network's start
	sameContents = 2 * time.Hour       // our choice: a descriptor that says nothing new is not taken before; Tor's
)

// Why a descriptor is not taken.
var (
	errOlder     = errors.New("older than the one held")
	errAuthority = errors.New("claims to be an authority")
	errFull      = errors.New("too many relays")
	errTooFast   = errors.New("too many new relays at once")
)

// registry knows the relays: their descriptors, their histories, when to test
// them. It does no I/O and reads no clock. It is safe for use by several
// goroutines at once.
type registry struct {
	network *directory.Network
	cadence cadence
	limit   int               // relays known at once
	params  []directory.Param // that this authority votes for

	mu      sync.Mutex // guards what follows
	relays  map[keys.RelayID]*relay
	queue   probeQueue              // all relays with a descriptor that are not being tested
	dirty   map[keys.RelayID]change // not on the disk yet
	rng     *rand.Rand
	tokens  float64 // for relays not seen before
	filled  time.Time
	started time.Time
	since   time.Time               // when this authority began to keep history
	newest  *directory.Consensus    // nil: none is known
	refused map[keys.RelayID]string // by which rule, in this authority's newest vote
}

// relay is what the registry knows of one.
type relay struct {
	id         keys.RelayID
	descriptor *directory.Descriptor // nil: only its history is known
	raw        []byte
	history    history
	service    service
	past       past

	due     time.Time // next test
	place   int       // in the queue, -1 if not there
	testing bool
	again   bool // address or key changed while it was tested
}

func newRegistry(n *directory.Network, now time.Time, rng *rand.Rand) *registry {
	return &registry{
		network: n, cadence: cadenceOf(n), limit: directory.MaxRelays,
		relays: make(map[keys.RelayID]*relay), dirty: make(map[keys.RelayID]change),
		rng: rng, tokens: newBurst, filled: now, started: now, since: now,
	}
}

// A verdict is what became of an uploaded descriptor.
type verdict struct {
	known bool // it was there already, or says nothing new
}

// admit takes a descriptor that verified. A relay whose address or link key is
// new is tested at once.
func (g *registry) admit(d *directory.Descriptor, raw []byte, now time.Time) (verdict, error) {
	if err := g.screen(d); err != nil {
		return verdict{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.relays[d.ID]
	if r == nil {
		switch {
		case !g.takeToken(now):
			return verdict{}, errTooFast
		case len(g.relays) >= g.limit && !g.makeRoom():
			return verdict{}, errFull
		}
		r = &relay{id: d.ID, place: -1, history: history{FirstSeen: now, Faded: fadeNumber(now)}, service: service{Adopt: true}}
		g.relays[d.ID] = r
	}
	old := r.descriptor
	if old != nil {
		switch {
		case old.Digest() == d.Digest():
			return verdict{known: true}, nil
		case d.Published.Before(old.Published):
			return verdict{}, errOlder
		case sameClaims(old, d) && d.Published.Sub(old.Published) < g.minRepeat():
			return verdict{known: true}, nil
		}
	}
	r.descriptor, r.raw = d, bytes.Clone(raw)
	if started := d.Published.Add(-d.Uptime); r.history.restarted(now, started) {
		r.past.started(started)
		r.past.missed(now)
	}
	r.past.describe(old, d)
	r.service.vouched(d.VouchedBy(), now)
	g.dirty[d.ID] |= changedDescriptor | changedHistory
	switch {
	case old == nil:
		g.testAt(r, now)
	case !sameTarget(old, d):
		r.history.moved(now)
		r.past.missed(now)
		g.testAt(r, now)
	}
	return verdict{}, nil
}

// screen refuses a relay that would pass for an authority.
func (g *registry) screen(d *directory.Descriptor) error {
	if g.network.Authority(d.ID) != nil {
		return errAuthority
	}
	for i := range g.network.Authorities {
		for _, addr := range g.network.Authorities[i].Addrs {
			if slices.Contains(d.Addrs, addr) {
				return errAuthority
			}
		}
	}
	return nil
}

// takeToken admits relays not seen before at a bounded rate: each costs a test
// at an address that a stranger chose.
func (g *registry) takeToken(now time.Time) bool {
	if d := now.Sub(g.filled); d > 0 {
		g.tokens = min(newBurst, g.tokens+d.Seconds()*newRate)
		g.filled = now
	}
	if g.tokens < 1 {
		return false
	}
	g.tokens--
	return true
}

// makeRoom forgets the relay known longest of those that were never reached, so
// that inventing relays keeps no real one out. It reports whether there is one.
func (g *registry) makeRoom() bool {
	var worst *relay
	for _, r := range g.relays {
		if !r.history.LastReached.IsZero() || r.testing || r.history.tests == 0 {
			continue
		}
		if worst == nil || r.history.FirstSeen.Before(worst.history.FirstSeen) {
			worst = r
		}
	}
	if worst == nil {
		return false
	}
	g.queue.remove(worst)
	delete(g.relays, worst.id)
	g.dirty[worst.id] = changedGone
	return true
}

// minRepeat is how soon a descriptor that says nothing new is taken again; two
// periods where these are short.
func (g *registry) minRepeat() time.Duration { return min(sameContents, 2*g.network.Timing.Period) }

// sameClaims reports whether two descriptors of a relay give authorities the
// same to say.
func sameClaims(a, b *directory.Descriptor) bool {
	ra, rb := a.Relay(), b.Relay()
	return sameFacts(&ra, &rb) && believed(a) == believed(b) && a.Contact == b.Contact && a.Platform == b.Platform &&
		a.Voucher == b.Voucher && slices.Equal(a.Policy.Rules, b.Policy.Rules)
}

// sameTarget reports whether a test of one says something of the other.
func sameTarget(a, b *directory.Descriptor) bool {
	return a.Link.Subject == b.Link.Subject && slices.Equal(a.Addrs, b.Addrs) && a.LinkVersions == b.LinkVersions
}

// descriptor returns a relay's newest descriptor, nil if there is none. The
// caller must not change it.
func (g *registry) descriptor(id keys.RelayID) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.relays[id]; r != nil {
		return r.raw
	}
	return nil
}

// lacks reports whether another authority's entry is about a newer descriptor
// than the one held.
func (g *registry) lacks(e *directory.VoteEntry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.relays[e.ID]
	return r == nil || r.descriptor == nil ||
		r.descriptor.Digest() != e.Descriptor && r.descriptor.Published.Before(e.Published)
}

// entries returns what this authority says of all relays with a fresh
// descriptor, ascending by identity, for a consensus valid from validAfter.
func (g *registry) entries(now, validAfter time.Time) []directory.VoteEntry {
	entries, _, _ := g.judged(now, validAfter)
	return entries
}

// judged returns the entries with what their flags rest on.
func (g *registry) judged(now, validAfter time.Time) ([]directory.VoteEntry, []facts, *flagger) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh := make([]*relay, 0, len(g.relays))
	for _, r := range g.relays {
		if r.descriptor != nil && now.Sub(r.descriptor.Published) <= directory.DescriptorLife {
			fresh = append(fresh, r)
		}
	}
	slices.SortFunc(fresh, func(a, b *relay) int { return bytes.Compare(a.id[:], b.id[:]) })
	b := g.basis(validAfter)
	all := make([]facts, len(fresh))
	for i, r := range fresh {
		all[i] = g.facts(r, now, &b)
	}
	flagger := newFlagger(all, now.Sub(g.since), g.cadence.interval, b.rules)
	entries := make([]directory.VoteEntry, len(fresh))
	for i, r := range fresh {
		entries[i] = directory.VoteEntry{
			Relay:      r.descriptor.RelayAt(validAfter),
			Published:  r.descriptor.Published,
			Descriptor: r.descriptor.Digest(),
		}
		e := &entries[i]
		e.Flags, e.Unknown = flagger.flags(&all[i])
		e.Weight = weightOf(all[i].bandwidth)
		stand(e, r, &b, validAfter)
	}
	return entries, all, flagger
}

// stand adds to an entry what the authority knows of the relay's time in the
// network.
func stand(e *directory.VoteEntry, r *relay, b *basis, validAfter time.Time) {
	e.FirstListed = r.service.FirstListed
	if !e.FirstListed.IsZero() {
		e.Age = min(r.service.Ageing.Age(b.day, b.rules), directory.MaxAge)
	}
	if validAfter.Before(r.descriptor.Voucher.Expires) {
		e.Vouch = r.service.Vouch
	}
}

func (g *registry) facts(r *relay, now time.Time, b *basis) facts {
	r.history.count(now)
	entry, e := r.descriptor.Relay(), g.newestOf(r.id)
	return facts{
		opinion:   g.cadence.opinionOf(&r.history, now, now.Sub(g.started)),
		exits:     servesExit(entry.Ports) || servesExit(entry.Ports6),
		bandwidth: believed(r.descriptor),
		between:   r.history.betweenFailures(),
		run:       r.history.Run,
		fraction:  r.history.fractionUp(),
		known:     r.history.Known,
		age:       b.rules.AgeOf(r.service.Ageing.Age(b.day, b.rules)),
		vouched:   e != nil && !e.Voucher.IsZero(),
	}
}

// listed takes the newest consensus, and from it since when relays are listed.
func (g *registry) listed(c *directory.Consensus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.newest != nil && !c.ValidAfter.After(g.newest.ValidAfter) {
		return
	}
	g.newest = c
	b := g.basis(c.ValidAfter)
	for i := range c.Relays {
		e := &c.Relays[i]
		if r := g.relays[e.ID]; r != nil {
			r.service.adopt(e, b.day, b.rules)
			g.dirty[e.ID] |= changedHistory
		}
	}
}

// forget drops descriptors that have expired and relays long gone.
func (g *registry) forget(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, r := range g.relays {
		if r.descriptor != nil && now.Sub(r.descriptor.Published) > directory.DescriptorLife+directory.DescriptorAhead && !r.testing {
			r.history.count(now)
			r.history.endRun()
			r.history.state = unknown
			r.descriptor, r.raw = nil, nil
			g.queue.remove(r)
			g.dirty[id] |= changedDescriptor | changedHistory
		}
		last := r.history.LastReached
		if last.IsZero() {
			last = r.history.FirstSeen
		}
		if r.descriptor == nil && (now.Sub(last) > forgetAfter || r.history.LastReached.IsZero()) {
			delete(g.relays, id)
			g.dirty[id] = changedGone
		}
	}
}

// count returns how many relays have a descriptor, and how many of them run.
func (g *registry) count(now time.Time) (known, running int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.relays {
		if r.descriptor == nil {
			continue
		}
		known++
		if g.cadence.opinionOf(&r.history, now, now.Sub(g.started)) == up {
			running++
		}
	}
	return known, running
}
