package exit

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"tunic/cell"
)

const localTTL = time.Minute // our choice: for answers that nobody was asked for

// Resolve answers a RESOLVE message: the addresses of a name, IPv4 first, or the
// names of an address. Addresses that this exit never connects to are left out,
// and their names are not looked up, so that nobody reads the exit's own network
// from them. Resolve blocks for at most the time of a lookup.
func (e *Exit) Resolve(ctx context.Context, req cell.ResolveRequest) cell.ResolvedReply {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	kind, addr, name := classify(req.Host)
	switch {
	case req.Reverse && kind == hostAddress:
		return e.namesOf(ctx, addr)
	case req.Reverse || kind == hostNowhere:
		return failed(errAbsent)
	case kind == hostAddress:
		return e.reply(result{addrs: []netip.Addr{addr}, ttl: localTTL})
	case kind == hostLocal:
		return e.reply(result{addrs: localAddrs(0), ttl: localTTL})
	}
	v4, v6 := e.resolver.lookup(question{name, dns.TypeA}), e.resolver.lookup(question{name, dns.TypeAAAA})
	return e.reply(v4.wait(ctx), v6.wait(ctx))
}

func (e *Exit) namesOf(ctx context.Context, addr netip.Addr) cell.ResolvedReply {
	if !e.mayResolve(addr) {
		return failed(errAbsent)
	}
	if addr.IsLoopback() {
		return cell.ResolvedReply{Answers: []cell.Answer{{Kind: cell.AnswerName, Name: "localhost", TTL: seconds(localTTL)}}}
	}
	q, err := reverse(addr)
	if err != nil {
		return failed(errAbsent)
	}
	r := e.resolver.lookup(q).wait(ctx)
	if r.err != nil {
		return failed(r.err)
	}
	var out cell.ResolvedReply
	for _, n := range r.names {
		out.Answers = append(out.Answers, cell.Answer{Kind: cell.AnswerName, Name: n, TTL: seconds(r.ttl)})
	}
	return out.Fit()
}

// reply puts the addresses of all answers together; without any, a failure.
func (e *Exit) reply(all ...result) cell.ResolvedReply {
	var out cell.ResolvedReply
	var err error = errAbsent
	for _, a := range all {
		if a.err != nil && !errors.Is(a.err, errAbsent) {
			err = a.err
		}
		for _, addr := range a.addrs {
			if !e.mayResolve(addr) {
				continue
			}
			kind := cell.AnswerIPv6
			if addr.Is4() {
				kind = cell.AnswerIPv4
			}
			out.Answers = append(out.Answers, cell.Answer{Kind: kind, Addr: addr, TTL: seconds(a.ttl)})
		}
	}
	if len(out.Answers) == 0 {
		return failed(err)
	}
	return out.Fit()
}

// failed is the answer that there is none: for good, or for now.
func failed(err error) cell.ResolvedReply {
	kind, ttl := cell.AnswerTryAgain, time.Duration(0)
	if errors.Is(err, errAbsent) {
		kind, ttl = cell.AnswerNotFound, localTTL
	}
	return cell.ResolvedReply{Answers: []cell.Answer{{Kind: kind, TTL: seconds(ttl)}}}
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }
