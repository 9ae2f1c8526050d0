package exit

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"tunic/cell"
)

const ( // RFC 8305, sections 3, 5 and 8
	resolutionDelay = 50 * time.Millisecond  // for the preferred family, when the other has an answer
	attemptDelay    = 250 * time.Millisecond // between the beginnings of two attempts
)

const maxAttempts = 6 // our choice: addresses tried for one stream

// A race tries the addresses of a destination one after the other, each a
// little after the one before, in turns of the families, and takes the first
// that connects (happy eyeballs, RFC 8305). Owned by the goroutine in run.
type race struct {
	allows  func(netip.AddrPort) bool
	connect func(context.Context, netip.AddrPort) (net.Conn, error)
	port    uint16
	prefer6 bool

	waiting [2][]candidate // addresses to try: of the preferred family, of the other
	turn    int            // whose turn it is
	begun   int            // attempts begun so far
	running int            // attempts under way
	reason  cell.EndReason // the one to tell if none succeeds
	results chan attempt   // unbuffered: who is not heard closes its connection
	all     sync.WaitGroup
}

// A candidate is an address that the policy allows.
type candidate struct {
	addr netip.Addr
	ttl  time.Duration
}

// An attempt is what became of one of them.
type attempt struct {
	candidate
	conn net.Conn
	err  error
}

// run ends with the first connection, when nothing is left to try, or when ctx
// ends; by then all attempts have ended.
func (r *race) run(ctx context.Context, lookups []*flight) (net.Conn, cell.ConnectedReply, cell.EndReason) {
	r.results = make(chan attempt)
	defer r.all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before the wait above
	timer := time.NewTimer(attemptDelay)
	timer.Stop()
	defer timer.Stop()
	var done [2]<-chan struct{} // the lookups not over yet
	for i, f := range lookups {
		done[i] = f.done
	}
	for done != [2]<-chan struct{}{} || r.running > 0 || r.left() > 0 {
		select {
		case <-done[0]:
			done[0] = nil
			r.take(lookups[0].result)
			timer.Reset(r.pause(done[1] != nil))
		case <-done[1]:
			done[1] = nil
			r.take(lookups[1].result)
			timer.Reset(r.pause(done[0] != nil))
		case <-timer.C:
			r.begin(ctx)
			timer.Reset(attemptDelay)
		case a := <-r.results:
			r.running--
			if a.err == nil {
				return a.conn, cell.ConnectedReply{Addr: a.addr, TTL: uint32(a.ttl / time.Second)}, 0
			}
			r.fail(reasonOf(a.err))
			timer.Reset(0) // RFC 8305: a failure lets the next begin at once
		case <-ctx.Done():
			if r.begun > 0 {
				return nil, cell.ConnectedReply{}, cell.EndTimeout
			}
			return nil, cell.ConnectedReply{}, cell.EndResolve
		}
	}
	if r.reason == 0 {
		r.reason = cell.EndResolve
	}
	return nil, cell.ConnectedReply{}, r.reason
}

// take sorts the addresses that a lookup found, dropping what the policy forbids.
func (r *race) take(a result) {
	if a.err != nil {
		r.fail(resolveReason(a.err))
	}
	for _, addr := range a.addrs {
		if !r.allows(netip.AddrPortFrom(addr, r.port)) {
			r.fail(cell.EndPolicy)
			continue
		}
		family := 0
		if addr.Is6() != r.prefer6 {
			family = 1
		}
		r.waiting[family] = append(r.waiting[family], candidate{addr, a.ttl})
	}
}

// pause says how long to wait before the next attempt begins, after an answer
// has come. more says that another one may come.
func (r *race) pause(more bool) time.Duration {
	switch {
	case r.running > 0:
		return attemptDelay
	case r.begun > 0:
		return 0
	case len(r.waiting[0]) == 0 && more:
		return resolutionDelay
	}
	return 0
}

func (r *race) left() int {
	if r.begun == maxAttempts {
		return 0
	}
	return len(r.waiting[0]) + len(r.waiting[1])
}

// begin starts the next attempt, if there is one.
func (r *race) begin(ctx context.Context) {
	if r.left() == 0 {
		return
	}
	if len(r.waiting[r.turn]) == 0 {
		r.turn = 1 - r.turn
	}
	c := r.waiting[r.turn][0]
	r.waiting[r.turn] = r.waiting[r.turn][1:]
	r.turn = 1 - r.turn
	r.begun++
	r.running++
	r.all.Go(func() { // ends with the dial, which ctx ends
		conn, err := r.connect(ctx, netip.AddrPortFrom(c.addr, r.port))
		select {
		case r.results <- attempt{c, conn, err}:
		case <-ctx.Done():
			if err == nil {
				conn.Close()
			}
		}
	})
}

// fail remembers the reason that says most.
func (r *race) fail(reason cell.EndReason) { r.reason = tell(r.reason, reason) }
