// Package exit is the far end of a stream: it looks a destination up, holds it
// against the relay's exit policy, and opens a TCP connection to it. It knows
// nothing of circuits and cells but the messages of a stream; package relay
// moves the bytes.
//
// The policy is asked before a name is looked up (is there any address at all
// that it allows at this port?), after (which of these?), and once more by the
// socket just before it connects. Addresses of this machine and of private or
// special networks are refused whatever the policy accepts by wildcard: see
// [Exit.Allows].
//
// No error and no log line of this package names a destination or a client.
//
// Specification: docs/protocol.md, "Exits". The two change together.
package exit

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"tunic/directory"
)

const ( // our choice
	maxDials    = 1024             // destinations being looked up and dialled at once in the process
	placeTime   = 3 * time.Second  // that a dial waits for one of those to end
	dialTimeout = 15 * time.Second // name, all addresses and all: a client tries another exit after 10 s
)

// Config is what an exit is made from.
type Config struct {
	Policy directory.Policy
	// Private says that the network has private_addresses: special addresses
	// are then treated like all others.
	Private bool
	// Own gives the addresses that the relay listens on or publishes, which
	// are refused. Those of the machine's interfaces are found here. May be nil.
	Own func() []netip.Addr
	// Resolvers are the recursive resolvers to ask; when empty, those in the
	// file ResolvConf; when that is empty too, /etc/resolv.conf.
	Resolvers  []netip.AddrPort
	ResolvConf string
	// QueryTimeout bounds one query to one resolver, 0 for 2 s; DialTimeout the
	// whole way to a destination, 0 for 15 s.
	QueryTimeout, DialTimeout time.Duration

	Log *slog.Logger // nil: silent
}

// An Exit dials destinations. Its methods may be called from any goroutine.
type Exit struct {
	config   Config
	policy   atomic.Pointer[directory.Policy]
	own      ownAddrs
	resolver *resolver
	dials    chan struct{} // one element per dial under way
	counts   counts
	ctx      context.Context
	cancel   context.CancelFunc
}

// New returns an exit; [Exit.Close] ends it.
func New(c Config) *Exit {
	if c.ResolvConf == "" {
		c.ResolvConf = "/etc/resolv.conf"
	}
	if c.QueryTimeout == 0 {
		c.QueryTimeout = queryPatience
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = dialTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	e := &Exit{config: c, resolver: newResolver(c), dials: make(chan struct{}, maxDials)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.own.listen = c.Own
	e.policy.Store(&c.Policy)
	if len(e.resolver.servers.current(time.Now())) == 0 {
		c.Log.Warn("no name servers found, names will not resolve", "file", c.ResolvConf)
	}
	return e
}

// SetPolicy replaces the policy for destinations asked for from now on.
func (e *Exit) SetPolicy(p directory.Policy) { e.policy.Store(&p) }

// Close ends all lookups and dials under way and waits for them. Connections
// that were handed out stay open.
func (e *Exit) Close() error {
	e.cancel()
	e.resolver.close()
	return nil
}
