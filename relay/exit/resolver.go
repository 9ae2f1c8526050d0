package exit

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const ( // our choice
	maxLookups    = 256              // lookups under way in the process; further ones are refused
	queryPatience = 2 * time.Second  // one query to one server
	lookupTimeout = 10 * time.Second // one lookup with all its queries
	rounds        = 2                // times that the list of servers is gone through
)

// What a lookup may fail with.
var (
	errAbsent      = errors.New("no such name, or no address")    // the DNS says so
	errUnavailable = errors.New("no server gave a usable answer") // may work later
	errBusy        = errors.New("too many lookups under way")
)

// A resolver asks the recursive resolvers of this machine. It keeps answers for
// a while, and those who ask the same thing at the same time share one lookup.
type resolver struct {
	servers  *servers
	patience time.Duration
	cache    cache
	ctx      context.Context // ends when the resolver closes
	cancel   context.CancelFunc

	mu      sync.Mutex // guards what follows
	closed  bool
	flights map[question]*flight
	running sync.WaitGroup // one per flight; added to under mu while not closed
}

// A flight is one lookup under way.
type flight struct {
	done   chan struct{} // closed when result is there
	result result
}

func newResolver(c Config) *resolver {
	ctx, cancel := context.WithCancel(context.Background())
	return &resolver{
		servers:  &servers{fixed: c.Resolvers, path: c.ResolvConf},
		patience: c.QueryTimeout,
		cache:    newCache(),
		ctx:      ctx,
		cancel:   cancel,
		flights:  make(map[question]*flight),
	}
}

// close ends all lookups and waits for them.
func (r *resolver) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.running.Wait()
}

// lookup returns the lookup of q: one that is over when the cache has the answer
// or there are too many, else one under way, begun now if nobody asked before.
// Who stops waiting does not end it: others may wait for it too.
func (r *resolver) lookup(q question) *flight {
	if res, ok := r.cache.get(q, time.Now()); ok {
		return landed(res)
	}
	if f := r.join(q); f != nil {
		return f
	}
	return landed(result{err: errBusy})
}

// landed returns a flight that is over.
func landed(res result) *flight {
	f := &flight{done: make(chan struct{}), result: res}
	close(f.done)
	return f
}

// wait returns what became of f, or errUnavailable when ctx ends first.
func (f *flight) wait(ctx context.Context) result {
	select {
	case <-f.done:
		return f.result
	case <-ctx.Done():
		return result{err: errUnavailable}
	}
}

// join returns the flight for q, begun now if there is none; nil when there are
// too many.
func (r *resolver) join(q question) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[q]; f != nil {
		return f
	}
	if r.closed || len(r.flights) >= maxLookups {
		return nil
	}
	f := &flight{done: make(chan struct{})}
	r.flights[q] = f
	r.running.Go(func() { r.fly(q, f) }) // ends within lookupTimeout, or at close
	return f
}

func (r *resolver) fly(q question, f *flight) {
	ctx, cancel := context.WithTimeout(r.ctx, lookupTimeout)
	defer cancel()
	f.result = r.resolve(ctx, q)
	if f.result.err == nil || errors.Is(f.result.err, errAbsent) {
		r.cache.put(q, f.result, time.Now())
	}
	r.mu.Lock()
	delete(r.flights, q)
	r.mu.Unlock()
	close(f.done)
}

// resolve asks for q, and again for the name where a chain of aliases ends when
// the answer stops there.
func (r *resolver) resolve(ctx context.Context, q question) result {
	name, links, ttl := dns.CanonicalName(q.name), 0, maxTTL
	for {
		reply, err := r.query(ctx, name, q.qtype)
		if err != nil {
			return result{err: err}
		}
		out := read(reply, name, q.qtype, links)
		ttl = min(ttl, out.ttl)
		switch {
		case len(out.addrs)+len(out.names) > 0:
			return result{addrs: out.addrs, names: out.names, ttl: max(ttl, minTTL)}
		case reply.Rcode == dns.RcodeNameError, out.alias == name, out.links >= maxAliases:
			return result{ttl: absenceTTL(reply), err: errAbsent}
		}
		name, links = out.alias, out.links
	}
}

// query asks the servers in turn until one gives a usable answer: records, or
// the word that there are none.
func (r *resolver) query(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	list := r.servers.current(time.Now())
	for range rounds {
		for _, server := range list {
			reply, err := r.exchange(ctx, server, name, qtype)
			if ctx.Err() != nil {
				return nil, errUnavailable
			}
			if err == nil && (reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError) {
				return reply, nil
			}
		}
	}
	return nil, errUnavailable
}

// reverse returns the question for the names of an address.
func reverse(a netip.Addr) (question, error) {
	name, err := dns.ReverseAddr(a.String())
	if err != nil {
		return question{}, err
	}
	return question{strings.TrimSuffix(name, "."), dns.TypePTR}, nil
}
